"""The whole card of the feature in focus."""

from __future__ import annotations

from ct_widgets.widgets.examples_widget import ExamplesWidget
from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.models import Model
from ct_widgets.widgets.panels import register_panel


@register_panel("feature", title="Feature", order=10)
def make(model: Model, view: GraphWidget) -> ExamplesWidget:
    """Show examples, histogram and tokens of the feature that is selected in the graph."""
    return ExamplesWidget(model.features, graph=view.graph)
