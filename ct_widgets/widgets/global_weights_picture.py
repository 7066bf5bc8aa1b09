"""A still picture of one step of a walk where no widget runs: inputs, outputs, and the card of the feature between."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ct_widgets.widgets.examples_picture import WIDTH, examples_picture, visible

_MARGIN, _LINE, _TOP = 12, 20, 52
_COLUMN = (WIDTH - 3 * _MARGIN) // 2
_BAR, _LABEL = 70, 66
_MOST_ROWS = 8
_NAMES = {"virtual": "virtual weight", "era": "ERA", "twera": "TWERA"}

_STYLE = """
.gw text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1d1f23;white-space:pre}
.gw .s{font-family:system-ui,sans-serif}.gw .b{font-weight:600}.gw .m{fill:#6b7078}.gw .i{font-style:italic}
.gw .p{fill:#ffffff;stroke:#e3e3df}.gw .pos{fill:#1b7837}.gw .neg{fill:#762a83}
@media(prefers-color-scheme:dark){.gw text{fill:#e7e8ea}.gw .m{fill:#9aa0a8}.gw .p{fill:#16181d;stroke:#30343c}
.gw .pos{fill:#5bb97a}.gw .neg{fill:#b98ac6}}
"""


def global_weights_picture(walk: Mapping[str, Any]) -> str:
    """The step as SVG; `walk` is what `GlobalWeights.walk` made."""
    card = examples_picture(walk["card"])
    card_height = int(re.findall(r'height="(\d+)"', card)[0])
    sides = [list(walk[side]["rows"][:_MOST_ROWS]) for side in ("inputs", "outputs")]
    upper = _TOP + _LINE * max(1, *map(len, sides)) + _MARGIN
    height = upper + card_height
    by = _NAMES[walk["by"]]
    title = f"inputs and outputs of {walk['feature']} by {by}"
    parts = [
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{upper - 1}" rx="4" class="p"/>',
        f'<text x="{_MARGIN}" y="24" class="s b">{escape(title)}</text>',
        *(
            part
            for number, (name, rows) in enumerate(zip(("inputs", "outputs"), sides, strict=True))
            for part in _side(name, rows, _MARGIN + number * (_COLUMN + _MARGIN), walk["by"])
        ),
    ]
    below = card.replace("<svg ", f'<svg y="{upper}" ', 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<title>{escape(title)}</title><style>{_STYLE}</style><g class="gw">{"".join(parts)}</g>'
        f"{below}</svg>"
    )


def _side(name: str, rows: Sequence[Mapping[str, Any]], x: int, by: str) -> Iterator[str]:
    apart = sum(bool(row["interference"]) for row in rows)
    note = f"   {apart} of {len(rows)} interference" if apart else ""
    yield f'<text x="{x}" y="{_TOP - 8}" class="s m">{name if rows else f"no {name}"}{note}</text>'
    largest = max((abs(row[by] or 0.0) for row in rows), default=0.0) or 1.0
    for number, row in enumerate(rows):
        y = _TOP + 12 + number * _LINE
        weight = row[by] or 0.0
        sign = "pos" if weight > 0 else "neg"
        size = _BAR * abs(weight) / largest
        right = x + _COLUMN
        label = visible(row["label"])[:34] if row["label"] else ""
        label += " · interference" if row["interference"] else ""
        style = "s m" if row["interference"] else "s i" if row["guessed"] else "s b"
        text = f"{weight:+.3g}".replace("-", "−")
        yield f'<text x="{x}" y="{y}">{escape(row["feature"])}</text>'
        yield f'<text x="{x + _LABEL}" y="{y}" class="{style}">{escape(label)}</text>'
        yield f'<rect class="{sign}" opacity=".3" x="{right - _BAR}" y="{y - 11}" width="{size:.1f}" height="14"/>'
        yield f'<text x="{right - 2}" y="{y}" text-anchor="end" class="{sign}">{text}</text>'
