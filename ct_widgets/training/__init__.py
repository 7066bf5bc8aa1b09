"""Training transcoders: recipe, trainer, and the metrics that say whether the result is good."""

from ct_widgets.training.activations import ActivationBuffer, Activations, Place, Sequences, read_activations
from ct_widgets.training.alignment import Alignment, align
from ct_widgets.training.metrics import DictionaryMetrics, dictionary_metrics
from ct_widgets.training.narrowing import narrow
from ct_widgets.training.recipe import Recipe
from ct_widgets.training.replacement import (
    ReplacementMetrics,
    ablated_logits,
    compare_logits,
    replacement_logits,
    replacement_metrics,
)
from ct_widgets.training.trainer import Step, Training, train

__all__ = [
    "ActivationBuffer",
    "Activations",
    "Alignment",
    "DictionaryMetrics",
    "Place",
    "Recipe",
    "ReplacementMetrics",
    "Sequences",
    "Step",
    "Training",
    "ablated_logits",
    "align",
    "compare_logits",
    "dictionary_metrics",
    "narrow",
    "read_activations",
    "replacement_logits",
    "replacement_metrics",
    "train",
]
