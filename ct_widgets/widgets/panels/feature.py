"""The whole card of the feature in focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.widgets.examples_widget import ExamplesWidget
from ct_widgets.widgets.panels import register_panel

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel
    from ct_widgets.widgets.graph_widget import GraphWidget


@register_panel("feature", title="Feature", order=10)
def make(model: ReplacementModel, view: GraphWidget) -> ExamplesWidget:
    """Examples, histogram and tokens of the feature that is selected in the graph."""
    return ExamplesWidget(model.features, graph=view.graph)
