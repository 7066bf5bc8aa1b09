"""The columns of an operand sheet: sparse plots, number weights, links (`js/src/core/operands/operands.ts` reads them).

A plot travels as pairs of bytes (gap, value) over its flattened cells: go `gap` cells on and put `value` there, of
which 255 stands for the plot's peak (1 to 255 for plots with a sign, where 128 is zero); value 0 only goes on.
Most features are inactive on most pairs, so that this takes a tenth of the cells; values are right to 1/510 of
the peak.

Axes: r row of the sheet, a, b operands, n number token, e link.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic import Family, OperandActivations
from ct_widgets.columns import encode
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.adjacency import Float32
from ct_widgets.graph.node_id import KIND_NAMES
from ct_widgets.widgets.operand_rows import Neighbours, Row, Rows, token_place

_FARTHEST = 255
_SIGNED_ZERO, _SIGNED_STEPS = 128, 127

UInt8 = npt.NDArray[np.uint8]


class Weights(NamedTuple):
    """Weights with which rows write to the numbers `numbers` and read from their embeddings, [r, n]."""

    numbers: tuple[int, ...]
    output: Float32
    embedding: Float32


def pack_plot(plot: Float32, peak: float, *, signed: bool) -> UInt8:
    """Pack a plot [a, b] as pairs (gap, value)."""
    flat = plot.reshape(-1)
    cell = np.flatnonzero(flat)
    share = flat[cell] / peak if peak else flat[cell]
    value = _SIGNED_ZERO + np.rint(share * _SIGNED_STEPS) if signed else np.maximum(1, np.rint(share * 255))
    gap = np.diff(cell, prepend=0)
    jumps = gap // _FARTHEST  # steps without a value before the one with it
    place = np.cumsum(jumps + 1) - 1
    pairs = np.zeros((int(place[-1]) + 1 if len(cell) else 0, 2), np.uint8)
    pairs[:, 0] = _FARTHEST
    pairs[place, 0] = gap - jumps * _FARTHEST
    pairs[place, 1] = value
    return pairs.reshape(-1)


def pack_plots(prefix: str, operands: OperandActivations, rows: Sequence[Row], *, signed: bool) -> dict[str, Any]:
    """Make columns `prefix`bytes, `prefix`start [r + 1] and `prefix`peak [r] of the plots of all rows."""
    plots = [operands.plot(*row.feature) for row in rows]
    peak = np.array([np.abs(plot).max(initial=0) for plot in plots], np.float32)
    packed = [pack_plot(plot, float(top), signed=signed) for plot, top in zip(plots, peak, strict=True)]
    return {
        f"{prefix}bytes": np.concatenate([*packed, np.zeros(0, np.uint8)]),
        f"{prefix}start": np.cumsum([0, *map(len, packed)]).astype(np.int32),
        f"{prefix}peak": peak,
    }


def pack_links(found: Sequence[Neighbours]) -> dict[str, Any]:
    """Make link columns: inputs of row 0, its outputs, inputs of row 1 and so on begin at `link_start` [2 r + 1]."""
    groups = [side for neighbours in found for side in neighbours]
    every = [link for group in groups for link in group]
    return {
        "link_start": np.cumsum([0, *map(len, groups)]).astype(np.int32),
        "link_kind": np.array([KIND_NAMES.index(link.node.kind) for link in every], np.uint8),
        "link_layer": np.array([link.node.layer for link in every], np.int16),
        "link_position": np.array([link.node.position for link in every], np.int32),
        "link_index": np.array([link.node.index for link in every], np.int64),
        "link_weight": np.array([link.weight for link in every], np.float32),
    }


def wire(
    operands: OperandActivations,
    rows: Rows,
    families: Sequence[Family],
    weights: Weights | str,
    links: Sequence[Neighbours] | None,
    graph: AttributionGraph | None,
) -> bytes:
    """Encode all that a sheet shows; `weights` may be the reason why there are none."""
    states = [operands] if operands.before is None else [operands, operands.before]
    signed = any(bool((state.value < 0).any()) for state in states)
    arrays: dict[str, Any] = {
        "layer": np.array([row.layer for row in rows.rows], np.int16),
        "index": np.array([row.index for row in rows.rows], np.int64),
        "influence": np.array([row.influence for row in rows.rows], np.float32),
        **pack_plots("", operands, rows.rows, signed=signed),
    }
    if operands.before is not None:
        arrays |= pack_plots("before_", operands.before, rows.rows, signed=signed)
    if not isinstance(weights, str):
        # Weights of any scale fit float16 as parts of their row's largest.
        for name, values in (("output", weights.output), ("embedding", weights.embedding)):
            top = np.abs(values).max(1, initial=0)
            arrays[f"{name}_peak"] = top.astype(np.float32)
            arrays[name] = (values / np.where(top > 0, top, 1)[:, None]).astype(np.float16)
    if links is not None:
        arrays |= pack_links(links)
    facts = {
        "template": operands.template,
        "a": list(operands.a),
        "b": list(operands.b),
        "position": token_place(operands),
        "tokens": list(operands.tokens if graph is None else graph.tokens),
        "signed": signed,
        "n_shown": rows.n_shown,
        "elsewhere": rows.elsewhere,
        "left_out": rows.left_out,
        "families": [[one.kind, one.name, round(one.explained, 4)] for one in families],
        "labels": ["" if graph is None else graph.labels.get(row.name, "") for row in rows.rows],
        "numbers": [] if isinstance(weights, str) else list(weights.numbers),
        "no_weights": weights if isinstance(weights, str) else "",
        "token_of": _tokens(links or (), graph),
    }
    return encode(arrays, facts)


def _tokens(links: Sequence[Neighbours], graph: AttributionGraph | None) -> dict[str, str]:
    """Look up the text of the embeddings and logits at the ends of links, by the node's parts joined with "/"."""
    if graph is None:
        return {}
    ends = {
        link.node
        for neighbours in links
        for side in neighbours
        for link in side
        if link.node.kind in ("embedding", "logit")
    }
    return {"/".join(map(str, node)): graph.token(node) for node in ends}
