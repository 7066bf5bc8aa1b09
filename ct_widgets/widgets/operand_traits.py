"""Traits of operand sheets: values that are checked against the operands and the plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, TypedDict, cast

from ct_widgets.arithmetic import OperandActivations
from ct_widgets.arithmetic.families import KINDS
from ct_widgets.errors import GraphError, WidgetError
from ct_widgets.feature_name import FeatureLike, FeatureName
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.node_id import as_node_id
from ct_widgets.widgets.operand_rows import Row, token_place
from ct_widgets.widgets.state import NodeLike
from ct_widgets.widgets.traits import Choice, JsonTrait


class OperandState(TypedDict, total=False):
    """Keywords of an OperandWidget, which are its traits: each is explained there."""

    selected: NodeLike | FeatureLike | None
    enlarged: bool
    hovered: Sequence[int] | None
    scale: Literal["shared", "own"]
    overlay: Literal["none", "sum", "sum mod 10"]
    k: int
    sort: Literal["influence", "layer", "family", "activation", "given"]
    families: Iterable[Literal["sum", "lookup", "add", "active", "other"]]
    shows: Literal["after", "before", "difference"]
    theme: Literal["auto", "light", "dark"]


class HasPlots(Protocol):
    """A view whose traits are checked against its plots."""

    operands: OperandActivations
    rows: tuple[Row, ...]
    graph: AttributionGraph | None


class Plotted(JsonTrait[NodeId | None, Any]):
    """A feature of the sheet, or any node of its graph, or None."""

    info_text = 'a feature such as "L2/517" or (2, 517), a node of the graph, or None'

    def validate(self, obj: Any, value: Any) -> NodeId | None:
        """Return `value` as a NodeId; a feature's is at the position of the plots."""
        if value is None:
            return None
        view = cast("HasPlots", obj)
        try:
            node = _as_node(view, value)
        except (TypeError, ValueError) as error:
            raise WidgetError(f"{self.name}: {value!r} is not a feature; expected {self.info_text}") from error
        here = node.kind == "feature" and node.position == token_place(view.operands)
        if here and any(row.feature == (node.layer, node.index) for row in view.rows):
            return node
        try:
            if view.graph is not None:
                return view.graph.node(node)
        except GraphError as error:
            raise WidgetError(f"{self.name}: {error}") from error
        names = ", ".join(row.name for row in view.rows[:8])
        raise WidgetError(f"{self.name}: {node} has no plot here; there are {len(view.rows)}: {names}, ...")


def _as_node(view: HasPlots, value: Any) -> NodeId:
    if isinstance(value, int) and view.graph is not None:
        return view.graph.node(value)
    parts = cast("Any", value)
    if isinstance(value, str) or len(parts) == 2:
        layer, index = FeatureName.of(parts)
        return NodeId("feature", layer, token_place(view.operands), index)
    return as_node_id(parts)


class Cell(JsonTrait[tuple[int, int] | None, Sequence[int] | None]):
    """A pair of operands, or None."""

    info_text = "a pair of operands (a, b) or None"

    def validate(self, obj: Any, value: Sequence[int] | None) -> tuple[int, int] | None:
        """Return `value` if both operands are on the axes."""
        if value is None:
            return None
        operands = cast("HasPlots", obj).operands
        try:
            a, b = (int(part) for part in value)
        except (TypeError, ValueError) as error:
            raise WidgetError(f"{self.name}: expected {self.info_text}, such as (36, 59), not {value!r}") from error
        for name, operand, axis in (("a", a, operands.a), ("b", b, operands.b)):
            if operand not in axis:
                raise WidgetError(
                    f"{self.name}: {name} = {operand} is not on its axis, which has {len(axis)} numbers "
                    f"from {min(axis)} to {max(axis)}"
                )
        return a, b


class Sum(JsonTrait[int, int]):
    """A sum of two operands."""

    def validate(self, obj: Any, value: int) -> int:
        """Return `value` if it is between the smallest sum and the largest."""
        operands = cast("HasPlots", obj).operands
        low, high = min(operands.a) + min(operands.b), max(operands.a) + max(operands.b)
        try:
            k = int(value)
        except (TypeError, ValueError) as error:
            raise WidgetError(f"{self.name}: expected a whole number, not {value!r}") from error
        if not low <= k <= high:
            raise WidgetError(f"{self.name} is {k}; sums of these operands go from {low} to {high}")
        return k


class Families(JsonTrait[tuple[str, ...], Iterable[str]]):
    """Kinds of families; none means all."""

    def validate(self, obj: Any, value: Iterable[str]) -> tuple[str, ...]:
        """Return `value` in the order of the sheet."""
        del obj
        asked = {value} if isinstance(value, str) else set(value)
        if unknown := asked - set(KINDS):
            raise WidgetError(
                f"{self.name}: {min(map(str, unknown))!r} is not a kind of family: expected {', '.join(KINDS)}"
            )
        return tuple(kind for kind in KINDS if kind in asked)


class Moment(Choice):
    """Which state of an intervention the plots show."""

    def validate(self, obj: Any, value: str) -> str:
        """Return `value` if there is such a state."""
        if super().validate(obj, value) != self.options[0] and cast("HasPlots", obj).operands.before is None:
            raise WidgetError(
                f"{self.name}: there is no {value!r} without an intervention: pass "
                "operands=model.operand_activations(..., interventions=[...])"
            )
        return value
