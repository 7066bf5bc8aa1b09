"""A still picture of a perturbation as SVG: strength and activity of every box, outputs before and after, one sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ct_widgets.palette import LIGHT
from ct_widgets.widgets.perturbation_state import Box
from ct_widgets.widgets.pictures.svg import Picture, label, plain

WIDTH = 880
_LEFT, _TOP, _ROW = 16, 56, 22
_NAME, _AXIS = 220, 170
_OUTPUTS = 520
_FEWEST_OUTPUTS, _LEAST_OUTPUT = 4, 0.005
_RANGE = 2.0
_PLOT, _PLOT_TOP = 130, 34
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2")
_GAP = 12
_STEPS, _MOST_TICKS = (1, 2, 5, 10, 20, 50, 100), 5

_SURFACE, _, _INK, _MUTED, _HAIRLINE, _ACCENT, _POSITIVE, _NEGATIVE, _ACTIVATION = LIGHT
_LINES = (_ACTIVATION, _ACCENT, _POSITIVE, _NEGATIVE, _MUTED)


def perturbation_picture(
    prompt: str,
    boxes: Sequence[Box],
    answer: Mapping[str, Any],
    predicted: Mapping[str, float],
    curve: Mapping[str, Any] | None,
) -> Picture:
    """Draw a perturbation.

    answer: what the view got for its strengths; predicted: activity by box, as the graph has it; curve: of one slider.
    """
    adjustable = [box.name for box in boxes if box.features]
    ranked = sorted(answer.get("outputs", []), key=lambda row: -row[3])
    outputs = [row for i, row in enumerate(ranked) if i < _FEWEST_OUTPUTS or max(row[2], row[3]) >= _LEAST_OUTPUT]
    below = _TOP + _ROW * len(outputs)
    sweep = "" if curve is None else "".join(_sweep(curve, answer.get("strengths", {}), below + 20))
    height = max(_TOP + _ROW * len(adjustable), below + (_PLOT + _PLOT_TOP + 40 if sweep else 0)) + 28
    parts = [
        f'<rect width="{WIDTH}" height="{height}" fill="{_SURFACE}"/>',
        f'<text x="{_LEFT}" y="24" font-size="13" font-weight="600" fill="{_INK}">{label(prompt, 80)}</text>',
        f'<text x="{_LEFT}" y="46" fill="{_MUTED}">activity, strength where set (ring), ◇ by the graph</text>',
        f'<text x="{_OUTPUTS}" y="46" fill="{_MUTED}">next token: before (outline) and after</text>',
        *_activities(adjustable, answer, predicted),
        *_outputs(outputs),
        sweep,
    ]
    return Picture("".join(parts), WIDTH, height, f"Perturbation of {plain(prompt, 300)}")


def _activities(names: Sequence[str], answer: Mapping[str, Any], predicted: Mapping[str, float]) -> Iterator[str]:
    zero, one = _LEFT + _NAME + _AXIS / 2, _AXIS / 2 / _RANGE
    for row, name in enumerate(names):
        y = _TOP + _ROW * row
        activity = answer.get("activity", {}).get(name)
        x = zero + one * max(-_RANGE, min(_RANGE, 1.0 if activity is None else activity))
        colour = _NEGATIVE if x < zero else _ACTIVATION
        yield f'<text x="{_LEFT}" y="{y + 12}" fill="{_INK}">{label(name, 32)}</text>'
        yield f'<path d="M{zero - _RANGE * one} {y + 8}h{2 * _RANGE * one}" stroke="{_HAIRLINE}"/>'
        yield f'<rect x="{min(x, zero):.1f}" y="{y + 4}" width="{abs(x - zero):.1f}" height="8" fill="{colour}"/>'
        yield f'<path d="M{zero + one} {y + 1}v14" stroke="{_MUTED}"/>'
        if name in answer.get("strengths", {}):
            yield f'<circle cx="{x:.1f}" cy="{y + 8}" r="5" fill="{_SURFACE}" stroke="{_ACCENT}" stroke-width="2"/>'
        elif answer.get("strengths") and math.isfinite(guess := predicted.get(name, math.nan)):
            at = zero + one * max(-_RANGE, min(_RANGE, guess))
            yield f'<path d="M{at:.1f} {y + 3}l5 5l-5 5l-5 -5z" fill="{_SURFACE}" stroke="{_INK}"/>'
        shown = "n/a" if activity is None else f"{100 * activity:.0f} %".replace("-", "\u2212")
        yield f'<text x="{_LEFT + _NAME + _AXIS + 52}" y="{y + 12}" text-anchor="end" fill="{_INK}">{shown}</text>'


def _outputs(outputs: Sequence[Sequence[Any]]) -> Iterator[str]:
    full = WIDTH - _OUTPUTS - 160
    for row, (_, token, before, after, *_) in enumerate(outputs):
        y = _TOP + _ROW * row
        yield f'<text x="{_OUTPUTS}" y="{y + 12}" fill="{_INK}">{label(token, 14)}</text>'
        yield f'<rect x="{_OUTPUTS + 104}" y="{y + 4}" width="{full * after:.1f}" height="8" fill="{_ACTIVATION}"/>'
        yield (
            f'<rect x="{_OUTPUTS + 104}" y="{y + 2}" width="{full * before:.1f}" height="12" fill="none" '
            f'stroke="{_MUTED}"/>'
        )
        yield f'<text x="{WIDTH - 12}" y="{y + 12}" text-anchor="end" fill="{_INK}">{after:.2f}</text>'


def _sweep(curve: Mapping[str, Any], strengths: Mapping[str, float], top: float) -> Iterator[str]:
    """Logits of the likeliest tokens against the strength of one slider, which stands at the vertical line."""
    values, logits = curve["values"], curve["logits"]
    low, high = (pick(map(pick, logits)) for pick in (min, max))
    left, right, first, last = _OUTPUTS + 30, WIDTH - 86, values[0], values[-1]
    bottom = top + _PLOT_TOP + _PLOT

    def x(value: float) -> float:
        return left + (right - left) * (value - first) / ((last - first) or 1)

    def y(value: float) -> float:
        return bottom - _PLOT * (value - low) / ((high - low) or 1)

    name = label(str(curve["name"]), 30)
    yield f'<text x="{_OUTPUTS}" y="{top + 16}" fill="{_MUTED}">logit against strength of {name}</text>'
    step = next((size for size in _STEPS if (high - low) / size <= _MOST_TICKS), _STEPS[-1])
    for level in range(math.ceil(low / step) * step, math.floor(high) + 1, step):
        yield f'<path d="M{left} {y(level):.1f}H{right}" stroke="{_HAIRLINE}"/>'
        yield f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end" fill="{_MUTED}">{_signed(level)}</text>'
    for tick in range(math.ceil(first), math.floor(last) + 1):
        yield f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle" fill="{_MUTED}">{_signed(tick)}</text>'
    here = x(max(first, min(last, strengths.get(curve["name"], 1.0))))
    yield f'<path d="M{here:.1f} {top + _PLOT_TOP}V{bottom}" stroke="{_INK}"/>'
    lowest = -math.inf  # names keep apart where their lines end together
    for i in sorted(range(len(logits)), key=lambda i: -logits[i][-1]):
        path = "L".join(f"{x(value):.1f} {y(logit):.1f}" for value, logit in zip(values, logits[i], strict=True))
        dashes = f' stroke-dasharray="{_DASHES[i]}"' if _DASHES[i] else ""
        yield f'<path d="M{path}" fill="none" stroke="{_LINES[i]}" stroke-width="1.6"{dashes}/>'
        lowest = max(y(logits[i][-1]), lowest + _GAP)
        yield f'<text x="{right + 6}" y="{lowest + 4:.1f}" fill="{_LINES[i]}">{label(curve["tokens"][i], 11)}</text>'


def _signed(value: int) -> str:
    return str(value).replace("-", "\u2212")
