"""What moved the cosine of one pair, in words: pure functions from an attribution to markdown.

Numbers that stand together close: before + change = after, and the parts of a change add up to it, as they are shown.
"""

from dataclasses import dataclass

from ....base.text import change_text, escape_markdown, number_text, shown_change
from ....evaluate.similarity.effects import NOTHING, Attribution
from ....evaluate.similarity.sentences import PairComparison, ReadSentence

ELSEWHERE = 1e-4  # of a cosine that differs more from that of the swapped tokens, the rest comes from other weights
NEARLY = 0.1  # of the common move, below which a change is what two large parts leave of each other
TELLING = 0.05  # how far the cosine of unrelated sentences moves, from which on all sentences are said to move


@dataclass(frozen=True)
class Parts:
    """A change of a cosine and what it is made of, as it is shown with ``digits`` after the point: ``first + second + shared == change``."""

    before: float
    after: float
    first: float  # what the first sentence does alone
    second: float
    digits: int

    @classmethod
    def of(cls, result: PairComparison, side: str) -> "Parts":
        """The parts of a side's change, with the cosines that are shown of it where its table alone made it."""
        effects, digits = result.attributions[side], digits_of(result)
        ends = result.cosines[result.sides[0]], result.cosines[side]
        if abs(ends[1] - effects.after) > ELSEWHERE:
            ends = effects.before, effects.after
        rounded = (round(value, digits) + 0.0 for value in (*ends, effects.first.whole, effects.second.whole))
        return cls(*rounded, digits)

    @property
    def change(self) -> float:
        """after - before."""
        return shown_change(self.before, self.after, self.digits)

    @property
    def shared(self) -> float:
        """What is left of the change."""
        return round(self.change - self.first - self.second, self.digits) + 0.0

    def signed(self, value: float) -> str:
        """A part with its sign."""
        return number_text(value, self.digits, signed=True)


def digits_of(result: PairComparison) -> int:
    """Digits after the point with which all cosines of a pair are shown, so that the smallest change can be seen.

    >>> digits_of(PairComparison({"original": 0.8271, "compressed": 0.8446}, (), {}, ""))
    3
    >>> digits_of(PairComparison({"original": 0.8271, "compressed": 0.82714}, (), {}, ""))
    6
    """
    changes = [abs(result.change(side)) for side in result.sides[1:]]
    return max((digits_for(change) for change in changes if change > NOTHING), default=3)


def summary_text(result: PairComparison, side: str) -> str:
    """How much the cosine changed on a side, whose doing that is, and which token decides if one does; in markdown."""
    effects = result.attributions[side]
    reference = result.sides[0]
    parts = Parts.of(result, side)
    if parts.change == 0:
        return f"With {_rows(side, reference)} in place of {_rows(reference, reference)} the cosine stays as it is."
    word = "raises" if parts.change > 0 else "lowers"
    what = (
        "Replacing every token of both sentences by its reconstruction"
        if reference == "original"
        else f"Replacing {_rows(reference, reference)} by those of {escape_markdown(side)}"
    )
    text = (
        f"{what} {word} the cosine by **{number_text(abs(parts.change), parts.digits)}**. {parts_text(parts, effects.decides)}"
    )
    if effects.decides == "shared":
        text += f" {unrelated_text(result, side)}"
    return f"{text} {token_text(result, effects, word)}".strip()


def _rows(side: str, reference: str) -> str:
    """The rows of a side's table in words."""
    if reference == "original":
        return "the original rows" if side == "original" else f"the {escape_markdown(side)} rows"
    return f"the rows of {escape_markdown(side)}"


def parts_text(parts: Parts, decides: str) -> str:
    """What each sentence does alone, what the common move does, and which of them decides.

    >>> parts_text(Parts(0.827, 0.845, -0.284, -0.309, 3), "shared")
    'Each sentence alone moves away from the other (−0.284, −0.309); both move the same way, which brings them together again: **+0.611**.'
    """
    signed = parts.signed
    first, second, shared, change = parts.first, parts.second, parts.shared, parts.change
    if first == second == 0:
        text = "Neither sentence alone moves"
    elif first * second >= 0:
        way = "away from" if first + second < 0 else "towards"
        text = f"Each sentence alone moves {way} the other ({signed(first)}, {signed(second)})"
    else:
        ways = ("away from", "towards") if first < 0 else ("towards", "away from")
        text = f"Alone, the first sentence moves {ways[0]} the second ({signed(first)}), the second {ways[1]} the first ({signed(second)})"
    if shared == 0:
        return f"{text}. {_DECIDES[decides]}".strip()
    text += "; both move the same way" if shared > 0 else "; they move in opposite directions"
    if decides == "shared":
        own = round(first + second, parts.digits)
        if own * shared < 0:
            result = "brings them together again" if shared > 0 else "parts them again"
            return f"{text}, which {result}: **{signed(shared)}**."
        return f"{text}, which does most of it: **{signed(shared)}**."
    if shared * change < 0:
        end = "The two nearly cancel out." if abs(change) < NEARLY * abs(shared) else _DECIDES[decides]
        return f"{text}, which takes back {signed(shared)}. {end}"
    return f"{text}, which adds {signed(shared)}. {_DECIDES[decides]}"


_DECIDES = {
    "shared": "",
    "both": "What the sentences do alone decides.",
    "first": "What the first sentence does alone decides.",
    "second": "What the second sentence does alone decides.",
}


def unrelated_text(result: PairComparison, side: str) -> str:
    """Whether all sentences move like these two: what two unrelated ones do; "" where that was not measured."""
    reference = result.sides[0]
    if not {reference, side} <= set(result.unrelated):
        return ""
    before, after = (result.unrelated[one] for one in (reference, side))
    shown = f"**{number_text(before, 2)}** to **{number_text(after, 2)}**"
    if after - before >= TELLING:
        return f"All sentences become more alike: two unrelated ones go from {shown} on average."
    if before - after >= TELLING:
        return f"All sentences become less alike: two unrelated ones go from {shown} on average."
    return f"Sentences in general hardly do: two unrelated ones go from {shown} on average."


def token_text(result: PairComparison, effects: Attribution, word: str) -> str:
    """Which token decides, with its effect and that of its sentence, or that none does. word: ``raises`` or ``lowers``."""
    own = [[kind != "special" for kind in sentence.kinds] for sentence in result.sentences]
    found = effects.decisive_token(own)
    if found is None:
        return "No single token decides."
    number, place = found
    sentence, part = result.sentences[number], effects.sentences[number]
    token, whole = sentence.tokens[place], whole_word(sentence, place)
    of = f" (of “{escape_markdown(whole)}”)" if whole != token else ""
    all_of_it = part.whole if effects.tokens_exact else float(part.tokens.sum())
    value = float(part.tokens[place])
    digits = max(digits_of(result), digits_for(abs(value)))
    return (
        f"In the {('first', 'second')[number]} sentence **{escape_markdown(token)}**{of} {word} it most: "
        f"{number_text(value, digits, signed=True)}, the whole sentence {number_text(all_of_it, digits, signed=True)}."
    )


def whole_word(sentence: ReadSentence, place: int) -> str:
    """The word that a token is part of, where its pieces begin with ##; else the token.

    >>> sentence = ReadSentence("", (1, 2, 3), ("tasty", "lo", "##aves"), ("word", "word", "word piece"), 3)
    >>> [whole_word(sentence, place) for place in range(3)]
    ['tasty', 'loaves', 'loaves']
    """
    pieces = [token.startswith("##") for token in sentence.tokens]
    begin, end = place, place + 1
    while begin and pieces[begin]:
        begin -= 1
    while end < len(pieces) and pieces[end]:
        end += 1
    return "".join(token.removeprefix("##") if at else token for at, token in enumerate(sentence.tokens[begin:end]))


def blocks_sum_text(effects: Attribution, digits: int) -> str:
    """What the blocks' own effects add up to, beside what all of them do at once."""
    total = number_text(float(effects.per_block.sum()), digits, signed=True)
    return f"One {effects.kind} at a time they add up to {total}; all at once they make {change_text(effects.before, effects.after, digits)}."


def method_text(effects: Attribution) -> str:
    """How the numbers were found."""
    if not effects.tokens_exact:
        integral = effects.integral
        return (
            "For long sentences the effects come from integrated gradients (Sundararajan et al., 2017) along the straight line from "
            f"the embeddings before to those after, at {integral.steps} points. They add up to the whole change: "
            f"{signed(integral.total, 5)}, {gap_text(integral.gap)} away from the true {signed(integral.change, 5)}."
        )
    text = (
        "Exact: for each token the sentence was encoded again with that token alone replaced, and compared with "
        "the other sentence as it was. Tokens act together in the network, so their effects need not add up to the whole."
    )
    if not effects.blocks_exact:
        text += (
            f" The parts of each token by {effects.kind} are too many to encode one by one: they come from integrated gradients "
            f"(Sundararajan et al., 2017, {effects.integral.steps} points, {gap_text(effects.integral.gap)} away from the true "
            "change), which share out the whole change, so they do not add up to the token's own effect."
        )
    return text


def gap_text(gap: float) -> str:
    """How far an integral is off.

    >>> gap_text(-0.000123), gap_text(1e-9)
    ('0.00012', 'less than 0.00001')
    """
    return f"{abs(gap):.5f}" if abs(gap) >= 1e-5 else "less than 0.00001"


def digits_for(scale: float) -> int:
    """How many digits after the point, 3 to 6, show an effect as large as ``scale`` with two significant digits.

    >>> digits_for(0.4), digits_for(0.004), digits_for(0.0), digits_for(0.00002)
    (3, 4, 3, 6)
    """
    digits = 3
    while 0 < scale < 10 ** (1 - digits) and digits < 6:
        digits += 1
    return digits


def signed(value: float, digits: int = 3) -> str:
    """The effect of one token or block with its sign; one that is only rounding is 0.

    >>> signed(0.01234), signed(-0.5), signed(1e-9), signed(-0.0002)
    ('+0.012', '−0.500', '0', '0.000')
    """
    return "0" if abs(value) < NOTHING else number_text(value, digits, signed=True)
