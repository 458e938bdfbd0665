"""How small and how good, in one picture each: the table's bytes to scale, and what is kept of the model's task. Pure functions."""

from ....base.text import count_text, escape_html, percent_text, score_text, size_text
from ....codec.methods import Method
from ....codec.sizes import Size
from ....evaluate.similarity.demonstration import TaskScore
from ...shell.style import PRIMARY, TEXT

_FAINT = f"color-mix(in srgb, {TEXT} 22%, transparent)"
_SOFT = f"color-mix(in srgb, {TEXT} 72%, transparent)"
_LENS = f"color-mix(in srgb, {PRIMARY} 16%, transparent)"
#: Of codebooks, codes and the rest.
_PARTS = (PRIMARY, f"color-mix(in srgb, {PRIMARY} 60%, transparent)", f"color-mix(in srgb, {PRIMARY} 30%, transparent)")
_BAR = "height:1.9rem;border-radius:2px"


def parts_of(size: Size, packed: str = Method.packed) -> list[tuple[str, int]]:
    """What a compressed table is made of, (name, bytes), without what takes no room. packed: as :attr:`.Method.packed`.

    The bytes add up to ``size.total_bytes``.
    """
    coded = bool(size.codebook_parameters)
    found = [
        ("codebooks" if coded else "floats", size.codebook_bytes if coded else size.float_bytes),
        ("codes" if coded else packed, size.code_bytes),
    ]
    found.append(("other", size.total_bytes - sum(stored for _, stored in found)))
    return [(name, stored) for name, stored in found if stored]


def size_picture(size: Size, packed: str = Method.packed) -> str:
    """HTML: original and compressed table as bars of one scale, and the compressed one enlarged, cut into its parts."""
    share = size.total_share
    wider = max(1.0, share)  # what the whole width stands for, in tables
    before, after = 100 / wider, 100 * share / wider
    title = f"{size_text(size.original_bytes)} become {size_text(size.total_bytes)}"
    body = [
        _line("Original", size_text(size.original_bytes)),
        f'<div style="{_BAR};width:{before:.3f}%;background:{_FAINT}"></div>',
        _line("Compressed, to the same scale", f"{size_text(size.total_bytes)} · {percent_text(share)}"),
        f'<div style="{_BAR};width:{after:.3f}%;min-width:2px;background:{PRIMARY}"></div>',
    ]
    if after < 80:
        lens = f"clip-path:polygon(0 0,max(2px,{after:.3f}%) 0,100% 100%,0 100%);background:{_LENS}"
        times = f"{count_text(round(100 / after))} times as wide" if after < 50 else "wider"
        body.append(
            f'<div style="position:relative;height:1.6rem"><div style="position:absolute;inset:0;{lens}"></div>'
            f'<div style="position:absolute;right:0;bottom:0.15rem;{_small()}">{times}</div></div>'
        )
    cells, legend = [], []
    for (name, stored), colour in zip(parts_of(size, packed), _PARTS, strict=False):
        cells.append(f'<div style="width:{100 * stored / size.total_bytes:.3f}%;background:{colour}"></div>')
        dot = f'<span style="display:inline-block;width:0.7rem;height:0.7rem;border-radius:2px;background:{colour}"></span>'
        legend.append(f'<span style="white-space:nowrap">{dot} {name} {size_text(stored)}</span>')
    if size.codebook_parameters and not size.code_bytes:
        legend.append('<span style="white-space:nowrap">no codes: the token\'s number tells them</span>')
    body.append(f'<div style="{_BAR};display:flex;gap:1px;overflow:hidden">{"".join(cells)}</div>')
    body.append(
        f'<div style="display:flex;flex-wrap:wrap;gap:0.1rem 1.1rem;margin-top:0.4rem;{_small()}">{"".join(legend)}</div>'
    )
    return _picture(title, body)


def quality_picture(task: TaskScore | None, why: str, neighbours_kept: float, neighbours: int) -> str:
    """HTML: the score of original and compressed with its interval, and how many of a word's nearest neighbours stay.

    why: the reason if there is no score.
    """
    if task is not None and task.original is not None and task.compressed is not None:
        kept = "" if task.kept is None else f" · {100 * task.kept:.0f} % kept"
        body = [
            _line("Original", score_text(task.original)),
            _scale(task.original, _FAINT),
            _line("Compressed", score_text(task.compressed) + kept),
            _scale(task.compressed, PRIMARY, task),
            f'<div style="{_small()};margin-top:0.4rem">Do the cosines of {count_text(task.pairs)} sentence pairs rank as people '
            f"rank them? Spearman × 100, {', '.join(task.languages)}.</div>",
        ]
        title = f"Sentence similarity {score_text(task.original)} before, {score_text(task.compressed)} after"
    else:
        reason = why or "The score of this model on the demonstration pairs is not defined."
        body = [_line("Sentence similarity", "no score"), f'<div style="{_small()}">{escape_html(reason)}</div>']
        title = "No score on sentence pairs"
    stay = round(neighbours * neighbours_kept)
    dots = "".join(
        f'<span style="width:1.25rem;height:1.25rem;border-radius:50%;box-sizing:border-box;border:1.5px solid '
        f'{PRIMARY if number < stay else _SOFT};background:{PRIMARY if number < stay else "none"}"></span>'
        for number in range(neighbours)
    )
    number = f"{count_text(stay) if stay else 'none'} {'stays' if stay <= 1 else 'stay'}"
    body += [_line(f"Of the {neighbours} nearest tokens", number), f'<div style="display:flex;gap:0.4rem">{dots}</div>']
    return _picture(f"{title}; of {neighbours} nearest neighbours of a token {stay} stay", body)


def _scale(score: float, colour: str, task: TaskScore | None = None) -> str:
    """A bar of a score on a scale from 0 to 1, with the interval around it."""
    within = [100 * min(1.0, max(0.0, value)) for value in (score, *_interval(task))]
    whisker = ""
    if len(within) == 3:
        left, right = within[1:]
        line = f"position:absolute;left:{left:.2f}%;width:{right - left:.2f}%"
        whisker = (
            f'<div style="{line};top:calc(50% - 1px);height:2px;background:{TEXT}"></div>'
            f'<div style="{line};top:30%;height:40%;box-sizing:border-box;border:solid {TEXT};border-width:0 2px"></div>'
        )
    bar = f'<div style="width:{within[0]:.2f}%;height:100%;background:{colour}"></div>'
    return f'<div style="{_BAR};position:relative;overflow:hidden;outline:1px solid {_FAINT}">{bar}{whisker}</div>'


def _interval(task: TaskScore | None) -> tuple[float, ...]:
    return () if task is None or task.low is None else (task.original + task.low, task.original + task.high)


def _line(label: str, number: str) -> str:
    return (
        '<div style="display:flex;justify-content:space-between;align-items:baseline;margin:0.7rem 0 0.2rem">'
        f'<span style="{_small()}">{escape_html(label)}</span><span style="font-size:1.15rem;font-weight:600">{escape_html(number)}'
        "</span></div>"
    )


def _small() -> str:
    return f"font-size:0.875rem;color:{_SOFT}"


def _picture(title: str, body: list[str]) -> str:
    return f'<div role="img" aria-label="{escape_html(title)}" style="max-width:44rem">{"".join(body)}</div>'
