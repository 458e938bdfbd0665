"""How files store what a network needs: names behind wrappers, numbers behind scales, packed numbers, adapters not merged.

All of it is told by names and types; nothing is read here. What is known is taken off or multiplied out by those who read
(:mod:`subemb.models.headers`, :mod:`subemb.models.scaled`); the rest is refused with these words.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

# Parts of names that wrappers leave anywhere: torch.compile, FSDP, activation checkpoints, peft around a layer.
_INSIDE = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|base_layer)\.")
# What they leave before every name: DataParallel and DeepSpeed, peft.
_BEFORE = ("module.", "base_model.model.")
#: Ends of the names of tensors by which a weight has to be multiplied, in place of ``weight``.
_SCALES = ("weight_scale", "scale_weight", "weight_scale_inv")
# Other tensors without which a weight means nothing, in place of ``weight``.
_PARTNERS = (
    "weight_scale_2", "weight_zero_point", "weight_packed", "weight_shape", "weight.absmax", "weight.quant_map", "SCB", "scales",
    "qweight", "qzeros", "zero_point", "scale",
)  # fmt: skip
_ADAPTER = re.compile(
    r"(?<![^.])(lora_(A|B|embedding_A|embedding_B|magnitude_vector)|ia3_l|hada_w\d|lokr_w\d|oft_(r|blocks)|boft_\w|vera_lambda_\w|"
    r"modules_to_save|original_module|trainable_tokens_delta|adapters|attention_adapters|invertible_adapters|prefix_tunings|loras|"
    r"prompt_encoder)(?![^.])"
)
# What the names in a file tell about how it was quantized, if config.json does not.
_PACKED = (
    (re.compile(r"\.(qweight|qzeros)$"), "packed integers as GPTQ and AWQ write them"),
    (re.compile(r"\.SCB$"), "bitsandbytes, 8 bits"),
    (re.compile(r"\.(absmax|quant_map|quant_state\.\w+)$"), "bitsandbytes, 4 bits"),
    (re.compile(r"\.weight_packed$"), "compressed-tensors"),
    (re.compile(r"_proj_blocks$"), "MXFP4"),
)
_INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64")
_METHODS = {"gptq": "GPTQ", "awq": "AWQ", "fp8": "FP8", "fbgemm_fp8": "FP8", "hqq": "HQQ", "aqlm": "AQLM", "vptq": "VPTQ"}


def plain_names(names: Collection[str]) -> dict[str, str]:
    """Stored name -> name without what torch.compile, DataParallel, FSDP or peft left in it; {} where that makes no difference.

    >>> plain_names(["module._orig_mod.bert.x", "module._orig_mod.y"])
    {'module._orig_mod.bert.x': 'bert.x', 'module._orig_mod.y': 'y'}
    >>> plain_names(["module.x", "y"])
    {}
    """
    plain = {name: _INSIDE.sub("", name) for name in names}
    while prefix := next((one for one in _BEFORE if plain and all(name.startswith(one) for name in plain.values())), None):
        plain = {stored: name.removeprefix(prefix) for stored, name in plain.items()}
    changed = any(stored != name for stored, name in plain.items())
    # Two tensors of one name would mean that these are no wrappers.
    return plain if changed and len(set(plain.values())) == len(plain) else {}


def adapter_part(names: Collection[str]) -> str | None:
    """The first of the names that belongs to an adapter (LoRA and the like) which is not merged into its base model."""
    return next((name for name in sorted(names) if _ADAPTER.search(name)), None)


def scale_name(name: str, known: Collection[str]) -> str | None:
    """The tensor that the weight ``name`` has to be multiplied by, among ``known``.

    >>> scale_name("x.weight", ["x.weight", "x.scale_weight"])
    'x.scale_weight'
    """
    return _beside(name, known, _SCALES)


def partner_name(name: str, known: Collection[str]) -> str | None:
    """Another tensor without which the weight ``name`` means nothing, among ``known``."""
    return _beside(name, known, _PARTNERS)


def is_scale(name: str, known: Collection[str]) -> bool:
    """Whether a tensor is there to multiply a weight, and no parameter itself."""
    return any(name.endswith(end) and name.removesuffix(end) + "weight" in known for end in (*_SCALES, *_PARTNERS))


def _beside(name: str, known: Collection[str], ends: tuple[str, ...]) -> str | None:
    if not name.endswith("weight"):
        return None
    return next((other for end in ends if (other := name.removesuffix("weight") + end) in known), None)


def quantized_as(config: Mapping[str, Any], types: Mapping[str, str]) -> str | None:
    """How a network is quantized, in words; None if it is not. types: name of a tensor -> its type in safetensors' words.

    >>> quantized_as({"quantization_config": {"quant_method": "gptq", "bits": 4}}, {})
    'GPTQ, 4 bits'
    >>> quantized_as({}, {"x.weight": "I8", "x.SCB": "F32"})
    'bitsandbytes, 8 bits'
    """
    text = config.get("text_config")
    for part in (config, text if isinstance(text, Mapping) else {}):
        said = part.get("quantization_config") or part.get("compression_config")
        if isinstance(said, Mapping):
            method = str(said.get("quant_method") or "a way that config.json does not name")
            words = [_METHODS.get(method.lower(), method)]
            bits = (
                said.get("bits")
                or said.get("w_bit")
                or (8 if said.get("load_in_8bit") else 4 if said.get("load_in_4bit") else None)
            )
            words += [f"{bits} bits"] if isinstance(bits, int) else []
            return ", ".join(words)
    for mark, words in _PACKED:
        if any(mark.search(name) for name in types):
            return words
    packed = next((name for name, kind in sorted(types.items()) if name.endswith("weight") and kind in _INTEGERS), None)
    return None if packed is None else f"{types[packed]} integers in {packed}"
