"""How many rounds of k-means look at how many tokens; without torch, since estimates of seconds ask it too."""

FIRST_TOKENS, MORE_TOKENS = 32, 256  # of a sample, for each codeword
LARGE_VOCABULARY, LARGE_SAMPLES = 100_000, 2  # tokens, whose samples are so many times as large: they still take little
LAST_ROUNDS, LAST_SHARE = 2, 3  # on all tokens: at least so many, else one less than a third of the rounds
SAMPLED_SHARE = 0.5  # of the tokens; a larger sample saves nothing


def plan(vocabulary: int, codebook_size: int, iterations: int) -> list[tuple[int | None, int]]:
    """How many rounds on how many tokens (None: all), in order; they add up to ``iterations``.

    >>> plan(30522, 32, 10)
    [(1024, 4), (8192, 4), (None, 2)]
    >>> plan(250_037, 32, 10)
    [(2048, 4), (16384, 4), (None, 2)]
    >>> plan(300, 32, 10)
    [(None, 10)]
    """
    stages: list[tuple[int | None, int]] = []
    left, half = iterations - max(LAST_ROUNDS, iterations // LAST_SHARE - 1), int(SAMPLED_SHARE * vocabulary)
    counted = codebook_size * (LARGE_SAMPLES if vocabulary >= LARGE_VOCABULARY else 1)
    for each, rounds in ((FIRST_TOKENS, -(-left // 2)), (MORE_TOKENS, left // 2)):
        tokens = min(each * counted, half)
        if FIRST_TOKENS * counted <= half and rounds > 0:
            stages.append((tokens, rounds))
    return [*stages, (None, iterations - sum(rounds for _, rounds in stages))]


def passes(vocabulary: int, codebook_size: int, iterations: int) -> float:
    """How often that reads every token.

    >>> passes(300, 32, 10)
    10.0
    """
    return sum(
        (vocabulary if tokens is None else tokens) * rounds / vocabulary
        for tokens, rounds in plan(vocabulary, codebook_size, iterations)
    )
