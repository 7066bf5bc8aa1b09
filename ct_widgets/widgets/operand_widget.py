"""OperandWidget: what features do over all pairs of operands, as a sheet of small plots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

import anywidget
import numpy as np
import traitlets as t

from ct_widgets.arithmetic import Family, OperandActivations, classify, number_tokens
from ct_widgets.arithmetic.numbers import NUMBERS, TEMPLATE
from ct_widgets.errors import PromptError, WidgetError
from ct_widgets.graph import AttributionGraph
from ct_widgets.progress import progress_bar
from ct_widgets.widgets.models import Model
from ct_widgets.widgets.operand_payload import Weights, wire
from ct_widgets.widgets.operand_rows import Plottable, Row, choose, links, template_of, token_place
from ct_widgets.widgets.operand_traits import Cell, Families, Moment, OperandState, Plotted, Sum
from ct_widgets.widgets.page import page_html, view_data
from ct_widgets.widgets.pictures.operands import operand_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.traits import Choice
from ct_widgets.widgets.view import PageView

if TYPE_CHECKING:
    from ct_widgets.widgets.graph_widget import GraphWidget


class OperandWidget(PageView, front_end="operands"):
    """Operand plots of features: activation for every pair of operands, a upwards, b to the right [CT25, "Addition"].

    nodes: nodes of a graph (`graph.nodes`, or what is left of it after a query), a graph, a query over the nodes of
        `graph`, a list of (layer, index) or of node ids, such as a supernode's; by default all features of `graph` at
        the position, or without a graph the most active of the dictionary.
    graph: where inputs and outputs of an enlarged feature come from. view: a GraphWidget; what is selected there is
        selected here and the other way round, and its graph is the graph.
    operands: activations that were computed before, with an intervention too; else they are computed now, for
    template, a, b, position: see `ReplacementModel.operand_activations`; with a graph, its prompt is the template.

    >>> ct.OperandWidget(model, graph.nodes)
    >>> view = ct.OperandWidget(model, graph, overlay="sum mod 10", k=5)
    >>> view.selected = "L2/597"; view.enlarged = True
    >>> view.families = ["sum"]
    """

    _keywords = OperandState

    _columns = t.Bytes().tag(sync=True)

    view = anywidget.WidgetTrait().tag(sync=True)
    """The GraphWidget whose selection is this one's, or None."""

    selected = Plotted()
    """The feature that is marked, as a NodeId; set it by name, (layer, index) or node."""

    enlarged = t.Bool(False).tag(sync=True)
    """Whether the selected plot is shown large, with weights, inputs and outputs."""

    hovered = Cell()
    """The pair of operands (a, b) that is marked in all plots, or None."""

    scale = Choice("shared", "own")
    """One colour scale for all plots, or each its own, from 0 to its peak."""

    overlay = Choice("none", "sum", "sum mod 10")
    """Lines where a + b = `k`, or where both are equal modulo 10."""

    k = Sum(0)
    """The sum of the overlay."""

    sort = Choice("influence", "layer", "family", "activation", "given")
    """Order of the plots. Influence is that in the graph; activation is a plot's peak."""

    families = Families(())
    """Kinds of families that are shown: "sum", "lookup", "add", "active", "other"; empty for all."""

    shows = Moment("after", "before", "difference")
    """With an intervention: activations under it, without it, or what it changes."""

    def __init__(
        self,
        model: Model | None,
        nodes: Plottable | AttributionGraph | None = None,
        *,
        graph: AttributionGraph | None = None,
        view: GraphWidget | None = None,
        operands: OperandActivations | None = None,
        template: str | None = None,
        a: Iterable[int] = NUMBERS,
        b: Iterable[int] = NUMBERS,
        position: int = -1,
        **state: Unpack[OperandState],
    ) -> None:
        self._refuse_unknown(state)
        if isinstance(nodes, AttributionGraph):
            graph, nodes = nodes, None
        if graph is None and view is not None:
            graph = view.graph
        self.graph = graph
        self.operands = operands if operands is not None else _compute(model, graph, template, a, b, position)
        self._chosen = choose(self.operands, nodes, graph)
        self.rows = self._chosen.rows
        self.named = _families(self.operands, self.rows)
        found = None if graph is None else links(graph, self.rows, token_place(self.operands))
        columns = wire(self.operands, self._chosen, self.named, _weights(model, self.operands, self.rows), found, graph)
        super().__init__(_columns=columns, view=view, **{"k": _usual_sum(self.operands, graph), **state})

    def _page(self) -> str:
        data = view_data(self.get_state(tuple(OperandState.__annotations__)), self._columns)
        return page_html(self.operands.template, "operand plots", "operands.page.js", ["operands.css"], data)

    def _picture(self) -> Picture:
        return operand_picture(self.operands, self._chosen, self.named)

    def __repr__(self) -> str:
        return f"<OperandWidget of {self.operands.template!r}: {self._chosen.n_shown} features>"


def _compute(
    model: Model | None,
    graph: AttributionGraph | None,
    template: str | None,
    a: Iterable[int],
    b: Iterable[int],
    position: int,
) -> OperandActivations:
    if model is None:
        raise WidgetError("there is nothing to compute activations with: pass a model, or operands=")
    if template is None:
        template = TEMPLATE if graph is None else template_of(graph.prompt)
    return model.operand_activations(template, a, b, position)


def _families(operands: OperandActivations, rows: tuple[Row, ...]) -> list[Family]:
    """Classify the features by what they do without an intervention."""
    plain = operands if operands.before is None else operands.before
    found: list[Family] = []
    with progress_bar("families", len(rows), unit="feature") as bar:
        for row in rows:
            found.append(classify(plain.plot(*row.feature), operands.a, operands.b))
            bar.advance()
    return found


def _weights(model: Model | None, operands: OperandActivations, rows: tuple[Row, ...]) -> Weights | str:
    """Compute the number weights of all rows, or say why there are none."""
    if model is None:
        return "Weights of numbers need the model: ct.OperandWidget(model, ..., operands=operands)."
    try:
        answers = number_tokens(model.language_model, NUMBERS, template=operands.template)
        read = number_tokens(model.language_model, NUMBERS, template=operands.template, slot="a")
    except PromptError as error:
        return f"No weights of numbers: {error}."
    directions = model.features.directions
    return Weights(
        tuple(NUMBERS),
        np.stack([directions.output(*row.feature, None)[answers] for row in rows]),
        np.stack([directions.input(*row.feature)[read] for row in rows]),
    )


def _usual_sum(operands: OperandActivations, graph: AttributionGraph | None) -> int:
    """Choose the sum of the graph's own prompt, or else one in the middle."""
    found = [int(digits) for digits in re.findall(r"\d+", graph.prompt)] if graph is not None else []
    if len(found) == 2 and found[0] in operands.a and found[1] in operands.b:
        return sum(found)
    return (min(operands.a) + max(operands.a)) // 2 + (min(operands.b) + max(operands.b)) // 2
