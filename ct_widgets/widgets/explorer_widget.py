"""CircuitExplorer: a graph and the panels that look into it, in one linked view."""

from __future__ import annotations

from typing import Any, Unpack

import anywidget
import traitlets as t

from ct_widgets.errors import CTWidgetsError, WidgetError
from ct_widgets.graph import AttributionGraph
from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.models import Model
from ct_widgets.widgets.panels import panel_kinds
from ct_widgets.widgets.pictures.graph import graph_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.state import GraphState
from ct_widgets.widgets.view import View


class CircuitExplorer(View, front_end="explorer"):
    """The graph of one prompt over panels that follow it: the feature in focus, perturbation, and what others register.

    model: what the graph was made with. `state` is that of the graph's view, see GraphWidget.

    >>> explorer = ct.CircuitExplorer(model, graph)
    >>> explorer.view.selected              # the graph is a GraphWidget like any other
    >>> explorer.panel = "perturbation"     # opens it, as its tab does
    >>> explorer.shown.strengths = {"sum": -1}   # the name of a supernode
    """

    view = anywidget.WidgetTrait().tag(sync=True)
    """The view of the graph."""

    panel = t.Unicode().tag(sync=True)
    """Name of the panel that is open, or "" for none."""

    shown = anywidget.WidgetTrait().tag(sync=True)
    """The widget in the open panel, or None."""

    _missing = t.Unicode().tag(sync=True)
    _panels = t.List().tag(sync=True)

    def __init__(
        self, model: Model, graph: AttributionGraph, *, panel: str = "feature", **state: Unpack[GraphState]
    ) -> None:
        self._model = model
        self._kinds = panel_kinds()
        self._made: dict[str, Any] = {}
        view = GraphWidget(graph, **state)
        super().__init__(
            view=view, _panels=[{"name": kind.name, "title": kind.title} for kind in self._kinds.values()], panel=panel
        )
        t.link((view, "theme"), (self, "theme"))
        self.observe(self._retheme, "theme")
        for name in {name for kind in self._kinds.values() for name in kind.depends}:
            view.observe(self._remake, name)

    @t.validate("panel")
    def _check_panel(self, proposal: Any) -> str:
        if proposal["value"] and proposal["value"] not in self._kinds:
            raise WidgetError(
                f"there is no panel {proposal['value']!r}: expected one of {', '.join(self._kinds)}, or ''"
            )
        return proposal["value"]

    @t.observe("panel")
    def _open(self, change: Any) -> None:
        del change
        missing, widget = "", None
        if self.panel:
            try:
                widget = self._widget(self.panel)
            except CTWidgetsError as error:
                missing = str(error)
        with self.hold_sync():
            self._missing = missing
            self.shown = widget

    def _widget(self, name: str) -> Any:
        """Return the widget of a panel, made if there is none yet; it follows the theme of the graph."""
        if name not in self._made:
            widget = self._made[name] = self._kinds[name].make(self._model, self.view)
            _set_theme(widget, self.view.theme)
        return self._made[name]

    def _retheme(self, change: Any) -> None:
        for widget in self._made.values():
            _set_theme(widget, change["new"])

    def _remake(self, change: Any) -> None:
        """Forget the panels that the graph's new state makes out of date; the open one is made anew at once."""
        stale = [kind.name for kind in self._kinds.values() if change["name"] in kind.depends]
        old = [self._made.pop(name) for name in stale if name in self._made]
        if self.panel in stale:
            self._open(change)
        for widget in old:
            widget.close()

    def _picture(self) -> Picture:
        return graph_picture(self.view.graph)

    def __repr__(self) -> str:
        return f"<CircuitExplorer of {self.view.graph.prompt!r}>"


def _set_theme(widget: Any, theme: str) -> None:
    if widget.has_trait("theme"):
        widget.theme = theme
