"""What a model's output notices: how much it moves when a token's vector does, axis by axis.

An error r of one token's vector costs r^T S r with the **sensitivity** S = E[g g^T], where g is the derivative of v . z by that vector,
v the sentence vector (of length 1) and z a random direction: a Fisher information (Hsu et al., ICLR 2022, arXiv 2207.00112, use its
diagonal). Methods read S through ``compress(..., sensitivity=S)``; see :mod:`subemb.codec.sensitive`.

S is measured on rows of token ids: those of a text, or rows drawn from the vocabulary (:mod:`subemb.models.drawn`). It takes seconds,
so it is kept in the cache by the model's content; that of the bundled model comes with subemb (``assets/sensitivity``).

Measured on it, nothing trained, ``product`` f=8 Q=61, seed 0, Spearman x 100 on SICK trial and SimLex: 65.3 and 30.1 without a
sensitivity, 67.9 and 33.4 with one from rows as they are drawn, 66.3 and 30.3 from rows in which tokens are as frequent as they are
thought to be in texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..base.deadline import Deadline
from ..base.errors import InputError
from ..base.files import read_json
from ..base.lazy import lazy_module
from ..base.paths import assets_folder
from ..base.progress import ProgressCallback, report
from ..base.store import Store
from .drawn import sampled_rows
from .sentences import reading_seconds

torch = lazy_module("torch")

MOST_ROWS = 2000  # on which S is measured
_BATCH = 64
POOL = 8 * _BATCH  # rows that are sorted by length together
_DRAWN_ROW, _LONG_ROW = 16, 32  # tokens of a row, about: of one that is drawn, and of a line of a text
_AND_BACK = 1.9  # times what reading alone takes: gradients, and their products
_LONGEST_LINE = 2000  # characters of a line that are read
FILE, CARD = "sensitivity.safetensors", "card.json"


def measured_sensitivity(
    model: Any,
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
    deadline: Deadline | None = None,
) -> torch.Tensor:
    """S, (D, D) float32 with a diagonal of mean 1, measured on at most MOST_ROWS of the rows of token ids. The identity if nothing
    moves the output. deadline: no more rows are read than can be until then, but at least one batch.

    Raises InputError for rows that are not ids, ModelError if there is no network, Cancelled.
    """
    deadline = deadline or Deadline(None)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(rows), generator=generator)[:MOST_ROWS].tolist()
    parts = [chosen[start : start + POOL] for start in range(0, len(chosen), POOL)]
    chosen = [place for part in parts for place in sorted(part, key=lambda place: len(rows[place]))]  # little padding
    table = torch.nn.Embedding.from_pretrained(model.table, freeze=True).to(model.device)
    probe = model.with_embeddings(table)
    seen: list[torch.Tensor] = []

    def watch(module, arguments, output):
        seen.append(output.detach().requires_grad_())
        return seen[-1].clone()  # some networks scale what they are given in place

    table.register_forward_hook(watch)
    total = torch.zeros(model.dim, model.dim, device=model.device)
    for start in range(0, len(chosen), _BATCH):
        if start and not deadline.has_room("batch"):
            break
        report(progress, "measuring which axes matter", start / len(chosen))
        seen.clear()
        with deadline.piece("batch"), torch.enable_grad():
            vectors = torch.nn.functional.normalize(
                probe.encode_ids_tensor([rows[place] for place in chosen[start : start + _BATCH]])
            )
            directions = torch.randn(vectors.shape, generator=generator).to(vectors.device)
            found = torch.autograd.grad((vectors * directions).sum(), seen, allow_unused=True)
            for gradient in found:
                if gradient is not None:
                    flat = gradient.float().flatten(0, -2)
                    total += flat.T @ flat
    total = total.cpu()
    mean = float(total.diagonal().mean())
    if not 0 < mean < float("inf"):
        return torch.eye(model.dim)
    return total / mean


def rows_enough(dim: int) -> int:
    """How many drawn rows S is measured on: every row has a dozen tokens, so that each of D axes is seen dozens of times.

    >>> rows_enough(16), rows_enough(384)
    (144, 1984)
    """
    return min(MOST_ROWS, 64 + 5 * dim)


def sensitivity_seconds(model: Any, of_text: bool = False) -> float:
    """Roughly how many seconds measuring S takes on two free cores; 0 where it is known already. of_text: on the lines of a text."""
    if not model.has_network:
        return 0.0
    count = MOST_ROWS if of_text else rows_enough(model.dim)
    if not of_text and (_shipped_folder(model) or SENSITIVITIES.key(model=model.identity, rows=count, seed=0) in SENSITIVITIES):
        return 0.0
    return _AND_BACK * reading_seconds(model, count, count * (_LONG_ROW if of_text else _DRAWN_ROW))


def text_rows(model: Any, text: str, seed: int = 0) -> list[list[int]]:
    """The tokens of some lines of a text, as many as S is measured on, drawn with the seed. Raises InputError if none has any."""
    lines = [line for line in text.splitlines() if line.strip()]
    drawn = torch.randperm(len(lines), generator=torch.Generator().manual_seed(seed))[:MOST_ROWS].tolist()
    rows = [row for row in model.token_ids([lines[place][:_LONGEST_LINE] for place in drawn]) if row]
    if not rows:
        raise InputError("the text has no tokens of this model; give another one, or none")
    return rows


def sensitivity_of(
    model: Any,
    rows: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
    seconds: float | None = None,
    progress: ProgressCallback | None = None,
) -> torch.Tensor:
    """See :meth:`subemb.models.model.PretrainedModel.sensitivity`."""
    if not model.has_network:
        return torch.eye(model.dim)
    if rows is not None:
        if not len(rows):
            raise InputError("a sensitivity cannot be measured on no rows of tokens; give some, or None to draw them")
        return measured_sensitivity(model, rows, seed, progress, Deadline(seconds))
    if seed == 0 and (shipped := shipped_sensitivity(model)) is not None:
        return shipped
    count = rows_enough(model.dim)
    key = SENSITIVITIES.key(model=model.identity, rows=count, seed=seed)
    found = SENSITIVITIES.get(key)
    if found is None:
        deadline = Deadline(seconds)
        found = measured_sensitivity(model, sampled_rows(model, count, seed), seed, progress, deadline)
        if not deadline.exists or not deadline.is_over:
            SENSITIVITIES.put(key, found)
    return found


def shipped_sensitivity(model: Any) -> torch.Tensor | None:
    """The sensitivity that comes with subemb for this model; None if there is none. Raises InputError if its file is damaged."""
    folder = _shipped_folder(model)
    return None if folder is None else _read(folder)


def _shipped_folder(model: Any) -> Path | None:
    """Where the sensitivity of this model that comes with subemb lies."""
    folder = assets_folder("sensitivity")
    if model.original is not None or folder is None:
        return None
    cards = sorted(folder.glob(f"*/{CARD}"))
    return next((card.parent for card in cards if model.has_content_of(read_json(card).get("model") or {})), None)


def save_sensitivity(folder: Path, matrix: torch.Tensor) -> None:
    """Write S into a folder: the numbers on and above its diagonal, in the type that they have."""
    from safetensors.torch import save_file

    upper = torch.triu_indices(len(matrix), len(matrix))
    save_file({"upper": matrix[upper[0], upper[1]].contiguous()}, Path(folder) / FILE)


def ship(model: Any, folder: str | Path) -> None:
    """Measure S as :func:`sensitivity_of` does by itself, and write it into ``folder``, in half precision, with a card that says of which
    model it is. What stands in ``assets/sensitivity`` is read in place of a measurement; its cards name the line that wrote it."""
    count = rows_enough(model.dim)
    matrix = measured_sensitivity(model, sampled_rows(model, count, 0), 0)
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_sensitivity(folder, matrix.half())
    about = {name: getattr(model, name) for name in ("name", "source", "revision", "identity", "dim")}
    where = f"assets/sensitivity/{Path(model.name).name}"
    line = f"import subemb; from subemb.models.sensitivity import ship; ship(subemb.load({model.name!r}), {where!r})"
    card = {"model": about, "rows": count, "drawn_from": "vocabulary", "seed": 0, "written_by": f'python -c "{line}"'}
    (Path(folder) / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _read(folder: Path) -> torch.Tensor:
    """The inverse of :func:`save_sensitivity`: (D, D) float32. Raises InputError for another file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        numbers = load_file(folder / FILE)["upper"].float()
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{folder / FILE} holds no sensitivity that can be read: {error}") from error
    dim = int((8 * numbers.numel() + 1) ** 0.5 - 1) // 2
    if numbers.ndim != 1 or dim * (dim + 1) // 2 != numbers.numel() or not torch.isfinite(numbers).all():
        raise InputError(f"{folder / FILE} holds {numbers.numel()} numbers, which are no upper half of a matrix")
    matrix = torch.zeros(dim, dim)
    upper = torch.triu_indices(dim, dim)
    matrix[upper[0], upper[1]] = numbers
    return matrix + matrix.triu(1).T


#: Sensitivities that were measured on drawn rows, by the model's content.
SENSITIVITIES: Store[torch.Tensor] = Store(
    "sensitivities", most=50, most_bytes=500_000_000, in_memory=4, file=FILE, read=_read, write=save_sensitivity
)
