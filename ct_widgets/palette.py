"""The one palette of pictures, figures and pages made in Python: that of the front end's theme.css, light and dark."""

from __future__ import annotations

from typing import NamedTuple


class Palette(NamedTuple):
    """Colours by what they are for, as #rrggbb; a test holds them equal to the `--ctw-` properties of theme.css.

    >>> LIGHT.positive
    '#1b7837'
    """

    surface: str
    raised: str
    ink: str
    muted: str
    hairline: str
    accent: str
    positive: str
    negative: str
    activation: str


LIGHT = Palette("#ffffff", "#f7f7f5", "#1d1f23", "#6b7078", "#e3e3df", "#2f6fde", "#1b7837", "#762a83", "#d94801")
DARK = Palette("#16181d", "#1e2128", "#e7e8ea", "#9aa0a8", "#30343c", "#6ea1ff", "#5bb97a", "#b98ac6", "#ff9d5c")

SERIES = (LIGHT.accent, LIGHT.activation, "#9a7b00", "#0f8a8a", "#a3266f")
"""Colours that tell series of a figure apart, on a light or dark surface."""

ACTIVATION_SCALE = ((0, LIGHT.surface), (0.35, "#fdd0a2"), (0.7, "#fd8d3c"), (1, LIGHT.activation))
"""Colour scale from 0 to the largest activation."""
SIGNED_SCALE = ((0, LIGHT.negative), (0.25, "#c2a5cf"), (0.5, "#f7f7f7"), (0.75, "#a6dba0"), (1, LIGHT.positive))
"""Colour scale from the most negative value over 0 to the most positive."""


def mixed(start: str, end: str, share: float) -> str:
    """Mix two colours: `start` at 0, `end` at 1; a share outside is cut off.

    >>> mixed("#ffffff", "#000000", 0.5)
    '#808080'
    """
    part = min(1.0, max(0.0, share))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(rgb(start), rgb(end), strict=True))


def rgb(colour: str) -> tuple[int, int, int]:
    """Split a colour into red, green and blue, from 0 to 255.

    >>> rgb("#d94801")
    (217, 72, 1)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def css() -> str:
    """Write the palette as custom properties of a page, such as `--ink`, light or dark as its reader prefers.

    >>> css()[:71]
    ':root { color-scheme: light dark; --surface: #ffffff; --raised: #f7f7f5'
    """
    light, dark = (" ".join(f"--{name}: {colour};" for name, colour in one._asdict().items()) for one in (LIGHT, DARK))
    media = "@media (prefers-color-scheme: dark)"
    return f":root {{ color-scheme: light dark; {light} }}\n{media} {{ :root {{ {dark} }} }}\n"
