"""A still picture of a graph as SVG, made without a browser: for GitHub, printing, and wherever widgets do not run.

It shows what the view shows first: the graph pruned as a new view prunes it, layers upwards, tokens from left to
right. Axes: n nodes, e edges, p positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ct_widgets.graph import AttributionGraph, node_id
from ct_widgets.graph.node_id import EMBEDDING, ERROR, LOGIT
from ct_widgets.palette import LIGHT, mixed
from ct_widgets.widgets.pictures.svg import Picture, label, plain
from ct_widgets.widgets.state import initial_state

WIDTH = 880
_MOST_EDGES = 600
_MOST_NODES = 900
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 90, 12, 72
_LARGEST_PITCH = 15.0
_CHARACTER = 6.7  # width of one at 11 px
_LOGIT_PITCH = 17.0
_BESIDE = 0.5  # of the width, for logits with their texts beside them

_INK, _MUTED = LIGHT.ink, LIGHT.muted


class _Places(NamedTuple):
    """Centre of every node, [n], with the middle of rows by layer and of columns by position."""

    x: list[float]
    y: list[float]
    radius: float
    row_y: dict[int, float]
    column_x: list[float]
    column_width: list[float]
    height: float
    is_beside: bool
    """Whether the texts of logits stand beside their marks; else slanted above."""


def graph_picture(graph: AttributionGraph) -> Picture:
    """Draw the graph as a new view shows it first.

    >>> Path("graph.svg").write_text(graph_picture(graph).svg())
    """
    state = initial_state(graph)
    shown = graph.prune(state["node_threshold"], state["edge_threshold"])
    rows = _rows_to_draw(shown)
    places = _place(shown, rows)
    height = round(places.height + _BOTTOM)
    parts = [
        f'<rect width="{WIDTH}" height="{height}" fill="{LIGHT.surface}"/>',
        *_header(shown, graph),
        *_frame(shown, places),
        *_edges(shown, rows, places),
        *_nodes(shown, rows, places),
        _footer(shown, graph, height),
    ]
    return Picture("\n".join(parts), WIDTH, height, f"Attribution graph of {plain(graph.prompt, 300)}")


def _rows_to_draw(graph: AttributionGraph) -> list[int]:
    """Rows of the strongest nodes, embeddings and logits first in line."""
    rank = graph.influence + graph.is_kind("embedding", "logit") * np.float32(1e6)
    return sorted(np.argsort(-rank, kind="stable")[:_MOST_NODES].tolist())


def _place(graph: AttributionGraph, rows: list[int]) -> _Places:
    cells: dict[tuple[int, int], list[int]] = {}
    for row in sorted(rows, key=lambda row: -_strength(graph, row)):
        cells.setdefault((int(graph.layer[row]), int(graph.position[row])), []).append(row)
    layers = sorted({layer for layer, _ in cells})
    row_height = min(46.0, max(19.0, 440.0 / max(1, len(layers))))
    height = _TOP + row_height * len(layers)
    row_y = {layer: height - row_height * (place + 0.5) for place, layer in enumerate(layers)}

    fullest = [1] * len(graph.tokens)
    for (layer, position), nodes in cells.items():
        if layer < graph.n_layers:
            fullest[position] = max(fullest[position], len(nodes))
    room = WIDTH - _LEFT - _RIGHT
    gap = min(6.0, room / len(fullest) / 4)
    pitch = min(_LARGEST_PITCH, (room - 2 * gap * len(fullest)) / sum(fullest))
    spare = (room - sum(size * pitch + 2 * gap for size in fullest)) / len(fullest)
    width = [size * pitch + 2 * gap + spare for size in fullest]
    left = [_LEFT + sum(width[:position]) for position in range(len(width))]
    column_x = [start + size / 2 for start, size in zip(left, width, strict=True)]

    x, y = [0.0] * graph.n_nodes, [0.0] * graph.n_nodes
    for (layer, position), nodes in cells.items():
        for place, row in enumerate(nodes):
            x[row] = column_x[position] + (place - (len(nodes) - 1) / 2) * pitch
            y[row] = row_y[layer]
    logits = [row for (layer, _), nodes in cells.items() if layer == graph.n_layers for row in nodes]
    is_beside = not logits or _spread_logits(logits, [_logit_text(graph, row) for row in logits], column_x, x)
    radius = min(5.0, max(1.5, pitch * 0.38))
    return _Places(x, y, radius, row_y, column_x, width, height, is_beside)


def _spread_logits(logits: list[int], texts: list[str], column_x: list[float], x: list[float]) -> bool:
    """Logits from left to right above the last token; returns whether their texts stand beside them."""
    widths = [26 + _CHARACTER * len(text) for text in texts]
    is_beside = sum(widths) <= _BESIDE * WIDTH
    steps = widths if is_beside else [_LOGIT_PITCH] * len(logits)
    at = max(_LEFT, min(WIDTH - _RIGHT - sum(steps), column_x[-1] - (steps[0] if len(steps) == 1 else sum(steps)) / 2))
    for row, step in zip(logits, steps, strict=True):
        x[row] = at + 7
        at += step
    return is_beside


def _logit_text(graph: AttributionGraph, row: int) -> str:
    return plain(graph.node_token[row] or f"#{graph.index[row]}", 10)


def _strength(graph: AttributionGraph, row: int) -> float:
    return float(graph.probability[row] if graph.kind[row] == LOGIT else graph.influence[row])


def _header(shown: AttributionGraph, graph: AttributionGraph) -> Iterator[str]:
    logits = np.flatnonzero(shown.kind == LOGIT)
    logits = logits[np.argsort(-np.nan_to_num(shown.probability[logits]), kind="stable")][:3].tolist()
    answer = "   ".join(f"{_logit_text(shown, row)} {_unit(float(shown.probability[row]))}" for row in logits)
    scores = graph.scores()
    spaced = f'fill="{_INK}" xml:space="preserve"'
    yield f'<text x="12" y="20" font-size="13" font-weight="600" fill="{_INK}">{label(graph.prompt, 76)}</text>'
    yield f'<text x="12" y="38" {spaced}><tspan fill="{_MUTED}">next  </tspan>{label(answer, 60)}</text>'
    yield (
        f'<text x="{WIDTH - 12}" y="20" text-anchor="end" {spaced}><tspan fill="{_MUTED}">replacement </tspan>'
        f'{_unit(scores.replacement)}<tspan fill="{_MUTED}">  completeness </tspan>{_unit(scores.completeness)}</text>'
    )


def _frame(graph: AttributionGraph, places: _Places) -> Iterator[str]:
    for layer, y in places.row_y.items():
        name = "logits" if layer == graph.n_layers else "emb" if layer < 0 else f"L{layer}"
        yield f'<text x="{_LEFT - 10}" y="{y + 4:.1f}" text-anchor="end" fill="{_MUTED}">{name}</text>'
    yield f'<path d="M{_LEFT} {places.height:.1f}H{WIDTH - _RIGHT}" stroke="{LIGHT.hairline}"/>'
    is_narrow = any(
        len(plain(token, 14)) * _CHARACTER > width
        for token, width in zip(graph.tokens, places.column_width, strict=True)
    )
    last = -np.inf
    for token, x in zip(graph.tokens, places.column_x, strict=True):
        if x - last < 11:
            continue
        last = x
        turn = f' transform="rotate(-40 {x:.1f} {places.height + 12:.1f})" text-anchor="end"' if is_narrow else ""
        anchor = "" if is_narrow else ' text-anchor="middle"'
        yield f'<text x="{x:.1f}" y="{places.height + 15:.1f}" fill="{_INK}"{turn}{anchor}>{label(token, 14)}</text>'


def _edges(graph: AttributionGraph, rows: list[int], places: _Places) -> Iterator[str]:
    """The strongest edges by share of their target's input, weak ones first."""
    target = graph.adjacency.targets
    drawn = np.zeros(graph.n_nodes, dtype=np.bool_)
    drawn[rows] = True
    total = graph.row_total[target]
    share = np.divide(graph.weight, total, out=np.zeros_like(graph.weight), where=total > 0)
    share[~(drawn[target] & drawn[graph.source])] = 0
    order = np.argsort(-np.abs(share), kind="stable")[:_MOST_EDGES]
    for edge in order[::-1].tolist():
        part = float(share[edge])
        if part == 0:
            continue
        s, t = int(graph.source[edge]), int(target[edge])
        x0, y0, x1, y1 = places.x[s], places.y[s], places.x[t], places.y[t]
        third = (y1 - y0) / 3
        size, colour = abs(part) ** 0.5, LIGHT.negative if part < 0 else LIGHT.positive
        yield (
            f'<path d="M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 + third:.1f} {x1:.1f} {y1 - third:.1f} {x1:.1f} {y1:.1f}" '
            f'fill="none" stroke="{colour}" stroke-width="{0.4 + 1.8 * size:.1f}" '
            f'stroke-opacity="{0.05 + 0.6 * size:.2f}"/>'
        )


def _nodes(graph: AttributionGraph, rows: list[int], places: _Places) -> Iterator[str]:
    # Against the strongest feature or error; embeddings, where all paths end, are stronger than any of them.
    inner = [_strength(graph, row) for row in rows if graph.kind[row] not in (EMBEDDING, LOGIT)]
    strongest = max(inner, default=0.0) or 1.0
    for row in rows:
        x, y, kind = places.x[row], places.y[row], int(graph.kind[row])
        strength = _strength(graph, row)
        part = strength if kind == LOGIT else min(1.0, strength / strongest) ** 0.5
        fill = LIGHT.surface if kind == ERROR else _shade(0.1 + 0.82 * part)
        radius = places.radius * (0.78 + 0.42 * part)
        yield _mark(kind, x, y, radius, f'fill="{fill}" stroke="{_shade(0.62)}"')
        if kind == LOGIT:
            yield _logit_label(graph, row, places)


def _logit_label(graph: AttributionGraph, row: int, places: _Places) -> str:
    x, y = places.x[row], places.y[row]
    weight = ' font-weight="600"' if _strength(graph, row) > 0.5 else ""
    text = label(_logit_text(graph, row), 12)
    if places.is_beside:
        return f'<text x="{x + 11:.1f}" y="{y + 4:.1f}" fill="{_INK}"{weight}>{text}</text>'
    turn = f'transform="rotate(45 {x:.1f} {y - 9:.1f})" text-anchor="end"'
    return f'<text x="{x:.1f}" y="{y - 9:.1f}" fill="{_INK}"{weight} {turn}>{text}</text>'


def _mark(kind: int, x: float, y: float, r: float, style: str) -> str:
    """The shape of a kind, as in `js/src/ui/parts/shapes.ts`."""
    match kind:
        case node_id.EMBEDDING:
            return f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r:.1f}" height="{2 * r:.1f}" {style}/>'
        case node_id.FEATURE:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" {style}/>'
        case node_id.LOGIT:
            box = f'x="{x - 1.2 * r:.1f}" y="{y - r:.1f}" width="{2.4 * r:.1f}" height="{2 * r:.1f}"'
            return f'<rect {box} rx="{0.6 * r:.1f}" {style}/>'
        case _:
            d = 1.2 * r
            return f'<path d="M{x:.1f} {y - d:.1f}l{d:.1f} {d:.1f} {-d:.1f} {d:.1f} {-d:.1f} {-d:.1f}Z" {style}/>'


def _footer(shown: AttributionGraph, graph: AttributionGraph, height: float) -> str:
    legend = "■ token  ● feature  ◇ error  ▬ output   green raises, purple lowers"
    counts = f"{shown.n_nodes:,} of {graph.n_nodes:,} nodes, {shown.n_edges:,} of {graph.n_edges:,} edges"
    drawn = f" ({_MOST_EDGES} strongest drawn)" if shown.n_edges > _MOST_EDGES else ""
    style = f'y="{height - 8:.0f}" fill="{_MUTED}" font-size="10"'
    return (
        f'<text x="12" {style} xml:space="preserve">{legend}</text>'
        f'<text x="{WIDTH - 12}" {style} text-anchor="end">{counts}{drawn}</text>'
    )


def _unit(value: float) -> str:
    """Probabilities and scores as the view writes them: .61, and >.99 for what is nearly 1."""
    if np.isnan(value):
        return ""
    if 0.995 <= value < 1:
        return ">.99"
    return "<.01" if 0 < value < 0.005 else f"{value:.2f}".removeprefix("0")


def _shade(part: float) -> str:
    """Mix the colour `part` of the way from the surface to the ink."""
    return mixed(LIGHT.surface, LIGHT.ink, part)
