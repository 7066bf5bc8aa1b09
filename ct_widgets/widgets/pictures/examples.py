"""A still picture of a feature's card where no widget runs: SVG, light and dark by the preference of its reader."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ct_widgets.widgets.pictures.svg import Picture, panel, visible

WIDTH = 860
FONT_SIZE = 12
_MARGIN, _LINE, _CHARACTER = 12, 20, 7.25
_PEAK = 400
"""Where the peaks of the examples stand below each other."""
_MOST_LINES = 8
_BAR, _BARS = 9, 44


def examples_picture(card: Mapping[str, Any]) -> Picture:
    """Draw the card: name, label, numbers, histogram, promoted tokens, and top examples."""
    sections: Sequence[Mapping[str, Any]] = card.get("sections") or ()
    examples = list(sections[0]["examples"][:_MOST_LINES]) if sections else []
    parts = [*_head(card)]
    y = 34
    if counts := card.get("histogram", {}).get("counts"):
        parts += _histogram(counts, y)
        y += _BARS + 8
    for name in ("promotes", "suppresses"):
        tokens = "  ".join(visible(text) for text, _ in card.get(name, ()))
        y += _LINE
        parts.append(f'<text x="{_MARGIN}" y="{y}" class="sans muted">{name}</text>')
        parts.append(f'<text x="{_MARGIN + 80}" y="{y}">{escape(tokens[:100])}</text>')
    y += 8
    maximum = float(card.get("maximum") or 0)
    for example in examples:
        y += _LINE
        parts += _example(example, y, maximum, " " if card.get("spaced") else "")
    if card.get("missing"):
        y += _LINE
        parts.append(f'<text x="{_MARGIN}" y="{y}" class="sans muted">{escape(str(card["missing"])[:130])}</text>')
    height = y + _MARGIN + 4
    return Picture(panel(WIDTH, height) + "".join(parts), WIDTH, height, font_size=FONT_SIZE, themed=True)


def _head(card: Mapping[str, Any]) -> Iterator[str]:
    name = str(card["feature"])
    label, guess = card.get("label"), card.get("guess")
    yield f'<text x="{_MARGIN}" y="24" class="bold">{escape(name)}</text>'
    about, style = ("", "")
    if label:
        about, style = label["text"], " bold"
    elif guess:
        about, style = f"{guess['text']} (automatic)", " italic"
    x = _MARGIN + (len(name) + 2) * _CHARACTER
    yield f'<text x="{x:.0f}" y="24" class="sans{style}">{escape(visible(str(about))[:70])}</text>'
    if "density" in card:
        facts = f"density {100 * card['density']:.2g} %   maximum {card['maximum']:.3g}"
        yield f'<text x="{WIDTH - _MARGIN}" y="24" text-anchor="end" class="sans muted">{facts}</text>'


def _histogram(counts: Sequence[int], y: float) -> Iterator[str]:
    largest = max(1, *counts)
    for bin_, count in enumerate(counts):
        size = _BARS * math.log1p(count) / math.log1p(largest)
        x = _MARGIN + bin_ * _BAR
        top = y + _BARS - size
        yield f'<rect class="activation" opacity=".6" x="{x}" y="{top:.1f}" width="{_BAR - 1}" height="{size:.1f}"/>'


def _example(example: Mapping[str, Any], y: float, maximum: float, gap: str) -> Iterator[str]:
    """Pieces of text from the peak to both sides, as far as there is room."""
    pieces, peak = example["pieces"], int(example["peak"])
    widths = [_CHARACTER * len(visible(text) + gap) for text, _ in pieces]
    x = _PEAK - sum(widths[:peak])
    for place, ((text, activations), width) in enumerate(zip(pieces, widths, strict=True)):
        inside = width - _CHARACTER * len(gap)
        if x >= _MARGIN and x + inside <= WIDTH - _MARGIN:
            share = max(0.0, *activations) / maximum if maximum > 0 else 0.0
            if share > 0:
                yield (
                    f'<rect class="activation" opacity="{0.65 * min(1.0, share):.2f}" x="{x:.1f}" y="{y - 13}" '
                    f'width="{inside:.1f}" height="17" rx="2"/>'
                )
            yield f'<text x="{x:.1f}" y="{y}" textLength="{inside:.1f}">{escape(visible(text))}</text>'
            if place == peak:
                yield f'<path class="mark" d="M{x:.1f} {y + 4}h{inside:.1f}"/>'
        x += width
