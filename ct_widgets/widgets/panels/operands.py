"""Operand plots of the graph's features, where its prompt calculates."""

from __future__ import annotations

from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.models import Model
from ct_widgets.widgets.operand_widget import OperandWidget
from ct_widgets.widgets.panels import register_panel


@register_panel("operands", title="Operands", order=30)
def make(model: Model, view: GraphWidget) -> OperandWidget:
    """Show what the features at the last token do when the two numbers of the prompt change."""
    return OperandWidget(model, view=view)
