"""The sentences on fillings and perplexities, rule by rule, and the comparison of a table's uses against its parts."""

from math import exp, log

import masked_models
import pytest
from checkpoints import make_gpt2, make_llama

import subemb
from subemb.base.errors import InputError
from subemb.evaluate.context.fill import Filled, FilledMask, Filling, fill
from subemb.evaluate.context.network import CAUSAL, MASKED, SideTables
from subemb.evaluate.context.perplexity import MEAN, PERPLEXITY, SentenceScore, TextPerplexity, text_perplexity
from subemb.evaluate.context.uses import ADAPTED, BOTH, INPUT, ORIGINAL, OUTPUT, TableUses, compare_uses
from subemb.evaluate.context.verdicts import fill_verdict, text_verdict, uses_verdict, word_verdict
from subemb.evaluate.report import SideScores
from subemb.evaluate.statistics import Interval
from subemb.export.charts import uses_chart
from subemb.tasks.sides import sides_of

WHOLE = SideTables(True, "compressed")


def filled_of(ranks: list[int], masked: str = "", pieces: int = 0, kind: str = MASKED, k: int = 10) -> Filled:
    """Ten fillings t1 to t10 of the original, with these ranks on the other side, and that side's own in their places."""
    fillings = [Filling(n, f"t{n}", (0.5 / n, 0.4 / rank), (n, rank)) for n, rank in enumerate(ranks, 1)]
    taken = {rank for rank in ranks if rank <= k}
    others = [
        Filling(100 + rank, f"new{rank}", (0.5 / (40 + rank), 0.4 / rank), (40 + rank, rank))
        for rank in range(1, k + 1)
        if rank not in taken
    ]
    mask = FilledMask(
        1,
        tuple(fillings + others),
        k,
        (0.0, 1.0),
        (1.0, 1.0),
        masked,
        pieces,
        3 if pieces == 1 or (kind == CAUSAL and pieces) else None,
    )
    return Filled(("original", "compressed"), "a [MASK]", "[MASK]", (), (mask,), (WHOLE, WHOLE), 50, 3, kind=kind)


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        (range(1, 11), "Compressed still puts t1 (50 %) first, now with 40 %, and all of the 10 best stay."),
        ([1, *range(21, 30)], "Compressed still puts t1 (50 %) first, now with 40 %, but only 1 of the 10 best stays."),
        (
            [2, 1, *range(3, 11)],
            "Original puts t1 (50 %) first, compressed t2 (40 %). t1 falls to rank 2, and all of the 10 best stay.",
        ),
        (
            [31, 1, *range(3, 11)],
            "Original puts t1 (50 %) first, compressed t2 (40 %). t1 falls to rank 31, and 9 of the 10 best stay.",
        ),
        (
            range(31, 41),
            "The answer is lost. Original puts t1 (50 %) first, compressed new1 (40 %). t1 falls to rank 31, and none of the 10 best stays.",
        ),
    ],
)
def test_what_became_of_an_answer(ranks, expected):
    assert fill_verdict(filled_of(list(ranks))) == expected


def test_what_became_of_the_word_that_stood_there():
    ranks = [1, 2, 12, *range(4, 11)]
    assert word_verdict(filled_of(ranks)) == ""
    assert (
        word_verdict(filled_of(ranks, "cat", 1))
        == "Rank of the word that stood there, cat: original 3 (16.7 %), compressed 12 (3.33 %)."
    )
    assert "has 3 tokens, so it is not among the fillings" in word_verdict(filled_of(ranks, "unbelievable", 3))
    assert word_verdict(filled_of(ranks, "tree", 2, CAUSAL)).startswith("Rank of t3, the first of 2 tokens of tree: original 3")


def scored_of(
    means: dict[str, float], intervals: dict[str, tuple[float, float]] | None = None, kind: str = MASKED, sentences=()
):
    scores = {}
    for side, mean in means.items():
        ends = (intervals or {}).get(side)
        difference = mean - next(iter(means.values()))
        scores[side] = SideScores(
            {MEAN: mean, PERPLEXITY[kind]: exp(-mean)}, {}, {} if ends is None else {MEAN: Interval(difference, *ends)}
        )
    return TextPerplexity(
        sides=tuple(means),
        scores=scores,
        kind=kind,
        sentences=tuple(sentences),
        tokens=9,
        scored=9,
        seed=0,
        cut=0,
        sentences_left_out=0,
        unknown=0,
    )


@pytest.mark.parametrize(
    ("loss", "ends", "expected"),
    [
        (0.01, (-0.02, -0.001), "Compressed hardly changes how well the text is guessed: pseudo-perplexity 10 → 10.1."),
        (0.5, (-0.9, -0.1), "Compressed finds the text harder to guess: pseudo-perplexity 10 → 16.5, 1.65 times as high."),
        (
            0.5,
            (-0.9, 0.1),
            "Compressed shows no clear change: pseudo-perplexity 10 → 16.5 may be chance in the choice of sentences.",
        ),
        (-0.5, (0.1, 0.9), "Compressed finds the text easier to guess: pseudo-perplexity 10 → 6.07, 0.607 times as high."),
        (
            0.5,
            None,
            "Compressed finds the text harder to guess: pseudo-perplexity 10 → 16.5, 1.65 times as high. Too few sentences to say how sure that is.",
        ),
    ],
)
def test_how_much_harder_a_text_became(loss, ends, expected):
    found = scored_of({"original": -log(10), "compressed": -log(10) - loss}, None if ends is None else {"compressed": ends})
    assert text_verdict(found) == expected


def uses_of(input: float, output: float, both: float, adapted: float | None = None, noise: float = 0.0) -> TableUses:
    """Losses in nats a token, of twelve sentences of one token; noise: that the sentences of the output differ by."""
    losses = {ORIGINAL: 0.0, INPUT: input, OUTPUT: output, BOTH: both} | ({} if adapted is None else {ADAPTED: adapted})
    sentences = [
        SentenceScore(
            "s", 1, 1, tuple(-1.0 - loss - (noise if side == OUTPUT else 0.0) * (-1) ** n for side, loss in losses.items())
        )
        for n in range(12)
    ]
    intervals = {side: (-loss, -loss) for side, loss in losses.items() if side != ORIGINAL}
    return TableUses(
        None, scored_of({side: -1.0 - loss for side, loss in losses.items()}, intervals, sentences=sentences), True
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (uses_of(0.1, 1.0, 1.2), "The output is where it hurts: compressed alone it makes the pseudo-perplexity 2.72 times as high, the input alone 1.11 times, both 3.32 times."),
        (uses_of(1.0, 0.1, 1.2), "The input is where it hurts: compressed alone it makes the pseudo-perplexity 2.72 times as high, the output alone 1.11 times, both 3.32 times."),
        (uses_of(1.0, 1.1, 1.9), "Input and output hurt alike: compressed alone, the input makes the pseudo-perplexity 2.72 times as high, the output 3 times, both 6.69 times."),
        (uses_of(0.1, 1.0, 1.2, noise=9.0), "Input and output hurt alike: "),
        (uses_of(0.001, 0.01, 0.012), "It hardly hurts: with input and output compressed the pseudo-perplexity is 1.01 times as high."),
        (uses_of(0.1, 1.0, 1.2, adapted=0.2), " Adapted, it is 1.22 times as high."),
    ],
)  # fmt: skip
def test_where_it_hurts(found, expected):
    assert expected in uses_verdict(found)


# The comparison


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_gpt2, lambda folder, **more: make_llama(folder, **more), None])
def test_every_use_is_that_of_the_library_on_its_own(make, tmp_path):
    folder = masked_models.trained() / "animals" if make is None else make(tmp_path / "model", initializer_range=0.3)
    model = subemb.load(folder)
    sides = sides_of(model, subemb.compress(model.table, method="product", subspaces=2, codebook_size=6))
    sentence, text = "the dog says [MASK] in the garden .", "\n".join(masked_models.sentences()[:6])
    found = compare_uses(sides, sentence, text)
    is_tied = make is None or model.has_tied_head
    assert found.is_tied == is_tied
    names = {INPUT: (True, False)} | ({OUTPUT: (False, True), BOTH: (True, True)} if is_tied else {})
    assert found.sides == (ORIGINAL, *names)
    for place, (name, (input, output)) in enumerate(names.items(), 1):
        alone = fill(sides, sentence, input=input, output=output).masks[0]
        assert found.mask.kl[place] == pytest.approx(alone.kl[1], abs=1e-9)
        scored = text_perplexity(sides, text, input=input, output=output)
        assert found.scored.perplexity(name) == pytest.approx(scored.perplexity("compressed"))
    chart = uses_chart(found)
    assert len(chart.data) == 2
    assert [row[0] for row in chart.rows] == list(found.sides)
    assert chart.rows[1][1] == found.scored.perplexity(INPUT)
    adapted = compare_uses({**sides, "adapted": sides["compressed"]}, "", text)
    assert adapted.sides[-1] == ADAPTED
    assert adapted.mask is None
    assert len(uses_chart(adapted).data) == 1
    with pytest.raises(InputError, match="neither a sentence nor a text"):
        compare_uses(sides)
    with pytest.raises(InputError, match="no compressed table"):
        compare_uses({"original": model}, sentence)
