"""Operand plots of the graph's features, where its prompt calculates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.widgets.operand_widget import OperandWidget
from ct_widgets.widgets.panels import register_panel

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel
    from ct_widgets.widgets.graph_widget import GraphWidget


@register_panel("operands", title="Operands", order=30)
def make(model: ReplacementModel, view: GraphWidget) -> OperandWidget:
    """What the features at the last token do when the two numbers of the prompt change."""
    return OperandWidget(model, view=view)
