"""Traits of views: values that are checked in Python, and how they travel as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast

import traitlets as t

from ct_widgets.errors import GraphError, WidgetError
from ct_widgets.graph import NodeId, Supernode
from ct_widgets.graph.node_id import LabelKey, as_label_key
from ct_widgets.graph.suggest import Suggestion
from ct_widgets.widgets import state
from ct_widgets.widgets.state import NodeLike, PlacesLike, Snapshot

G = TypeVar("G")
S = TypeVar("S")


class JsonTrait(t.TraitType[G, S]):
    """A trait that travels as JSON: `to_json` makes it of the value, `from_json` reads it back.

    Without them the value is JSON as it is. None is a value where it is the default; `metadata` is ipywidgets'.
    """

    def __init__(
        self,
        default: Any = None,
        to_json: Callable[[G], Any] | None = None,
        from_json: Callable[[Any], Any] | None = None,
        **metadata: Any,
    ) -> None:
        super().__init__(default_value=default, allow_none=default is None)
        self.tag(sync=True, **metadata)
        if to_json is not None:
            self.tag(to_json=_without_widget(to_json))
        if from_json is not None:
            self.tag(from_json=_without_widget(from_json))


def _without_widget(convert: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Leave out the widget that ipywidgets hands over, and that no conversion here needs."""
    return lambda value, widget: convert(value)


class HasNodes(Protocol):
    """Objects whose traits name nodes of one graph."""

    def node(self, node: NodeLike) -> NodeId:
        """Return the NodeId of a node of the graph; GraphError if it is not there."""
        ...


def _node(view: HasNodes, trait: str, value: NodeLike) -> NodeId:
    try:
        return view.node(value)
    except GraphError as error:
        raise WidgetError(f"{trait}: {error}") from error


def _nodes(view: HasNodes, trait: str, value: Iterable[NodeLike]) -> tuple[NodeId, ...]:
    if isinstance(value, NodeId | str) or not isinstance(cast("Any", value), Iterable):
        raise WidgetError(f"{trait}: expected a list of nodes, not {value!r}")
    return tuple(dict.fromkeys(_node(view, trait, node) for node in value))


def _supernodes(view: HasNodes, trait: str, value: Iterable[Any]) -> tuple[Supernode, ...]:
    groups: list[Supernode] = []
    for group in value:
        try:
            name, members = group
        except (TypeError, ValueError) as error:
            raise WidgetError(f"{trait}: {group!r} is not a supernode: expected (name, [node, ...])") from error
        groups.append(Supernode(str(name), tuple(_node(view, trait, member) for member in members)))
    return tuple(groups)


def _places(view: HasNodes, trait: str, value: Mapping[Any, Any]) -> Mapping[NodeId, tuple[float, float]]:
    if not isinstance(cast("Any", value), Mapping):
        raise WidgetError(f"{trait}: expected a mapping such as {{node: (0.5, 40)}}, not {value!r}")
    places: dict[NodeId, tuple[float, float]] = {}
    for node, place in value.items():
        try:
            x, y = (float(part) for part in place)
        except (TypeError, ValueError) as error:
            raise WidgetError(f"{trait}: {place!r} is not a place: expected (x, y), e.g. (0.5, 40)") from error
        if not (math.isfinite(x) and math.isfinite(y)):
            raise WidgetError(f"{trait}: {place!r} is not a place: both numbers must be finite")
        places[_node(view, trait, node)] = (x, y)
    return places


class Node(JsonTrait[NodeId | None, NodeLike | None]):
    """One node of the graph, or None."""

    def validate(self, obj: Any, value: NodeLike | None) -> NodeId | None:
        """Return `value` as the NodeId of a node in the graph."""
        return None if value is None else _node(obj, str(self.name), value)


class Nodes(JsonTrait[tuple[NodeId, ...], Iterable[NodeLike]]):
    """Nodes of the graph, each once, in the order given."""

    def validate(self, obj: Any, value: Iterable[NodeLike]) -> tuple[NodeId, ...]:
        """Return `value` as NodeIds of nodes in the graph."""
        return _nodes(obj, str(self.name), value)


class Supernodes(JsonTrait[tuple[Supernode, ...], Iterable[Any]]):
    """Named groups of nodes of the graph."""

    def validate(self, obj: Any, value: Iterable[Any]) -> tuple[Supernode, ...]:
        """Return `value` as Supernodes whose members are in the graph."""
        return _supernodes(obj, str(self.name), value)


class Labels(JsonTrait[Mapping[LabelKey, str], Mapping[Any, str]]):
    """Labels of nodes (keys: NodeId) and of features wherever they are active (keys such as "L2/517")."""

    def __init__(self) -> None:
        super().__init__({}, state.labels_to_json, state.keys_from_json)

    def validate(self, obj: Any, value: Mapping[Any, str]) -> Mapping[LabelKey, str]:
        """Return `value` with its keys as label keys."""
        del obj
        if not isinstance(cast("Any", value), Mapping):
            raise WidgetError(f'{self.name}: expected a mapping such as {{"L2/517": "sum = _5"}}, not {value!r}')
        try:
            return {as_label_key(key): str(text) for key, text in value.items()}
        except GraphError as error:
            raise WidgetError(f"{self.name}: {error}") from error


class Places(JsonTrait[Mapping[NodeId, tuple[float, float]], PlacesLike]):
    """Where boxes of the subgraph were put, by the first node of each: (part of the width, pixels from the top)."""

    def __init__(self) -> None:
        super().__init__({}, state.places_to_json, state.keys_from_json)

    def validate(self, obj: Any, value: PlacesLike) -> Mapping[NodeId, tuple[float, float]]:
        """Return `value` as pairs of finite numbers by NodeIds of nodes in the graph."""
        return _places(obj, str(self.name), value)


class Snapshots(JsonTrait[Mapping[str, Snapshot], Mapping[str, Any]]):
    """Subgraphs that were kept under a name."""

    def __init__(self) -> None:
        super().__init__({}, state.snapshots_to_json, state.snapshots_from_json)

    def validate(self, obj: Any, value: Mapping[str, Any]) -> Mapping[str, Snapshot]:
        """Return `value` as Snapshots of nodes in the graph."""
        if not isinstance(cast("Any", value), Mapping):
            raise WidgetError(f"{self.name}: expected a mapping from names to Snapshots, not {value!r}")
        kept: dict[str, Snapshot] = {}
        for name, snapshot in value.items():
            where = f"{self.name}[{name!r}]"
            try:
                pinned, supernodes, places = snapshot
            except (TypeError, ValueError) as error:
                raise WidgetError(f"{where}: expected (pinned, supernodes, places), not {snapshot!r}") from error
            kept[str(name)] = Snapshot(
                _nodes(obj, where, pinned), _supernodes(obj, where, supernodes), _places(obj, where, places)
            )
        return kept


class Suggestions(JsonTrait[tuple[Suggestion, ...] | None, Iterable[Any] | None]):
    """Suggested supernodes that nobody accepted or rejected yet, or None where nobody asked."""

    def __init__(self) -> None:
        super().__init__(None, state.suggestions_to_json, state.suggestions_from_json)

    def validate(self, obj: Any, value: Iterable[Any] | None) -> tuple[Suggestion, ...] | None:
        """Return `value` as Suggestions of nodes in the graph."""
        if value is None:
            return None
        suggestions: list[Suggestion] = []
        for suggestion in value:
            try:
                name, nodes, reason = suggestion
            except (TypeError, ValueError) as error:
                raise WidgetError(f"{self.name}: expected (name, [node, ...], reason), not {suggestion!r}") from error
            suggestions.append(Suggestion(str(name), _nodes(obj, str(self.name), nodes), str(reason)))
        return tuple(suggestions)


class Widgets(JsonTrait[tuple[Any, ...], Iterable[Any]]):
    """Other widgets, which travel as anywidget's references."""

    def __init__(self) -> None:
        super().__init__((), lambda widgets: [f"anywidget:{widget.model_id}" for widget in widgets])

    def validate(self, obj: Any, value: Iterable[Any]) -> tuple[Any, ...]:
        """Return `value` as a tuple of objects that have a view."""
        del obj
        widgets = tuple(value) if isinstance(cast("Any", value), Iterable) else (value,)
        for widget in widgets:
            if not hasattr(widget, "model_id"):
                raise WidgetError(
                    f"{self.name}: {widget!r} is not a widget: expected a list such as [ExamplesWidget(...)]"
                )
        return widgets


class Share(JsonTrait[float, float]):
    """A share of the influence, from 0 to 1."""

    def validate(self, obj: Any, value: float) -> float:
        """Return `value` as a float between 0 and 1."""
        del obj
        try:
            share = float(value)
        except (TypeError, ValueError) as error:
            raise WidgetError(f"{self.name}: expected a number from 0 to 1, not {value!r}") from error
        if not 0 <= share <= 1:
            raise WidgetError(f"{self.name} is {share}; it is a share of the influence, from 0 to 1")
        return share


class Choice(JsonTrait[str, str]):
    """One of a few words."""

    def __init__(self, *options: str) -> None:
        super().__init__(options[0])
        self.options = options

    def validate(self, obj: Any, value: str) -> str:
        """Return `value` if it is one of the options."""
        del obj
        if value not in self.options:
            raise WidgetError(f"{self.name}: {value!r} is not one of {', '.join(map(repr, self.options))}")
        return value
