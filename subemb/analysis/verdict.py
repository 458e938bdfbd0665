"""What the numbers of a run mean, in a sentence or two that a student reads once.

>>> verdict_of(0.00599, 0.53, 0.12, kept=0.963).text
'At 0.599 % of its size the table keeps 96 % of the sentence similarity. Single words are blurred: of 10 neighbours 1 stays.'
"""

from dataclasses import dataclass

from ..base.text import count_text, percent_text

#: Shares of the original's score from which on a compressed table is good enough to use as it is, and from which on it is fair.
GOOD, FAIR = 0.95, 0.8
_MANY = 0.01  # share of tokens, from which on collisions are worth a word


@dataclass(frozen=True)
class Verdict:
    """text: the sentences. tone: ``good``, ``fair`` or ``poor``. advice: what to do about it, or empty; is_to_adapt: whether that is to adapt."""

    text: str
    tone: str
    advice: str = ""
    is_to_adapt: bool = False


def verdict_of(
    share: float,
    relative_error: float,
    neighbours_kept: float,
    *,
    kept: float | None = None,
    change: tuple[float, float] | None = None,
    colliding_share: float = 0.0,
    neighbours: int = 10,
    can_be_adapted: bool = True,
) -> Verdict:
    """The verdict on a compressed table.

    share: bytes stored over the table's bytes. relative_error: squared error over variance. neighbours_kept: share of the nearest
    ``neighbours`` that stay. kept: score on a task over the original's, or None where there is none. change: the 95 % interval of the
    difference of these scores. colliding_share: share of tokens that share their vector with another. can_be_adapted: whether the method's
    numbers can be trained.
    """
    size = (
        f"At {percent_text(share)} of its size the table"
        if share < 1
        else f"It takes {percent_text(share)} of the table's bytes and"
    )
    if relative_error == 0:
        return Verdict(f"{size} gives every vector back exactly.", "good" if share < 1 else "poor", _smaller(share))
    could_be_chance = change is not None and change[0] <= 0 <= change[1]
    if kept is None:
        found = f"keeps {percent_text(max(0.0, 1 - relative_error), 2)} of the differences between its vectors"
        tone = "good" if relative_error < 0.05 else "fair" if relative_error < 0.3 else "poor"
    elif kept >= 1:
        found, tone = "keeps all of the sentence similarity", "good"
    elif kept <= 0:
        found, tone = "keeps nothing of the sentence similarity", "poor"
    else:
        found = f"keeps {_whole_percent(kept)} of the sentence similarity"
        if kept >= GOOD and could_be_chance:
            found += "; the rest may be chance"
        tone = "good" if kept >= GOOD else "fair" if kept >= FAIR else "poor"
    text = f"{size} {found}. {_words(neighbours_kept, neighbours)}"
    if relative_error >= 1 and not round(neighbours * neighbours_kept):
        # else rows are borrowed: far off, but with the neighbours of the original
        text += " One vector for all tokens would be no further from the original."
    if colliding_share >= _MANY:
        text += f" {_whole_percent(colliding_share)} of the tokens cannot be told from another any more."
    if share >= 1:
        return Verdict(text, "poor", _smaller(share))
    if kept is None or tone == "good" or not can_be_adapted:
        return Verdict(text, tone)
    return Verdict(text, tone, f"Adapt can win {'much' if tone == 'poor' else 'some'} of it back.", is_to_adapt=True)


def _smaller(share: float) -> str:
    return "This saves nothing: choose settings that store less." if share >= 1 else ""


def _whole_percent(share: float) -> str:
    """0.963 -> ``96 %``; never 100 for less than all, nor 0 for more than nothing."""
    return f"{min(max(round(100 * share), 1), 99)} %" if 0 < share < 1 else f"{round(100 * share)} %"


def _words(kept: float, neighbours: int) -> str:
    """What became of single words."""
    stay = round(neighbours * kept)
    if stay == neighbours:
        return f"Single words stay where they were: all {count_text(neighbours)} neighbours of a word stay."
    if not stay:
        return f"Single words are lost: of {count_text(neighbours)} neighbours none stays."
    how = "move a little" if kept >= 0.75 else "move" if kept >= 0.4 else "are blurred"
    return f"Single words {how}: of {count_text(neighbours)} neighbours {count_text(stay)} {'stays' if stay == 1 else 'stay'}."
