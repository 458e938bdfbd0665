"""Colours by lightness and hue as people see them, and how well one can be read on another."""

from math import cos, pi, sin

#: One colour an axis letter, for text and picture alike: (light theme, dark theme). Each can be read as text on the page and on the
#: sidebar of its theme.
AXES = {
    "V": ("#2460B7", "#8DBFFF"),  # tokens
    "D": ("#A63D02", "#FFA37F"),  # dimensions
    "f": ("#00792F", "#83D494"),  # subspaces
    "Q": ("#943B84", "#EEA0DC"),  # codewords
}


def axis_colour(letter: str) -> str:
    """The colour of an axis letter in the theme in use, as CSS.

    >>> axis_colour("V")
    'light-dark(#2460B7, #8DBFFF)'
    """
    return "light-dark({}, {})".format(*AXES[letter])


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """A colour of the OKLCh space (lightness and chroma 0..1, hue 0..1 of a turn) as #RRGGBB, cut to what a screen can show.

    Matrices: Björn Ottosson, "A perceptual color space for image processing", 2020.

    >>> oklch(1.0, 0.0, 0.0), oklch(0.0, 0.0, 0.0), oklch(0.628, 0.2577, 29.23 / 360)
    ('#FFFFFF', '#000000', '#FF0000')
    """
    a, b = chroma * cos(2 * pi * hue), chroma * sin(2 * pi * hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return "#" + "".join(f"{_channel(value):02X}" for value in (red, green, blue))


def _channel(linear: float) -> int:
    """0..255 of sRGB."""
    linear = min(1.0, max(0.0, linear))
    encoded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * encoded)


def contrast(first: str, second: str) -> float:
    """Contrast of two #RRGGBB colours, 1 to 21, as WCAG 2.2 defines it.

    >>> round(contrast("#000000", "#FFFFFF"), 1), contrast("#336699", "#336699")
    (21.0, 1.0)
    """
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable_on(background: str) -> str:
    """Black or white, whichever has more contrast on a #RRGGBB colour.

    >>> readable_on("#FFD400"), readable_on("#203080")
    ('#000000', '#FFFFFF')
    """
    return max("#000000", "#FFFFFF", key=lambda text: contrast(background, text))


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
