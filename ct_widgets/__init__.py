"""ct_widgets: attribution graphs of language models as values, and interactive views of them in notebooks.

>>> import ct_widgets as ct
>>> model = ct.load_demo()
>>> graph = model.attribute("calc: 36+59=")

Names are imported when first used, so that opening a saved graph loads neither torch nor transformer_lens.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ct_widgets.display import register_view
from ct_widgets.lazy import lazy

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ct_widgets.demo import load_demo as load_demo
    from ct_widgets.features import FeatureStore as FeatureStore
    from ct_widgets.features import collect_features as collect_features
    from ct_widgets.graph import AttributionGraph as AttributionGraph
    from ct_widgets.graph import NodeId as NodeId
    from ct_widgets.interventions import Intervention as Intervention
    from ct_widgets.interventions import set_responsive as set_responsive
    from ct_widgets.language_model import LanguageModel as LanguageModel
    from ct_widgets.replacement_model import ReplacementModel as ReplacementModel
    from ct_widgets.training import (
        TrainingConfig as TrainingConfig,
    )
    from ct_widgets.training import (
        TrainingControl as TrainingControl,
    )
    from ct_widgets.training import (
        cache_activations as cache_activations,
    )
    from ct_widgets.training import (
        train_transcoder as train_transcoder,
    )
    from ct_widgets.transcoders import Transcoder as Transcoder
    from ct_widgets.widgets.compare_widget import CompareWidget as CompareWidget
    from ct_widgets.widgets.examples_widget import ExamplesWidget as ExamplesWidget
    from ct_widgets.widgets.explorer_widget import CircuitExplorer as CircuitExplorer
    from ct_widgets.widgets.global_weights_widget import GlobalWeightsWidget as GlobalWeightsWidget
    from ct_widgets.widgets.graph_widget import GraphWidget as GraphWidget
    from ct_widgets.widgets.operand_widget import OperandWidget as OperandWidget
    from ct_widgets.widgets.panels import register_panel as register_panel
    from ct_widgets.widgets.perturbation_widget import PerturbationWidget as PerturbationWidget
    from ct_widgets.widgets.training_widget import TrainingWidget as TrainingWidget

__version__ = "0.1.0"

_NAMES = {
    "demo": ("load_demo",),
    "features": ("FeatureStore", "collect_features"),
    "graph": ("AttributionGraph", "NodeId"),
    "interventions": ("Intervention", "set_responsive"),
    "language_model": ("LanguageModel",),
    "replacement_model": ("ReplacementModel",),
    "training": ("TrainingConfig", "TrainingControl", "cache_activations", "train_transcoder"),
    "transcoders": ("Transcoder",),
    "widgets.compare_widget": ("CompareWidget",),
    "widgets.examples_widget": ("ExamplesWidget",),
    "widgets.explorer_widget": ("CircuitExplorer",),
    "widgets.global_weights_widget": ("GlobalWeightsWidget",),
    "widgets.graph_widget": ("GraphWidget",),
    "widgets.operand_widget": ("OperandWidget",),
    "widgets.panels": ("register_panel",),
    "widgets.perturbation_widget": ("PerturbationWidget",),
    "widgets.training_widget": ("TrainingWidget",),
}

__all__ = ["__version__", *(name for names in _NAMES.values() for name in names)]  # pyright: ignore[reportUnsupportedDunderAll]


__getattr__, __dir__ = lazy(__name__, _NAMES)

register_view("graph", "ct_widgets.widgets.graph_widget:GraphWidget")
register_view("graph page", "ct_widgets.widgets.page:graph_html")
register_view("feature", "ct_widgets.widgets.examples_widget:ExamplesWidget")
register_view("global weights", "ct_widgets.widgets.global_weights_widget:GlobalWeightsWidget")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add %trace and %%trace to the notebook; `%load_ext ct_widgets` runs this."""
    import_module("ct_widgets.magics").load(shell)


def _jupyter_server_extension_points() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  (by Jupyter)
    return [{"module": "ct_widgets.server"}]
