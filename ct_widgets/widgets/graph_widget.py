"""GraphWidget: the interactive view of an attribution graph."""

from __future__ import annotations

from typing import Any, Unpack

import traitlets as t

from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.widgets.examples_widget import ExamplesWidget
from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.pictures.graph import graph_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.state import (
    DEFAULT_EDGE_THRESHOLD,
    DEFAULT_NODE_THRESHOLD,
    VIEW_STATE,
    GraphState,
    NodeLike,
    initial_state,
    rows_that_fit,
)
from ct_widgets.widgets.traits import Labels, Node, Nodes, Places, Share, Snapshots, Suggestions, Supernodes, Widgets
from ct_widgets.widgets.view import PageView


class GraphWidget(PageView, front_end="graph"):
    """A view of `graph` whose state is readable and settable from Python.

    >>> view = GraphWidget(graph, node_threshold=0.6)
    >>> view                                # last line of a cell: shows it
    >>> view.selected                       # the node that was clicked, as a NodeId
    >>> view.selected = 12                  # or by row number of graph.nodes
    >>> view.observe(print, "selected")
    """

    _keywords = GraphState

    _columns = t.Bytes().tag(sync=True)

    selected = Node()
    """The node whose connections the panel shows, or None. Set it by NodeId, tuple or row number."""

    hovered = Node()
    """The node under the pointer, or None."""

    pinned = Nodes(())
    """Nodes that stay marked and visible, whatever the thresholds."""

    supernodes = Supernodes(())
    """Named groups of nodes, as (name, nodes)."""

    places = Places()
    """Boxes of the subgraph that were dragged: (part of the width, pixels from the top) by the box's first node."""

    snapshots = Snapshots()
    """Subgraphs kept by name: each a `Snapshot` of pinned nodes, supernodes and places, or such a tuple."""

    labels = Labels()
    """Text for nodes (keys: NodeId) and for features at every position (keys such as "L2/517")."""

    node_threshold = Share(DEFAULT_NODE_THRESHOLD)
    """The fewest nodes that carry this share of the influence on the output are shown."""

    edge_threshold = Share(DEFAULT_EDGE_THRESHOLD)
    """Of the edges between these nodes, the fewest that carry this share of the influence are shown."""

    path_ends = Nodes(())
    """Two nodes between which the view shows the strongest paths (one: where they begin); `graph.paths` lists more."""

    suggestions = Suggestions()
    """Suggested supernodes, to accept or reject in the view; `graph.suggest_supernodes()` makes them."""

    panels = Widgets()
    """Widgets shown in the side panel for the node in focus (`js/src/ui/graph/panel_slot.ts` says how they hear of it).

    By default the examples of the feature in focus."""

    unmatched = Nodes(())
    """Nodes that are underlined as those that another graph, shown beside this one, does not have."""

    def __init__(self, graph: AttributionGraph, **state: Unpack[GraphState]) -> None:
        self._refuse_unknown(state)
        self._graph = graph
        card = None if "panels" in state else ExamplesWidget(graph.features, graph=graph, compact=True)
        panels = {} if card is None else {"panels": (card,)}
        super().__init__(_columns=wire(graph), **{**initial_state(graph), **panels, **state})
        self.on_msg(self._answer)
        if card is not None:
            t.dlink((self, "theme"), (card, "theme"))

    @property
    def graph(self) -> AttributionGraph:
        """The graph that the view shows, annotated with its pins, supernodes and labels as they are now.

        >>> view.graph.save("annotated.ctgraph")
        """
        noted = (self.labels, self.supernodes, self.pinned)
        if noted != (self._graph.labels, self._graph.supernodes, self._graph.pinned):
            self._graph = self._graph.annotated(labels=self.labels, supernodes=self.supernodes, pinned=self.pinned)
        return self._graph

    def _answer(self, _: Any, message: Any, __: Any) -> None:
        """Answer what the view asks for by setting a trait."""
        if message == {"ask": "suggestions"}:
            self.suggestions = self.graph.suggest_supernodes()

    def node(self, node: NodeLike) -> NodeId:
        """Return the NodeId of a node given as a row number, a NodeId or a tuple; GraphError if the graph lacks it.

        >>> view.node(12)
        """
        return self._graph.node(node)

    def select(self, query: str) -> tuple[NodeId, ...]:
        """Select the most influential node that fits a pandas query over `graph.nodes`; return all, strongest first.

        Raises WidgetError for a query that pandas cannot evaluate, and where no node fits.

        >>> view.pinned = view.select("layer >= 2 and token == '='")
        """
        rows = rows_that_fit(self._graph, query)
        if not rows:
            raise WidgetError(f"no node fits {query!r}; `graph.nodes` lists all there are")
        found = [self._graph.node_ids[row] for row in sorted(rows, key=lambda row: -self._graph.influence[row])]
        self.selected = found[0]
        return tuple(found)

    def _page(self) -> str:
        return graph_html(self._graph, self.get_state(VIEW_STATE))

    def _picture(self) -> Picture:
        return graph_picture(self._graph)

    def __repr__(self) -> str:
        return f"<GraphWidget of {self._graph.prompt!r}>"
