"""Panels of CircuitExplorer: every module of this package registers one, and a notebook may register its own.

>>> @register_panel("tokens", title="Tokens")
... def make(model, view):
...     return TokensWidget(model, view.graph)

What is made is any anywidget. It hears which node is in focus if its front end's `initialize` returns an object with
`showNode` (`js/src/ui/graph/panel_slot.ts`); all other state it can take from `view`, the GraphWidget, by its traits.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from ct_widgets.errors import WidgetError

if TYPE_CHECKING:
    from ct_widgets.widgets.graph_widget import GraphWidget

MakePanel = Callable[[Any, "GraphWidget"], Any]
"""Makes a widget from a model, of whatever kind the panel needs, and the view of the graph."""


class PanelKind(NamedTuple):
    """One kind of panel."""

    name: str
    title: str
    order: float
    depends: tuple[str, ...]
    """Traits of the graph's view; when one changes, the panel is made anew."""
    make: MakePanel


_KINDS: dict[str, PanelKind] = {}


def register_panel(
    name: str, *, title: str, order: float = 100, depends: Iterable[str] = ()
) -> Callable[[MakePanel], MakePanel]:
    """Register a function that makes a panel from the model and the graph's view when the panel is first opened.

    title: on its tab; order: place among the tabs, from left to right; depends: traits of the view, such as
    "supernodes", whose change makes the panel anew. The function raises an error of ct_widgets where it has nothing to
    show: its message stands in the panel. A name that is registered again replaces its panel. Raises WidgetError for a
    name that is not a word.

    >>> @ct.register_panel("tokens", title="Tokens")
    ... def make(model, view):
    ...     return TokensWidget(model, view.graph)
    """
    if not name.isidentifier():
        raise WidgetError(f"{name!r} cannot name a panel: expected a word such as 'tokens'")

    def register(make: MakePanel) -> MakePanel:
        _KINDS[name] = PanelKind(name, title, order, tuple(depends), make)
        return make

    return register


def panel_kinds() -> dict[str, PanelKind]:
    """List all panels by name, in the order of their tabs."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return {kind.name: kind for kind in sorted(_KINDS.values(), key=lambda kind: (kind.order, kind.name))}
