"""A still picture of a training run where no widget runs: SVG, light and dark by the preference of its reader."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from ct_widgets.widgets.pictures.svg import SANS, Picture, label, panel

WIDTH = 900
_MARGIN, _GAP, _ROW = 12, 24, 18
_HEAD, _CAPTION, _HIGH = 40, 50, 110
_SCALE = 40
"""Room for the marks of the vertical axis."""

_LINES = ("first thick", "second thick dashed")
"""Classes of the first and second line of a chart."""


class _Chart(NamedTuple):
    title: str
    lines: tuple[str, ...]
    is_share: bool = False


_CHARTS = (
    _Chart("loss", ("loss",)),
    _Chart("normalised MSE", ("batch, mean of layers", "held out, overall")),
    _Chart("L0: active features per token", ("L0",)),
    _Chart("shares", ("dead features", "same top-1 as model"), is_share=True),
)

Points = Sequence[Sequence[float]]


def training_picture(run: Mapping[str, Any], curves: Mapping[str, Points]) -> Picture:
    """Draw the run: what it has done, four charts over tokens, and its figures by layer."""
    rows: Sequence[Sequence[Any]] = run.get("layers") or ()
    height = _HEAD + _CAPTION + _HIGH + 2 * _MARGIN + (_ROW * (len(rows) + 1) + _MARGIN if rows else 0)
    extent = max(1.0, float(run.get("total") or 0), float(run.get("tokens") or 0))
    width = (WIDTH - 2 * _MARGIN - 3 * _GAP) / 4
    parts = [*_head(run)]
    for place, chart in enumerate(_CHARTS):
        parts += _chart(chart, curves, extent, _MARGIN + place * (width + _GAP), width)
    parts += _table(rows, _HEAD + _CAPTION + _HIGH + 2 * _MARGIN + 8)
    return Picture(panel(WIDTH, height) + "".join(parts), WIDTH, height, font=SANS, themed=True)


def _head(run: Mapping[str, Any]) -> Iterator[str]:
    title = label(str(run.get("title") or "Transcoder"), 90)
    state = f"{run.get('status', 'waiting')}: {run.get('tokens') or 0:,} of {run.get('total') or 0:,} tokens"
    yield f'<text x="{_MARGIN}" y="24" class="bold">{title}</text>'
    yield f'<text x="{WIDTH - _MARGIN}" y="24" text-anchor="end" class="muted">{escape(state)}</text>'


def _chart(chart: _Chart, curves: Mapping[str, Points], extent: float, left: float, width: float) -> Iterator[str]:
    lines = [[(p[0], p[1]) for p in curves.get(name) or ()] for name in chart.lines]
    yield f'<text x="{left:.0f}" y="{_HEAD + 6}" class="bold">{escape(chart.title)}</text>'
    for row, (name, line, style) in enumerate(zip(chart.lines, lines, _LINES, strict=False)):
        y = _HEAD + 21 + 14 * row
        value = _shown(line[-1][1], chart) if line else "\u2026"
        yield f'<path class="{style}" d="M{left:.0f} {y - 4}h16"/>'
        yield f'<text x="{left + 20:.0f}" y="{y}" class="muted">{escape(name)} {value}</text>'
    top, bottom = _HEAD + _CAPTION, _HEAD + _CAPTION + _HIGH - 14
    x0, x1 = left + _SCALE, left + width
    low, high = (0.0, 1.0) if chart.is_share else _ends([v for line in lines for _, v in line if v > 0])
    yield f'<path class="axis" d="M{x0:.1f} {top}V{bottom}H{x1:.1f}"/>'
    for level, mark in ((bottom, low), (top, high)):
        value = mark if chart.is_share else 10**mark
        yield f'<text x="{x0 - 4:.1f}" y="{level + 4}" text-anchor="end" class="muted">{_shown(value, chart)}</text>'
    yield f'<text x="{x1:.1f}" y="{bottom + 13}" text-anchor="end" class="muted">{extent:,.0f} tokens</text>'
    for style, line in zip(_LINES, lines, strict=False):
        drawn = [(t, v if chart.is_share else math.log10(v)) for t, v in line if chart.is_share or v > 0]
        spots = [
            f"{x0 + (x1 - x0) * t / extent:.1f} {bottom - (bottom - top) * (v - low) / (high - low):.1f}"
            for t, v in drawn
        ]
        if spots:
            yield f'<path class="{style}" d="M{"L".join(spots)}"/>'


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten between which all values are."""
    if not values:
        return 0.0, 1.0
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(0.02, (high - low) / 20)
    return low - room, high + room


def _shown(value: float, chart: _Chart) -> str:
    return f"{100 * value:.3g} %" if chart.is_share else f"{value:.3g}"


def _table(rows: Sequence[Sequence[Any]], y: float) -> Iterator[str]:
    if not rows:
        return
    places = (_MARGIN, _MARGIN + 150, _MARGIN + 220, _MARGIN + 330)
    for x, name in zip(places, ("layer", "normalised MSE", "L0", "dead features"), strict=True):
        anchor = "start" if x == _MARGIN else "end"
        yield f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="muted">{name}</text>'
    for i, (name, mse, l0, dead) in enumerate(rows, 1):
        cells = (escape(str(name)), f"{mse:.3g}", f"{l0:.3g}", f"{100 * dead:.3g} %")
        for x, text in zip(places, cells, strict=True):
            anchor = "start" if x == _MARGIN else "end"
            yield f'<text x="{x}" y="{y + _ROW * i}" text-anchor="{anchor}">{text}</text>'
