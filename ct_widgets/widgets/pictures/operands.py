"""A still picture of an operand sheet where no widget runs: SVG, each plot a small PNG of one hue and its opacity."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic import Family, OperandActivations
from ct_widgets.palette import LIGHT, rgb
from ct_widgets.widgets.operand_rows import Rows
from ct_widgets.widgets.pictures.svg import SANS, Picture, label, plain

MOST_PLOTS = 24
_COLUMNS, _SIZE, _GAP, _LEFT, _TOP = 8, 100, 16, 40, 48
_CAPTION = 36


def operand_picture(operands: OperandActivations, rows: Rows, families: Sequence[Family]) -> Picture:
    """Draw the first plots with their families, on one colour scale."""
    shown = rows.rows[: min(rows.n_shown, MOST_PLOTS)]
    plots = [operands.plot(*row.feature) for row in shown]
    top = max((float(np.abs(plot).max(initial=0)) for plot in plots), default=0.0)
    width = _LEFT + _COLUMNS * (_SIZE + _GAP)
    height = _TOP + -(-len(shown) // _COLUMNS) * (_SIZE + _CAPTION) + 20
    parts = [
        f'<text x="{_LEFT}" y="20" class="mono bold" font-size="13">{label(operands.template, 80)}</text>',
        f'<text x="{_LEFT}" y="38" class="muted">activation at “{label(operands.tokens[operands.position], 20)}”, '
        f"white to orange: 0 to {top:.3g}; a upwards from {operands.a[0]} to {operands.a[-1]}, "
        f"b to the right from {operands.b[0]} to {operands.b[-1]}</text>",
    ]
    for place, (row, plot, family) in enumerate(zip(shown, plots, families, strict=False)):
        x = _LEFT + (place % _COLUMNS) * (_SIZE + _GAP)
        y = _TOP + (place // _COLUMNS) * (_SIZE + _CAPTION)
        parts += _plot(plot, top, x, y)
        parts.append(f'<text x="{x}" y="{y + _SIZE + 14}">{label(family.name, 18)}</text>')
        parts.append(f'<text x="{x}" y="{y + _SIZE + 27}" class="mono muted">{row.name}</text>')
    more = rows.n_shown - len(shown)
    if more > 0:
        parts.append(f'<text x="{_LEFT}" y="{height - 8}" class="muted">and {more} more</text>')
    content = f'<rect width="{width}" height="{height}" class="surface"/>{"".join(parts)}'
    return Picture(content, width, height, f"Operand plots of {plain(operands.template, 200)}", SANS, themed=True)


def _plot(plot: npt.NDArray[np.float32], top: float, x: float, y: float) -> Iterator[str]:
    share = plot[::-1] / top if top else plot[::-1]  # a from 0 at the bottom
    data = base64.b64encode(png(share)).decode("ascii")
    place = f'x="{x}" y="{y}" width="{_SIZE}" height="{_SIZE}"'
    yield f'<image {place} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
    yield f'<rect {place} class="frame"/>'


def png(share: npt.NDArray[np.float32]) -> bytes:
    """Draw values from -1 to 1, [row, column], as PNG: orange above zero, purple below, opacity by size."""
    levels = np.arange(-127, 128)
    colours = np.where(levels[:, None] < 0, rgb(LIGHT.negative), rgb(LIGHT.activation)).astype(np.uint8)
    opacity = np.abs(levels * 255 // 127).clip(0, 255).astype(np.uint8)
    pixels = (np.rint(share * 127).clip(-127, 127) + 127).astype(np.uint8)
    height, width = pixels.shape
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # each line begins with its filter: none
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", colours.tobytes()),
        (b"tRNS", opacity.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
