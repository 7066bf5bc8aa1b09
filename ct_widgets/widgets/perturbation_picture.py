"""A still picture of a perturbation as SVG: strength and activity of every box, outputs before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ct_widgets.widgets.perturbation_state import Box

WIDTH = 880
_LEFT, _TOP, _ROW = 16, 56, 22
_NAME, _AXIS = 220, 170
_OUTPUTS = 520
_FEWEST_OUTPUTS, _LEAST_OUTPUT = 4, 0.005
_RANGE = 2.0

# The light palette of js/src/ui/theme.css.
_SURFACE, _INK, _MUTED, _HAIRLINE, _ACCENT = "#ffffff", "#1d1f23", "#6b7078", "#e3e3df", "#2f6fde"
_ACTIVATION, _NEGATIVE = "#d94801", "#762a83"


def perturbation_picture(prompt: str, boxes: Sequence[Box], answer: Mapping[str, Any]) -> str:
    """The picture as SVG text; `answer` is what the view got for its strengths."""
    adjustable = [box.name for box in boxes if box.features]
    ranked = sorted(answer.get("outputs", []), key=lambda row: -row[3])
    outputs = [row for i, row in enumerate(ranked) if i < _FEWEST_OUTPUTS or max(row[2], row[3]) >= _LEAST_OUTPUT]
    height = _TOP + _ROW * max(len(adjustable), len(outputs)) + 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11" role="img">',
        f"<title>{_text('Perturbation of ' + prompt, 300)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="{_SURFACE}"/>',
        f'<text x="{_LEFT}" y="24" font-size="13" font-weight="600" fill="{_INK}">{_text(prompt, 80)}</text>',
        f'<text x="{_LEFT}" y="46" fill="{_MUTED}">activity, and strength where it was set (ring)</text>',
        f'<text x="{_OUTPUTS}" y="46" fill="{_MUTED}">next token: before (outline) and after</text>',
        *_activities(adjustable, answer),
        *_outputs(outputs),
        "</svg>",
    ]
    return "".join(parts)


def _activities(names: Sequence[str], answer: Mapping[str, Any]) -> Iterator[str]:
    zero, one = _LEFT + _NAME + _AXIS / 2, _AXIS / 2 / _RANGE
    for row, name in enumerate(names):
        y = _TOP + _ROW * row
        activity = answer.get("activity", {}).get(name)
        x = zero + one * max(-_RANGE, min(_RANGE, 1.0 if activity is None else activity))
        colour = _NEGATIVE if x < zero else _ACTIVATION
        yield f'<text x="{_LEFT}" y="{y + 12}" fill="{_INK}">{_text(name, 32)}</text>'
        yield f'<path d="M{zero - _RANGE * one} {y + 8}h{2 * _RANGE * one}" stroke="{_HAIRLINE}"/>'
        yield f'<rect x="{min(x, zero):.1f}" y="{y + 4}" width="{abs(x - zero):.1f}" height="8" fill="{colour}"/>'
        yield f'<path d="M{zero + one} {y + 1}v14" stroke="{_MUTED}"/>'
        if name in answer.get("strengths", {}):
            yield f'<circle cx="{x:.1f}" cy="{y + 8}" r="5" fill="{_SURFACE}" stroke="{_ACCENT}" stroke-width="2"/>'
        shown = "n/a" if activity is None else f"{100 * activity:.0f} %".replace("-", "\u2212")
        yield f'<text x="{_LEFT + _NAME + _AXIS + 52}" y="{y + 12}" text-anchor="end" fill="{_INK}">{shown}</text>'


def _outputs(outputs: Sequence[Sequence[Any]]) -> Iterator[str]:
    full = WIDTH - _OUTPUTS - 160
    for row, (_, token, before, after, *_) in enumerate(outputs):
        y = _TOP + _ROW * row
        yield f'<text x="{_OUTPUTS}" y="{y + 12}" fill="{_INK}">{_text(token, 14)}</text>'
        yield f'<rect x="{_OUTPUTS + 104}" y="{y + 4}" width="{full * after:.1f}" height="8" fill="{_ACTIVATION}"/>'
        yield (
            f'<rect x="{_OUTPUTS + 104}" y="{y + 2}" width="{full * before:.1f}" height="12" fill="none" '
            f'stroke="{_MUTED}"/>'
        )
        yield f'<text x="{WIDTH - 12}" y="{y + 12}" text-anchor="end" fill="{_INK}">{after:.2f}</text>'


def _text(text: str, most: int) -> str:
    """`text` as a text node: cut, without characters that XML forbids or that reorder their neighbours."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in text.strip()) or "\u2423"
    return escape(plain if len(plain) <= most else plain[: most - 1] + "…")
