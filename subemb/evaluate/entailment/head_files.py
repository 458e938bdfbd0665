"""The saved form of an entailment head, and where heads are found. This is format 1.

``entailment_head.safetensors``: ``mean`` (D,) and ``scale`` (1,) float32; ``projection`` (M, k, D) and ``hidden_weight``
(M, H, 4 k) float16; ``hidden_bias`` (M, 1, H), ``output_weight`` (M, 3, H), ``output_bias`` (M, 1, 3) float32.

``card.json``: ``subemb_head`` (the format number), ``subemb_version``, ``tensors_sha256`` (of the other file), ``shape`` (dim,
members, projected, hidden: D, M, k, H), ``labels``, ``model`` (name, source, revision, identity), and what is known about the
training: ``data``, ``pairs``, ``settings``, ``split``, ``accuracy``, ``epoch``, ``trained_on``, ``licences``, ``command``.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...base.arguments import checked
from ...base.errors import InputError
from ...base.files import given_path, read_json, read_tensors
from ...base.paths import assets_folder, check_can_save, write_files
from ...base.store import Store
from ...models.model import PretrainedModel
from ..data.pairs import LABELS

if TYPE_CHECKING:
    import torch

    from .head import EntailmentHead, HeadShape

FORMAT = 1
TENSORS_FILE = "entailment_head.safetensors"
CARD_FILE = "card.json"
HALVES = ("projection", "hidden_weight")
MOST_BYTES = 64_000_000
#: The user's heads that are saved without naming a folder.
HEADS = Store("heads", most=20, file=CARD_FILE)


@checked
def save_head(head: "EntailmentHead", folder: str | os.PathLike | None = None) -> Path:
    """Write a head with its card into a folder, which is made if needed; None keeps it among the user's heads, under its name.

    The large matrices are stored as float16; :func:`~subemb.evaluate.entailment.head_training.train_head` has already rounded
    them.
    Returns the folder. Raises InputError if it holds something else or cannot be written, or if the head has NaN.
    """
    import torch
    from safetensors.torch import save as bytes_from_tensors

    own = folder is None
    folder = own_folder(head.name) if own else Path(folder)
    check_folder(folder)
    tensors = {name: tensor.detach().contiguous() for name, tensor in head.state_dict().items()}
    tensors |= {name: tensors[name].to(torch.float16) for name in HALVES}
    _check_tensors(tensors, head.shape)
    content = bytes_from_tensors(tensors, {"format": "pt"})
    card = {
        **head.card,
        "subemb_head": FORMAT,
        "subemb_version": __version__,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "shape": asdict(head.shape),
        "labels": list(LABELS),
    }
    try:
        described = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"the card of an entailment head must be plain JSON values: {error}") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, {TENSORS_FILE: content, CARD_FILE: described.encode()})
    except OSError as error:
        raise InputError(
            f"the head could not be written to {folder} ({error.strerror}); give a folder that can be written"
        ) from error
    if own:
        HEADS.trim(folder.name)
    return folder


def own_folder(name: str) -> Path:
    """Where a head of this name is kept among the user's."""
    return HEADS.folder / _file_name(name)


def check_folder(folder: Path, force: bool = True) -> None:
    """Raise InputError if a head cannot be saved there; called before the training, so that no training is lost.

    force: an older head there may be replaced.
    """
    check_can_save(folder, TENSORS_FILE, "the head", force)


@checked
def load_head(place: str | os.PathLike, model: PretrainedModel | None = None) -> "EntailmentHead":
    """Read a head from a folder, or by its name: a shipped one, or one of the user's.

    model: the head must belong to it. Raises InputError saying what is wrong: no such head, damaged files, another model's.
    """
    from .head import EntailmentHead, HeadShape

    folder = _folder_of(place)
    card = read_card(folder)
    tensors, digest = read_tensors(folder / TENSORS_FILE, "save the head again", "no entailment head", MOST_BYTES)
    try:
        shape = HeadShape(**card["shape"])
        _check_tensors(tensors, shape)
    except InputError as error:
        raise InputError(f"the head in {folder} is inconsistent: {error}") from error
    if digest != card.get("tensors_sha256"):
        raise InputError(
            f"the head in {folder} is inconsistent: {TENSORS_FILE} is not the file that {CARD_FILE} was written for"
        )
    head = EntailmentHead(shape, folder.name, card)
    head.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    if model is not None and not belongs(card, model):
        raise InputError(
            f"the head {head.name} belongs to {owner(card)}, not to {model.name} ({model.revision}); train one for it: "
            "subemb train-head"
        )
    return head.eval()


def read_card(folder: Path) -> dict[str, Any]:
    """``card.json``, checked to be of this format. Raises InputError."""
    path = folder / CARD_FILE
    if not path.is_file():
        raise InputError(f"{folder} holds no entailment head (it has no {CARD_FILE})")
    card = read_json(path, most=1_000_000)
    if not isinstance(card, dict) or "subemb_head" not in card:
        raise InputError(f"{path} is no card of an entailment head; give the folder that subemb train-head wrote")
    if card["subemb_head"] != FORMAT or isinstance(card["subemb_head"], bool):
        raise InputError(f"{path} has format {card['subemb_head']!r}; this subemb ({__version__}) reads format {FORMAT}")
    if card.get("labels") != list(LABELS):
        raise InputError(f"{path} has the labels {card.get('labels')!r}; an entailment head has {list(LABELS)}")
    if not isinstance(card.get("shape"), dict) or set(card["shape"]) != {"dim", "members", "projected", "hidden"}:
        raise InputError(f"{path} has the shape {card.get('shape')!r}; it must give dim, members, projected and hidden")
    model = card.get("model")
    if not isinstance(model, dict) or not all(isinstance(model.get(name), str) for name in ("name", "source", "identity")):
        raise InputError(f"{path} does not say whose sentence embeddings the head reads; train it again")
    return card


@checked
def heads_for(model: PretrainedModel) -> "list[EntailmentHead]":
    """Heads that belong to a model (or to its original): the shipped one first, then the user's, the newest first.

    The user's damaged heads are left out; :func:`load_head` says what is wrong with them. Raises InputError if a shipped one
    is damaged.
    """
    heads = []
    for folder, is_own in _folders():
        try:
            if belongs(read_card(folder), model):
                heads.append(load_head(folder))
        except InputError:
            if not is_own:
                raise
    return heads


def cards_for(model: PretrainedModel) -> list[tuple[str, dict[str, Any]]]:
    """(name, card) of the heads of :func:`heads_for`, in that order. No tensors are read, so a damaged head may be among them.

    Raises InputError if the card of a shipped one is damaged.
    """
    cards = []
    for folder, is_own in _folders():
        try:
            card = read_card(folder)
        except InputError:
            if not is_own:
                raise
            continue
        if belongs(card, model):
            cards.append((folder.name, card))
    return cards


def belongs(card: dict[str, Any], model: PretrainedModel) -> bool:
    """Whether a head with this card reads the sentence embeddings of a model, or of the model whose table was replaced."""
    return original_of(model).has_content_of(card.get("model") or {})


def owner(card: dict[str, Any]) -> str:
    """The model of a card, in words."""
    known = card.get("model") or {}
    return f"{known.get('name', 'an unknown model')} ({known.get('revision', 'unknown revision')})"


def original_of(model: PretrainedModel) -> PretrainedModel:
    """The model with its own table, whichever side is given."""
    while model.original is not None:
        model = model.original
    return model


def _folders() -> Iterator[tuple[Path, bool]]:
    """Folders that hold heads, and whether they are the user's."""
    for root, is_own in ((assets_folder("heads"), False), (HEADS.folder, True)):
        found = [path for path in root.iterdir() if (path / CARD_FILE).is_file()] if root and root.is_dir() else []
        yield from ((path, is_own) for path in sorted(found, key=lambda path: (-_changed(path) if is_own else 0, path.name)))


def _changed(folder: Path) -> float:
    try:
        return (folder / CARD_FILE).stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0


def _folder_of(place: str | os.PathLike) -> Path:
    folder = given_path(place, "the head")
    if folder.is_dir():
        return folder
    found = next((path for path, _ in _folders() if path.name == str(place)), None)
    if found is None:
        known = ", ".join(path.name for path, _ in _folders()) or "none"
        raise InputError(f"there is no entailment head {str(place)!r}, and no such folder; heads by name: {known}")
    return found


def _file_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-")[:100]
    return kept or "head"


def _check_tensors(tensors: "dict[str, torch.Tensor]", shape: "HeadShape") -> None:
    """Raises InputError unless these are the tensors of such a head: names, shapes, types, finite numbers, a scale above 0."""
    import torch

    expected = shape.tensors
    if set(tensors) != set(expected):
        raise InputError(f"its tensors are {', '.join(sorted(tensors))}; a head has {', '.join(sorted(expected))}")
    for name, size in expected.items():
        tensor, dtype = tensors[name], torch.float16 if name in HALVES else torch.float32
        if (tuple(tensor.shape), tensor.dtype) != (size, dtype):
            raise InputError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}; it must be {size} {dtype}")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name} holds NaN or infinity")
    if float(tensors["scale"]) <= 0:
        raise InputError(f"scale is {float(tensors['scale']):g}; it must be above 0")
