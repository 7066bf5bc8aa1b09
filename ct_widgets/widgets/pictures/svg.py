"""The ground of all still pictures: size, one style sheet for light and dark, and text that XML can hold."""

from __future__ import annotations

from html import escape
from string import Template
from typing import NamedTuple

from ct_widgets.palette import DARK, LIGHT, Palette

SANS = "system-ui, sans-serif"
MONO = "ui-monospace, Menlo, Consolas, monospace"

_CLASS = "ctw-still"
_RULES = f"""
text{{white-space:pre;fill:$ink}}
image{{image-rendering:pixelated}}
.sans{{font-family:{SANS}}}
.mono{{font-family:{MONO}}}
.bold{{font-weight:600}}
.italic{{font-style:italic}}
.thick{{stroke-width:1.5}}
.dashed{{stroke-dasharray:5 3}}
.muted{{fill:$muted}}
.panel{{fill:$surface;stroke:$hairline}}
.surface{{fill:$surface}}
.frame{{fill:none;stroke:$hairline}}
.axis{{fill:none;stroke:$muted}}
.mark{{fill:none;stroke:$ink;stroke-width:2}}
.activation{{fill:$activation}}
.positive{{fill:$positive}}
.negative{{fill:$negative}}
.first{{fill:none;stroke:$activation}}
.second{{fill:none;stroke:$accent}}
"""


def _sheet(palette: Palette, mark: str) -> str:
    """Write the rules that hold `mark`, for pictures alone: a page that holds them inline has other elements."""
    rules = "".join(f".{_CLASS} {rule}" for rule in _RULES.splitlines() if rule and mark in rule)
    return Template(rules).substitute(palette._asdict())


_SHEET = f"<style>{_sheet(LIGHT, '')}@media(prefers-color-scheme:dark){{{_sheet(DARK, '$')}}}</style>"
_SIGNS = {"\n": "⏎", "\r": "⏎", "\t": "⇥"}


class Picture(NamedTuple):
    """A still picture: the elements in it, its size in pixels, its title, and the font of its text."""

    content: str
    width: int
    height: int
    title: str = ""
    font: str = MONO
    font_size: int = 11
    themed: bool = False
    """Whether classes colour it, light or dark as the reader prefers; if not, attributes do, known to all renderers."""

    def svg(self, y: int = 0) -> str:
        """Write the picture as an SVG element, `y` pixels below the top of the picture that holds it."""
        place = f' y="{y}"' if y else ""
        title = f"<title>{escape(self.title)}</title>" if self.title else ""
        sheet = f' class="{_CLASS}">{_SHEET}' if self.themed else ">"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg"{place} viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="{self.font}" font-size="{self.font_size}" '
            f'role="img"{sheet}{title}{self.content}</svg>'
        )


def stacked(upper: Picture, lower: Picture) -> Picture:
    """Put one picture below another."""
    content = f"\n{upper.svg()}\n{lower.svg(upper.height)}\n"
    return Picture(content, max(upper.width, lower.width), upper.height + lower.height)


def panel(width: int, height: int) -> str:
    """Draw the surface of a picture with its outline."""
    return f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="4" class="panel"/>'


def visible(text: str) -> str:
    """Show line breaks, tabs and control characters as signs: XML cannot hold all of them, and none can be seen."""
    return "".join(_SIGNS.get(c, c if c.isprintable() else "·") for c in text) or "∅"


def plain(text: str, most: int) -> str:
    """Make a text visible on one line, without spaces around it, of at most `most` characters."""
    shown = visible(text).strip() or "␣"
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def label(text: str, most: int) -> str:
    """Write `plain` text as the content of an element."""
    return escape(plain(text, most))
