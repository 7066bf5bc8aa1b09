"""CompareWidget: two attribution graphs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anywidget
import traitlets as t

from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.node_matching import match_nodes, matching_table, unmatched
from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.page import graph_data, page_html
from ct_widgets.widgets.payload import strongest_nodes
from ct_widgets.widgets.pictures.graph import graph_picture
from ct_widgets.widgets.pictures.svg import Picture, stacked
from ct_widgets.widgets.state import VIEW_STATE
from ct_widgets.widgets.view import PageView

if TYPE_CHECKING:
    import pandas as pd


class CompareWidget(PageView, front_end="compare"):
    """Two graphs side by side: of two prompts, two transcoders, or before and after a change.

    A node hovered or selected in one is so in the other, and nodes that only one has are underlined. Nodes correspond
    if they are the same feature, token, error or logit at the same position from the end of the prompt, or else the
    same feature or token at another one. `a` and `b` are views like any other.

    names: their headings. same_features: whether a feature's number means the same feature in both; by default if both
    graphs name the same transcoder.

    >>> view = ct.CompareWidget(model.attribute("calc: 36+59="), model.attribute("calc: 36+58="))
    >>> view.nodes.query("found == 'a'")    # what only the first graph has
    >>> view.a.selected
    """

    a = anywidget.WidgetTrait().tag(sync=True)
    """The view of the first graph."""

    b = anywidget.WidgetTrait().tag(sync=True)
    """The view of the second graph."""

    names = t.Tuple(t.Unicode(), t.Unicode(), default_value=("a", "b")).tag(sync=True)
    """Headings of the two."""

    _pairs = t.Tuple().tag(sync=True)
    _counts = t.Dict().tag(sync=True)

    def __init__(
        self,
        graph_a: AttributionGraph,
        graph_b: AttributionGraph,
        *,
        names: Sequence[str] = ("a", "b"),
        same_features: bool | None = None,
    ) -> None:
        for graph in (graph_a, graph_b):
            if not isinstance(graph, AttributionGraph):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise WidgetError(f"{graph!r} is not an AttributionGraph: pass two, made by model.attribute or loaded")
        if isinstance(names, str) or len(names) != 2:
            raise WidgetError(f'names are two headings such as ("before", "after"), not {names!r}')
        self._matched = match_nodes(graph_a, graph_b, same_features)
        only_a, only_b = unmatched(graph_a, graph_b, self._matched)
        moved = sum(pair.moved for pair in self._matched)
        # Of large graphs the views hold the strongest nodes, and only these need to be told apart and linked.
        held_a, held_b = strongest_nodes(graph_a), strongest_nodes(graph_b)
        super().__init__(
            a=GraphWidget(graph_a, unmatched=[row for row in only_a if held_a[row]]),
            b=GraphWidget(graph_b, unmatched=[row for row in only_b if held_b[row]]),
            names=tuple(map(str, names)),
            _pairs=tuple(
                (graph_a.node_ids[pair.a], graph_b.node_ids[pair.b])
                for pair in self._matched
                if held_a[pair.a] and held_b[pair.b]
            ),
            _counts={"both": len(self._matched) - moved, "moved": moved, "a": len(only_a), "b": len(only_b)},
        )
        for view in (self.a, self.b):
            t.link((self, "theme"), (view, "theme"))

    @property
    def nodes(self) -> pd.DataFrame:
        """One row per pair of nodes and per node that only one graph has, the most influential first.

        `found` is "both", "moved" (in both, at other positions from the end), "a" or "b"; row, position, token,
        activation and influence stand beside each other with the suffixes _a and _b.
        """
        return matching_table(self.a.graph, self.b.graph, self._matched)

    def _page(self) -> str:
        a, b = (graph_data(view.graph, view.get_state(VIEW_STATE)) for view in (self.a, self.b))
        data = {"state": {**self.get_state(("names", "_pairs", "_counts")), "a": a, "b": b}}
        both = " · ".join(name[:100] for name in self.names)
        return page_html(both, "attribution graphs", "compare.page.js", ("graph.css", "compare.css"), data)

    def _picture(self) -> Picture:
        return stacked(graph_picture(self.a.graph), graph_picture(self.b.graph))

    def __repr__(self) -> str:
        return f"<CompareWidget of {self.a.graph.prompt!r} and {self.b.graph.prompt!r}>"
