"""A still picture of one step of a walk where no widget runs: inputs, outputs, and the card of the feature between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ct_widgets.widgets.pictures.examples import FONT_SIZE, WIDTH, examples_picture
from ct_widgets.widgets.pictures.svg import Picture, panel, stacked, visible

_MARGIN, _LINE, _TOP = 12, 20, 52
_COLUMN = (WIDTH - 3 * _MARGIN) // 2
_BAR, _LABEL = 70, 66
_MOST_ROWS = 8
_NAMES = {"virtual": "virtual weight", "era": "ERA", "twera": "TWERA"}


def global_weights_picture(walk: Mapping[str, Any]) -> Picture:
    """Draw one step, as `global_weights_payload.walk` describes it."""
    sides = [list(walk[side]["rows"][:_MOST_ROWS]) for side in ("inputs", "outputs")]
    height = _TOP + _LINE * max(1, *map(len, sides)) + _MARGIN
    title = f"inputs and outputs of {walk['feature']} by {_NAMES[walk['by']]}"
    parts = [
        panel(WIDTH, height),
        f'<text x="{_MARGIN}" y="24" class="sans bold">{escape(title)}</text>',
        *_side("inputs", sides[0], _MARGIN, walk["by"]),
        *_side("outputs", sides[1], _COLUMN + 2 * _MARGIN, walk["by"]),
    ]
    upper = Picture("".join(parts), WIDTH, height, title, font_size=FONT_SIZE, themed=True)
    return stacked(upper, examples_picture(walk["card"]))


def _side(name: str, rows: Sequence[Mapping[str, Any]], x: int, by: str) -> Iterator[str]:
    apart = sum(bool(row["interference"]) for row in rows)
    note = f"   {apart} of {len(rows)} interference" if apart else ""
    yield f'<text x="{x}" y="{_TOP - 8}" class="sans muted">{name if rows else f"no {name}"}{note}</text>'
    largest = max((abs(row[by] or 0.0) for row in rows), default=0.0) or 1.0
    for number, row in enumerate(rows):
        y = _TOP + 12 + number * _LINE
        weight = row[by] or 0.0
        sign = "positive" if weight > 0 else "negative"
        size = _BAR * abs(weight) / largest
        right = x + _COLUMN
        label = visible(row["label"])[:34] if row["label"] else ""
        label += " · interference" if row["interference"] else ""
        style = "sans muted" if row["interference"] else "sans italic" if row["guessed"] else "sans bold"
        text = f"{weight:+.3g}".replace("-", "−")
        yield f'<text x="{x}" y="{y}">{escape(row["feature"])}</text>'
        yield f'<text x="{x + _LABEL}" y="{y}" class="{style}">{escape(label)}</text>'
        yield f'<rect class="{sign}" opacity=".3" x="{right - _BAR}" y="{y - 11}" width="{size:.1f}" height="14"/>'
        yield f'<text x="{right - 2}" y="{y}" text-anchor="end" class="{sign}">{text}</text>'
