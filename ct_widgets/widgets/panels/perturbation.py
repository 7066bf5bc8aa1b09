"""The graph's supernodes as sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.widgets.panels import register_panel
from ct_widgets.widgets.perturbation_widget import PerturbationWidget

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel
    from ct_widgets.widgets.graph_widget import GraphWidget


@register_panel("perturbation", title="Perturb", order=20, depends=("pinned", "supernodes"))
def make(model: ReplacementModel, view: GraphWidget) -> PerturbationWidget:
    """What the model does when the nodes that are pinned or grouped in the graph are turned down or up."""
    return PerturbationWidget(model, view.graph)
