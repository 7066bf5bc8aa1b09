"""CompareWidget: two attribution graphs side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.node_matching import match_nodes, matching_table, unmatched
from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.page import graph_data, page_html
from ct_widgets.widgets.payload import strongest_nodes
from ct_widgets.widgets.picture import WIDTH, static_picture
from ct_widgets.widgets.state import VIEW_STATE
from ct_widgets.widgets.static_files import static_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompareWidget", "compare"]


class CompareWidget(anywidget.AnyWidget):
    """Two graphs side by side: what is hovered or selected in one is so in the other, what only one has is underlined.

    Nodes correspond if they are the same feature, token, error or logit at the same position from the end of the
    prompt, or else the same feature or token at another one. `a` and `b` are views like any other.

    >>> view = ct.compare(graph, other)
    >>> view.nodes.query("found == 'a'")    # what only the first graph has
    >>> view.a.selected
    """

    _esm = static_file("compare.js")
    _css = static_file("compare.css")

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
                raise WidgetError(f"{graph!r} is no AttributionGraph: compare takes two, of model.attribute or load")
        if isinstance(names, str) or len(names) != 2:
            raise WidgetError(f'names are two headings such as ("before", "after"), not {names!r}')
        self._aligned = match_nodes(graph_a, graph_b, same_features)
        only_a, only_b = unmatched(graph_a, graph_b, self._aligned)
        moved = sum(pair.moved for pair in self._aligned)
        # Of large graphs the views hold the strongest nodes, and only these need to be told apart and linked.
        held_a, held_b = strongest_nodes(graph_a), strongest_nodes(graph_b)
        super().__init__(
            a=GraphWidget(graph_a, unmatched=[row for row in only_a if held_a[row]]),
            b=GraphWidget(graph_b, unmatched=[row for row in only_b if held_b[row]]),
            names=tuple(map(str, names)),
            _pairs=tuple(
                (graph_a.node_ids[pair.a], graph_b.node_ids[pair.b])
                for pair in self._aligned
                if held_a[pair.a] and held_b[pair.b]
            ),
            _counts={"both": len(self._aligned) - moved, "moved": moved, "a": len(only_a), "b": len(only_b)},
        )
        t.link((self.a, "theme"), (self.b, "theme"))

    @property
    def nodes(self) -> pd.DataFrame:
        """One row per pair of nodes and per node that only one graph has, the most influential first.

        `found` is "both", "moved" (in both, at other positions from the end), "a" or "b"; row, position, token,
        activation and influence stand beside each other with the suffixes _a and _b.
        """
        return matching_table(self.a.graph, self.b.graph, self._aligned)

    def to_html(self, path: str | Path) -> Path:
        """Write the comparison as it is now to one HTML file that opens from disk, without network or kernel."""
        data = {"state": {**self.get_state(("names", "_pairs", "_counts")), "a": _saved(self.a), "b": _saved(self.b)}}
        target = Path(path)
        title = " · ".join(_printable(name) for name in self.names) + " · attribution graphs"
        page = page_html(title, "compare.page.js", ("graph.css", "compare.css"), data)
        target.write_text(page, encoding="utf-8")
        return target

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The view, and a static picture of both graphs for places that run no widgets."""
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        return {**data, "image/svg+xml": _picture(self.a.graph, self.b.graph), "text/plain": repr(self)}, metadata

    def __repr__(self) -> str:
        return f"<CompareWidget of {self.a.graph.prompt!r} and {self.b.graph.prompt!r}>"


def compare(
    graph_a: AttributionGraph,
    graph_b: AttributionGraph,
    *,
    names: Sequence[str] = ("a", "b"),
    same_features: bool | None = None,
) -> CompareWidget:
    """Show two graphs side by side: of two prompts, two transcoders, or before and after a change.

    names: their headings. same_features: whether a feature's number means the same feature in both; by default if both
    graphs name the same transcoder.

    >>> ct.compare(model.attribute("calc: 36+59="), model.attribute("calc: 36+58="))
    """
    return CompareWidget(graph_a, graph_b, names=names, same_features=same_features)


def _saved(view: GraphWidget) -> dict[str, Any]:
    return graph_data(view.graph, view.get_state(VIEW_STATE))


def _picture(a: AttributionGraph, b: AttributionGraph) -> str:
    """The still pictures of two graphs, one below the other."""
    above, below = static_picture(a), static_picture(b)
    first, second = (int(re.findall(r'height="(\d+)"', picture)[0]) for picture in (above, below))
    lower = below.replace("<svg ", f'<svg y="{first}" ', 1)
    size = f'viewBox="0 0 {WIDTH} {first + second}" width="{WIDTH}" height="{first + second}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{above}\n{lower}\n</svg>'


def _printable(name: str) -> str:
    """A name may hold half a character, which no encoding writes."""
    return name[:100].encode("utf-8", "replace").decode()
