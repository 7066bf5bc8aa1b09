"""Which features an operand sheet plots, and what the graph says of them: their nodes, inputs and outputs.

Axes: r row of the sheet, e edge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np

from ct_widgets.arithmetic import OperandActivations
from ct_widgets.errors import GraphError, WidgetError
from ct_widgets.feature_name import FeatureLike, FeatureName
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.node_id import as_node_id
from ct_widgets.widgets.state import NodeLike, rows_that_fit

if TYPE_CHECKING:
    import pandas as pd

Plottable: TypeAlias = "pd.DataFrame | str | NodeLike | FeatureLike | Iterable[NodeLike | FeatureLike]"
"""Features to plot: a table of nodes or features, a query over the nodes of the graph, or nodes and features."""

MOST_ROWS = 256
"""Plots that one view holds."""
MOST_LINKS = 8
"""Inputs, and outputs, that are kept of a feature."""


class Row(NamedTuple):
    """A feature with a plot; influence is NaN where nothing is known of it."""

    layer: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  (the field's own name, as in NodeId)
    influence: float

    @property
    def feature(self) -> tuple[int, int]:
        """Layer and index."""
        return self.layer, self.index

    @property
    def name(self) -> str:
        """Such as L2/517."""
        return str(FeatureName(self.layer, self.index))


class Rows(NamedTuple):
    """Features with plots: the first `n_shown` make the sheet, one gets to the others by walking the graph."""

    rows: tuple[Row, ...]
    n_shown: int
    elsewhere: int
    """Nodes that were asked for and stand at other tokens."""
    left_out: int
    """Features that were asked for and are too many."""


class Link(NamedTuple):
    """An edge to a node of the graph, as seen from the feature at its other end."""

    node: NodeId
    weight: float


class Neighbours(NamedTuple):
    """The strongest inputs and outputs of a feature, strongest first."""

    inputs: tuple[Link, ...] = ()
    outputs: tuple[Link, ...] = ()


def template_of(prompt: str) -> str:
    """Find the template that a prompt with two numbers is one case of: "calc: {a}+{b}=" of "calc: 36+59="."""
    found = list(re.finditer(r"\d+", prompt))
    if len(found) != 2:
        raise WidgetError(
            f"operand plots vary two numbers, and {prompt[:80]!r} has {len(found)}: "
            'pass template=, such as "calc: {a}+{b}="'
        )
    (a, b) = (one.span() for one in found)
    return f"{prompt[: a[0]]}{{a}}{prompt[a[1] : b[0]]}{{b}}{prompt[b[1] :]}"


def token_place(operands: OperandActivations) -> int:
    """Count the position of the plots from the first token."""
    return operands.position % len(operands.tokens)


def choose(operands: OperandActivations, nodes: Plottable | None, graph: AttributionGraph | None) -> Rows:
    """Choose the features of `nodes` at the position of `operands`, each once: the MOST_ROWS of most influence.

    Raises WidgetError where there is none, and FeatureError for one that the transcoder does not have.
    """
    place = token_place(operands)
    asked = list(_asked(operands, nodes, graph))
    here: dict[tuple[int, int], Row] = {}
    for row, position in asked:
        if position in (None, place):
            here.setdefault(row.feature, row)
    chosen = list(here.values())
    elsewhere = sum(position not in (None, place) for _, position in asked)
    if not chosen:
        token = operands.tokens[place]
        there = sorted({position for _, position in asked if position is not None})
        raise WidgetError(
            f"none of the {elsewhere} feature nodes is at token {place}, {token!r}, where the plots are "
            f"(they are at {', '.join(map(str, there))}): pass position=, or (layer, index) pairs"
            if elsewhere
            else "there is no feature to plot: pass nodes of a graph, or (layer, index) pairs"
        )
    for row in chosen:
        operands.plot(*row.feature)  # FeatureError for what the transcoder does not have
    strongest = _strongest(chosen, MOST_ROWS)
    others = [row for row in _features_at(graph, place) if row.feature not in here] if graph else []
    rows = (*strongest, *_strongest(others, MOST_ROWS - len(strongest)))
    return Rows(rows, len(strongest), elsewhere, len(chosen) - len(strongest))


def _strongest(rows: list[Row], most: int) -> list[Row]:
    """Keep the `most` of most influence, in the order they came in."""
    if len(rows) <= most:
        return rows
    ranked = sorted(range(len(rows)), key=lambda i: -np.nan_to_num(rows[i].influence))
    return [rows[i] for i in sorted(ranked[:most])]


def _asked(
    operands: OperandActivations, nodes: Plottable | None, graph: AttributionGraph | None
) -> Iterator[tuple[Row, int | None]]:
    """Read the features that are asked for and their positions, None where none was named."""
    if nodes is None:
        nodes = _most_active(operands) if graph is None else np.flatnonzero(graph.is_kind("feature")).tolist()
    if isinstance(nodes, str) and not re.fullmatch(r"L\d+/\d+", nodes):
        if graph is None:
            raise WidgetError(f"{nodes!r} is a query over the nodes of a graph: pass graph= too")
        nodes = rows_that_fit(graph, nodes)
    if hasattr(nodes, "columns"):
        yield from _of_table(nodes)
    elif isinstance(nodes, str | NodeId) or not isinstance(nodes, Iterable):
        yield from _of_node(nodes, graph)
    else:
        for node in nodes:
            yield from _of_node(node, graph)


def _most_active(operands: OperandActivations) -> list[FeatureLike]:
    """List the features whose activations add up to the most."""
    table = operands.features
    table = table.assign(total=table["n_active"] * table["mean"]).nlargest(MOST_ROWS, "total")
    return list(zip(table["layer"].tolist(), table["index"].tolist(), strict=True))


def _of_table(table: Any) -> Iterator[tuple[Row, int | None]]:
    """Read rows of `graph.nodes`, or of any table of layers and indices, such as `operands.families`."""
    if not {"layer", "index"} <= set(table.columns):
        raise WidgetError(f"the table has no columns layer and index, only {', '.join(map(str, table.columns))}")
    if "position" in table.columns and "kind" in table.columns:
        table = table[table["kind"] == "feature"]
    none = [None] * len(table)
    positions = table["position"].tolist() if "position" in table.columns else none
    influences = table["influence"].tolist() if "influence" in table.columns else none
    for layer, index, position, influence in zip(
        table["layer"].tolist(), table["index"].tolist(), positions, influences, strict=True
    ):
        yield Row(int(layer), int(index), math.nan if influence is None else float(influence)), position


def _of_node(node: Any, graph: AttributionGraph | None) -> Iterator[tuple[Row, int | None]]:
    """Read a feature's name or (layer, index), or a node by id or row number; nodes of other kinds have no plot."""
    if isinstance(node, int | np.integer) and graph is not None:
        node = graph.node_ids[graph.row(int(node))]
    parts = cast("Any", node)
    try:
        if isinstance(node, str) or len(parts) == 2:
            yield Row(*FeatureName.of(parts), math.nan), None
        elif (found := as_node_id(parts)).kind == "feature":
            row = None if graph is None else _row_in(graph, found)
            influence = math.nan if graph is None or row is None else float(graph.influence[row])
            yield Row(found.layer, found.index, influence), found.position
    except (TypeError, ValueError) as error:
        raise WidgetError(
            f'{node!r} is not a feature: expected (layer, index), "L2/517", or a node (kind, layer, position, index)'
        ) from error


def _features_at(graph: AttributionGraph, position: int) -> list[Row]:
    return [
        Row(node.layer, node.index, float(graph.influence[row]))
        for row, node in enumerate(graph.node_ids)
        if node.kind == "feature" and node.position == position
    ]


def links(graph: AttributionGraph, rows: Sequence[Row], position: int) -> list[Neighbours]:
    """Find the neighbours of every row in the graph; none of a feature that is not in it. -> [r]."""
    at = [_row_in(graph, NodeId("feature", row.layer, position, row.index)) for row in rows]
    leaving = np.flatnonzero(np.isin(graph.source, [row for row in at if row is not None]))
    target = np.searchsorted(graph.indptr, leaving, side="right") - 1
    found: list[Neighbours] = []
    for row in at:
        if row is None:
            found.append(Neighbours())
            continue
        entering = np.arange(graph.indptr[row], graph.indptr[row + 1])
        mine = graph.source[leaving] == row
        inputs = _strongest_links(graph, entering, graph.source[entering])
        found.append(Neighbours(inputs, _strongest_links(graph, leaving[mine], target[mine])))
    return found


def _row_in(graph: AttributionGraph, node: NodeId) -> int | None:
    try:
        return graph.row(node)
    except GraphError:
        return None


def _strongest_links(graph: AttributionGraph, edges: Any, ends: Any) -> tuple[Link, ...]:
    best = np.argsort(-np.abs(graph.weight[edges]), kind="stable")[:MOST_LINKS]
    return tuple(Link(graph.node_ids[int(ends[i])], float(graph.weight[edges[i]])) for i in best)
