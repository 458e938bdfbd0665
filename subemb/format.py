"""Numbers as people read them: sizes, shares, durations."""

from .codec.settings import METHODS, CompressionSettings


def size_text(size: float) -> str:
    """Bytes in decimal units, three digits.

    >>> size_text(46_881_792), size_text(106_387), size_text(12), size_text(1_000_000)
    ('46.9 MB', '106 kB', '12 B', '1.00 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    if unit == "B":
        return f"{size:.0f} B"
    return f"{size:.2f} {unit}" if size < 9.995 else f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"


def percent_text(share: float, digits: int = 3) -> str:
    """A share as per cent with so many significant digits, and never a false 0 or 100.

    >>> percent_text(0.00104836), percent_text(0.99895, 5), percent_text(0.5), percent_text(0.0), percent_text(0.9999996)
    ('0.105 %', '99.895 %', '50 %', '0 %', '> 99.9 %')
    """
    value = share * 100
    text = f"{value:.{digits}g}"
    if 99.9 < value < 100 and float(text) >= 100:
        return "> 99.9 %"
    if 0 < value < 1e-4:
        return "< 0.0001 %"
    return f"{float(text):.10f}".rstrip("0").rstrip(".") + " %"


def count_text(number: int) -> str:
    """Thousands set apart.

    >>> count_text(30522)
    '30,522'
    """
    return f"{number:,}"


def seconds_text(seconds: float) -> str:
    """A duration.

    >>> seconds_text(0.04), seconds_text(4.26), seconds_text(75)
    ('under 0.1 s', '4.3 s', '1 min 15 s')
    """
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def settings_text(settings: CompressionSettings) -> str:
    """Method and settings in one line.

    >>> settings_text(CompressionSettings("cluster", codebook_size=32, weights="none"))
    'Cluster (unique), f = 3, Q = 32, equal weights, seed 0'
    """
    method = METHODS[settings.method]
    parts = [method.title]
    if method.uses_codebooks:
        letter = "stages" if settings.method == "residual" else "f"
        parts.append(f"{letter} = {settings.subspaces}")
        parts.append(f"Q = {settings.codebook_size if settings.codebook_size is not None else 'automatic'}")
        if method.can_be_unique and settings.wants_unique != method.is_unique:
            parts.append("unique tuples" if settings.wants_unique else "collisions allowed")
    if settings.method == "low_rank" and settings.rank is not None:
        parts.append(f"rank {settings.rank}")
    if method.uses_codebooks:
        parts.append(_SHORT_WEIGHT_NAMES[settings.weights])
        parts.append(f"seed {settings.seed}")
    return ", ".join(parts)


WEIGHT_NAMES = {
    "vocabulary": "estimated from the vocabulary",
    "none": "every token alike",
    "zipf": "Zipf by token id",
    "counts": "token counts of a text",
    "sqrt_counts": "square root of token counts",
    "given": "given as numbers",
}
_SHORT_WEIGHT_NAMES = {
    "vocabulary": "vocabulary weights",
    "none": "equal weights",
    "zipf": "Zipf weights",
    "counts": "count weights",
    "sqrt_counts": "√count weights",
    "given": "given weights",
}
