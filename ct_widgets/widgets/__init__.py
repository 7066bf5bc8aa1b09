"""Views of values for notebooks and pages. Names load when first used, so that a picture needs no widget machinery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.lazy import lazy

if TYPE_CHECKING:
    from ct_widgets.widgets.compare_widget import CompareWidget as CompareWidget
    from ct_widgets.widgets.examples_widget import ExamplesWidget as ExamplesWidget
    from ct_widgets.widgets.explorer_widget import CircuitExplorer as CircuitExplorer
    from ct_widgets.widgets.global_weights_widget import GlobalWeightsWidget as GlobalWeightsWidget
    from ct_widgets.widgets.graph_widget import GraphWidget as GraphWidget
    from ct_widgets.widgets.operand_widget import OperandWidget as OperandWidget
    from ct_widgets.widgets.page import graph_html as graph_html
    from ct_widgets.widgets.panels import register_panel as register_panel
    from ct_widgets.widgets.perturbation_widget import PerturbationWidget as PerturbationWidget
    from ct_widgets.widgets.pictures.graph import graph_picture as graph_picture
    from ct_widgets.widgets.state import Snapshot as Snapshot
    from ct_widgets.widgets.training_widget import TrainingWidget as TrainingWidget

_NAMES = {
    "compare_widget": ("CompareWidget",),
    "examples_widget": ("ExamplesWidget",),
    "explorer_widget": ("CircuitExplorer",),
    "global_weights_widget": ("GlobalWeightsWidget",),
    "graph_widget": ("GraphWidget",),
    "operand_widget": ("OperandWidget",),
    "page": ("graph_html",),
    "panels": ("register_panel",),
    "perturbation_widget": ("PerturbationWidget",),
    "pictures.graph": ("graph_picture",),
    "state": ("Snapshot",),
    "training_widget": ("TrainingWidget",),
}

__all__ = [name for names in _NAMES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__, __dir__ = lazy(__name__, _NAMES)
