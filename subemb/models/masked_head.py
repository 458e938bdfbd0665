"""Masked-word heads for encoders whose files have none: their files, and where they are found. This is format 1.

A network with such a head is an ordinary ``...ForMaskedLM`` of transformers around the encoder's own body: its decoder is the token
table, and only dense layer, LayerNorm and bias are new. An encoder that was trained for sentence vectors has forgotten which word stands
where, so changes of its matrices go with the head, whole or of low rank (as in LoRA: Hu et al., ICLR 2022). They are added beside the
encoder's own weights, which stay as they are: sentence vectors do not change, and whoever trains the encoder's weights trains them for both.

``masked_head.safetensors``: ``head.NAME``, a weight outside the body, float16; ``change.NAME.out`` (o, r) and ``change.NAME.in`` (r, i)
float16, whose product is added to the body's weight NAME of shape (o, i); or ``change.NAME.rows`` (o, i) int8 times
``change.NAME.scale`` (o,) float16, a whole change.

``masked_head.json``, the card: ``subemb_masked_head`` (the format number), ``subemb_version``, ``tensors_sha256``, ``model`` (name,
source, revision, identity), and what is known about the training: ``text``, ``settings``, ``scores``, ``licences``, ``command``.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base.arguments import checked
from ..base.errors import InputError
from ..base.files import read_json, read_tensors
from ..base.paths import assets_folder, check_can_save, write_files
from ..base.store import Store

if TYPE_CHECKING:
    import torch

FORMAT = 1
TENSORS_FILE, CARD_FILE = "masked_head.safetensors", "masked_head.json"
MOST_BYTES = 1_000_000_000
_HEAD, _CHANGE = "head.", "change."


@dataclass(frozen=True)
class MaskedHead:
    """A masked-word head with the changes of the body that go with it. Shared: nobody may change its tensors."""

    head: "dict[str, torch.Tensor]" = field(repr=False)  # weights outside the body, by their names in the network, float32
    #: Name in the body -> (o, r) and (r, i), or (o, i) alone; float32.
    changes: "dict[str, tuple[torch.Tensor, ...]]" = field(repr=False)
    card: dict[str, Any]  # JSON types

    @property
    def parameters(self) -> int:
        """Floats of it."""
        pairs = [part for change in self.changes.values() for part in change]
        return sum(tensor.numel() for tensor in (*self.head.values(), *pairs))


# Files


def save(found: MaskedHead, folder: str | os.PathLike) -> Path:
    """Write a head into a folder, which is made if needed: its numbers rounded to float16, and its card. Returns the folder.

    Raises InputError if it cannot be written.
    """
    from safetensors.torch import save as bytes_of

    folder = Path(folder)
    check_can_save(folder, CARD_FILE, "the head")
    tensors = {f"{_HEAD}{name}": tensor.half().contiguous() for name, tensor in found.head.items()}
    for name, change in found.changes.items():
        tensors |= {f"{_CHANGE}{name}.{part}": tensor for part, tensor in stored_change(change).items()}
    content = bytes_of(tensors, {"format": "pt"})
    card = {
        **found.card,
        "subemb_masked_head": FORMAT,
        "subemb_version": __version__,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    described = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, {TENSORS_FILE: content, CARD_FILE: described.encode()})
    except OSError as error:
        raise InputError(
            f"the head could not be written to {folder} ({error.strerror}); give a folder that can be written"
        ) from error
    return folder


@checked
def read(folder: Path) -> MaskedHead:
    """The inverse of :func:`save`. Raises InputError saying what is wrong with the files."""
    import torch

    card = read_card(folder)
    path = folder / TENSORS_FILE
    tensors, digest = read_tensors(path, "train the head again", "no masked-word head", MOST_BYTES)
    if digest != card.get("tensors_sha256"):
        raise InputError(f"{path} is not the file that {CARD_FILE} was written for; train the head again")
    if not all(torch.isfinite(tensor.float()).all() for tensor in tensors.values()):
        raise InputError(f"{path} holds NaN or infinity; train the head again")
    return MaskedHead(*_sorted_out(tensors, path), card)


def stored_change(change: "tuple[torch.Tensor, ...]") -> "dict[str, torch.Tensor]":
    """A change of a matrix as it is stored."""
    import torch

    if len(change) == 2:
        return {"out": change[0].half().contiguous(), "in": change[1].half().contiguous()}
    scale = (change[0].abs().amax(1) / 127).clamp(min=6e-8).half()  # the smallest number above 0 of half precision
    rows = (change[0] / scale.float()[:, None]).round().clamp(-127, 127)
    return {"rows": rows.to(torch.int8).contiguous(), "scale": scale}


def read_change(stored: "Mapping[str, torch.Tensor]") -> "tuple[torch.Tensor, ...]":
    """The inverse of :func:`stored_change`, float32. Raises ValueError for anything else."""
    shapes = [tuple(tensor.shape) for _, tensor in sorted(stored.items())]
    if sorted(stored) == ["in", "out"] and [len(shape) for shape in shapes] == [2, 2] and shapes[1][1] == shapes[0][0]:
        return stored["out"].float(), stored["in"].float()
    if sorted(stored) == ["rows", "scale"] and len(shapes[0]) == 2 and shapes[1] == shapes[0][:1]:
        return (stored["rows"].float() * stored["scale"].float()[:, None],)
    raise ValueError(f"its parts {', '.join(sorted(stored))} do not fit together")


def _sorted_out(tensors: "Mapping[str, torch.Tensor]", path: Path):
    head: dict[str, torch.Tensor] = {}
    changes: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_HEAD):
            head[name.removeprefix(_HEAD)] = tensor.float()
        elif name.startswith(_CHANGE):
            own, _, part = name.removeprefix(_CHANGE).rpartition(".")
            changes.setdefault(own, {})[part] = tensor
        else:
            raise InputError(f"{path} holds {name!r}, which is no part of a masked-word head; train the head again")
    try:
        return head, {name: read_change(parts) for name, parts in changes.items()}
    except ValueError as error:
        raise InputError(f"{path} holds a change that cannot be read ({error}); train the head again") from error


def read_card(folder: Path) -> dict[str, Any]:
    """The card in a folder. Raises InputError for another format."""
    card = read_json(folder / CARD_FILE, most=1_000_000)
    if not isinstance(card, dict) or card.get("subemb_masked_head") != FORMAT or not isinstance(card.get("model"), dict):
        raise InputError(f"{folder / CARD_FILE} is no card of a masked-word head that this subemb ({__version__}) reads")
    return card


@dataclass(frozen=True)
class KnownHead:
    """A head that is there; only its card was read."""

    folder: Path
    card: dict[str, Any]  # JSON types

    @property
    def note(self) -> str:
        """Whose head this is, in a sentence."""
        name = self.card["model"].get("name", "this model")
        layers = "" if (self.card.get("settings") or {}).get("layers") == 0 else " with changes of its layers"
        text = self.card.get("text") or {}
        learned = f" on {text['sentences']:,} sentences" if isinstance(text.get("sentences"), int) else ""
        return (
            f"The masked-word head is not of {name}'s authors: a small one{layers}, trained with subemb{learned} to show effects, "
            "not to compete with BERT."
        )

    @property
    def digest(self) -> str:
        """What tells heads apart."""
        return str(self.card.get("tensors_sha256", ""))[:16]


def _write(folder: Path, found: MaskedHead) -> None:
    save(found, folder)


#: The user's heads, one for each model, by its content.
MASKED_HEADS: Store[MaskedHead] = Store("masked_heads", most=20, file=CARD_FILE, read=read, write=_write)


def key_of(model: Any) -> str:
    """Under which a model's head is kept among the user's."""
    return MASKED_HEADS.key(model=model.identity)


def shipped_folder(name: str, source: str, revision: str | None) -> Path | None:
    """Where the head lies that comes with subemb for a model of this name, if there is one; only a card is read."""
    folder = assets_folder("heads")
    for path in sorted(folder.glob(f"*/{CARD_FILE}")) if folder else []:
        described = read_card(path.parent)["model"]
        if (described.get("name"), described.get("source"), described.get("revision")) == (name, source, revision):
            return path.parent
    return None


def find(model: Any) -> KnownHead | None:
    """The masked-word head that was trained for a model as its authors made it: the user's own, else the one that comes with subemb.

    Raises InputError if the card of the one that comes with subemb is damaged.
    """
    if not model.has_network:
        return None
    key = key_of(model)
    if MASKED_HEADS.stamp(key) is not None:
        try:
            found = KnownHead(MASKED_HEADS.path(key), read_card(MASKED_HEADS.path(key)))
        except InputError:
            MASKED_HEADS.get(key)  # which tells of the damage, and drops it
        else:
            MASKED_HEADS.touch(key)
            return found
    folder = shipped_folder(model.name, model.source, model.revision)
    return None if folder is None else KnownHead(folder, read_card(folder))
