"""What fillings and perplexities mean, in a sentence or two that a student reads once.

Every function takes ``mark``, which makes a token of the vocabulary ready for where the sentence is shown.
"""

from collections.abc import Callable
from math import exp

from ...base.text import percent_text
from .fill import Filled, FilledMask
from .network import CAUSAL
from .perplexity import NAMES, TextPerplexity
from .uses import ADAPTED, BOTH, INPUT, ORIGINAL, OUTPUT, TableUses

Mark = Callable[[str], str]
HARDLY = 0.02  # nats a token from which on a loss is worth a word: 2 % of the perplexity
CLEARLY = 1.5  # how many times as much one use has to lose as the other to be named
_MOST_STAY, _FEW_STAY = (
    0.8,
    0.3,
)  # shares of the best fillings from which on they hardly change, and up to which they are others


def capitalized(name: str) -> str:
    """A name as the first word of a sentence."""
    return name[:1].upper() + name[1:]


def times_text(factor: float) -> str:
    """A factor, to three digits.

    >>> times_text(1.234), times_text(31.4159), times_text(1234.5)
    ('1.23 times', '31.4 times', '1,234 times')
    """
    return f"{factor:,.0f} times" if factor >= 100 else f"{factor:.3g} times"


def fill_verdict(filled: Filled, mark: Mark = str, number: int = 0) -> str:
    """What became of the answer for one gap. number: of the mask."""
    mask = filled.masks[number]
    best = mask.top(0)[0]
    first = f"{mark(best.token)} ({percent_text(best.probabilities[0])})"
    if len(filled.sides) == 1:
        return f"{capitalized(filled.sides[0])} puts {first} first."
    return " ".join(_of_side(filled, mask, side, first, mark) for side in range(1, len(filled.sides)))


def _of_side(filled: Filled, mask: FilledMask, side: int, first: str, mark: Mark) -> str:
    names, before, after = filled.sides, mask.top(0)[0], mask.top(side)[0]
    rank, kept, best = before.best_ranks[side], mask.kept(side), len(mask.top(0))
    stay = f"{'all' if kept == best else 'none' if kept == 0 else kept} of the {best} best {'stays' if kept <= 1 else 'stay'}"
    now = percent_text(before.probabilities[side])
    if rank == 1:
        same = f"{capitalized(names[side])} still puts {first} first, now with {now}"
        return f"{same}, and {stay}." if kept >= _MOST_STAY * best else f"{same}, but only {stay}."
    if side > 1:  # what is first in the original has been said
        return f"{capitalized(names[side])} puts {mark(after.token)} first; {mark(before.token)} has rank {rank:,}, and {stay}."
    instead = f"{mark(after.token)} ({percent_text(after.probabilities[side])})"
    lead = "The answer is lost. " if rank > mask.k and kept <= _FEW_STAY * best else ""
    return f"{lead}{capitalized(names[0])} puts {first} first, {names[side]} {instead}. {mark(before.token)} falls to rank {rank:,}, and {stay}."


def word_verdict(filled: Filled, mark: Mark = str, number: int = 0) -> str:
    """What became of the word that stood there; empty if none did, or if it is no single answer."""
    mask = filled.masks[number]
    own = mask.masked_filling
    if own is None:
        several = mask.masked_pieces > 1 and filled.kind != CAUSAL
        word = mark(mask.masked)
        return (
            f"The hidden word {word} has {mask.masked_pieces} tokens, so it is not among the fillings of one mask."
            if several
            else ""
        )
    ranks = ", ".join(
        f"{name} {own.best_ranks[side]:,} ({percent_text(own.probabilities[side])})" for side, name in enumerate(filled.sides)
    )
    if filled.kind == CAUSAL and mask.masked_pieces > 1:
        return f"Rank of {mark(own.token)}, the first of {mask.masked_pieces} tokens of {mark(mask.masked)}: {ranks}."
    return f"Rank of the word that stood there, {mark(mask.masked)}: {ranks}."


def perplexity_text(value: float) -> str:
    """Three digits, with commas between thousands.

    >>> perplexity_text(1.2345), perplexity_text(31415.9)
    ('1.23', '31,416')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def text_verdict(result: TextPerplexity) -> str:
    """How much harder a text is to guess for each side after the first."""
    name, first = capitalized(NAMES[result.kind]), result.sides[0]
    before = result.perplexity(first)
    if len(result.sides) == 1:
        return f"{name} of {first}: {perplexity_text(before)}, as if it chose among so many equally probable tokens."
    return " ".join(
        _text_of_side(result, side, NAMES[result.kind] if place == 0 else "") for place, side in enumerate(result.sides[1:])
    )


def _text_of_side(result: TextPerplexity, side: str, name: str) -> str:
    before, after = result.perplexity(result.sides[0]), result.perplexity(side)
    loss = result.mean(result.sides[0]) - result.mean(side)
    numbers = f"{name + ' ' if name else ''}{perplexity_text(before)} → {perplexity_text(after)}"
    interval = result.interval(side)
    if abs(loss) < HARDLY:
        return f"{capitalized(side)} hardly changes how well the text is guessed: {numbers}."
    if interval is not None and not interval.excludes_zero:
        return f"{capitalized(side)} shows no clear change: {numbers} may be chance in the choice of sentences."
    harder = "harder" if loss > 0 else "easier"
    says = f"{capitalized(side)} finds the text {harder} to guess: {numbers}, {times_text(exp(loss))} as high."
    return says if interval is not None else f"{says} Too few sentences to say how sure that is."


def uses_verdict(found: TableUses, mark: Mark = str) -> str:
    """Where compression hurts, by the text, else by the sentence."""
    if found.scored is None:
        return _uses_of_sentence(found, mark)
    costs = found.costs
    factor = {side: times_text(exp(cost)) for side, cost in costs.items()}
    name = NAMES[found.scored.kind]
    adapted = f" Adapted, it is {factor[ADAPTED]} as high." if ADAPTED in costs else ""
    if not found.is_tied:
        return f"Only the input is compressed, as the output has a table of its own: the {name} is {factor[INPUT]} as high.{adapted}"
    interval = found.scored.interval(BOTH)
    is_chance = interval is not None and not interval.excludes_zero
    if is_chance or max(costs[INPUT], costs[OUTPUT], costs[BOTH]) < HARDLY:
        why = ", which may be chance" if is_chance else ""
        return f"It hardly hurts: with input and output compressed the {name} is {factor[BOTH]} as high{why}.{adapted}"
    between = found.scored.interval_between(INPUT, OUTPUT)
    could_be_chance = between is not None and not between.excludes_zero
    more, less = (OUTPUT, INPUT) if costs[OUTPUT] >= costs[INPUT] else (INPUT, OUTPUT)
    words = {INPUT: "input", OUTPUT: "output"}
    both = f"both {factor[BOTH]}"
    if could_be_chance or costs[more] < CLEARLY * max(costs[less], HARDLY):
        alike = f"Input and output hurt alike: compressed alone, the input makes the {name} {factor[INPUT]} as high"
        return f"{alike}, the output {factor[OUTPUT]}, {both}.{adapted}"
    few = "" if between is not None else " (few sentences: this may be chance)"
    return (
        f"The {words[more]} is where it hurts: compressed alone it makes the {name} {factor[more]} as high, the {words[less]} alone "
        f"{factor[less]}, {both}{few}.{adapted}"
    )


def _uses_of_sentence(found: TableUses, mark: Mark) -> str:
    mask = found.mask
    wanted = mask.wanted
    ranks = {side: wanted.best_ranks[place] for place, side in enumerate(found.sides)}
    listed = ", ".join(f"{side} {rank:,}" for side, rank in ranks.items() if side != ORIGINAL)
    return f"Rank of {mark(wanted.token)}: {ORIGINAL} {ranks[ORIGINAL]:,}, {listed}."
