"""Which view shows which value: a registry by name, so that a value can be shown and knows no widget."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

_VIEWS: dict[str, str] = {}


class CardSource(Protocol):
    """Knows features, for cards of them in views: `model.features`."""

    def card(self, name: str) -> dict[str, Any]:
        """Return all that a view shows of the feature `name` ("L2/517"), as JSON values."""
        ...

    def set_label(self, name: str, text: str) -> None:
        """Keep a label; an empty one removes it."""
        ...


def register_view(name: str, home: str) -> None:
    """Register the callable at `home`, as "module:attribute", as the view `name`; it is imported when first used.

    >>> register_view("graph", "ct_widgets.widgets.graph_widget:GraphWidget")
    """
    _VIEWS[name] = home


def view(name: str) -> Any:
    """Return the callable that was registered as `name`."""
    module, _, attribute = _VIEWS[name].partition(":")
    return getattr(import_module(module), attribute)
