"""The graph's supernodes as sliders."""

from __future__ import annotations

from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.models import Model
from ct_widgets.widgets.panels import register_panel
from ct_widgets.widgets.perturbation_widget import PerturbationWidget


@register_panel("perturbation", title="Perturb", order=20, depends=("pinned", "supernodes"))
def make(model: Model, view: GraphWidget) -> PerturbationWidget:
    """Show what the model does when the nodes that are pinned or grouped in the graph are turned down or up."""
    return PerturbationWidget(model, view.graph)
