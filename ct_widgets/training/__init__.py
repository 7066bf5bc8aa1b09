"""Training transcoders: settings, trainer, and the metrics that say whether the result is good."""

from ct_widgets.training.activations import ActivationBuffer, Activations, Place, Sequences, read_activations
from ct_widgets.training.alignment import Alignment, align
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.metrics import DictionaryMetrics, dictionary_metrics
from ct_widgets.training.narrowing import narrow
from ct_widgets.training.replacement import ReplacementMetrics, replacement_logits, replacement_metrics
from ct_widgets.training.train_transcoder import train_transcoder
from ct_widgets.training.trainer import Training, train
from ct_widgets.training.watching import Callback, Evaluation, Start, Step, TrainingControl

__all__ = [
    "ActivationBuffer",
    "Activations",
    "Alignment",
    "Callback",
    "DictionaryMetrics",
    "Evaluation",
    "Place",
    "ReplacementMetrics",
    "Sequences",
    "Start",
    "Step",
    "Training",
    "TrainingConfig",
    "TrainingControl",
    "align",
    "dictionary_metrics",
    "narrow",
    "read_activations",
    "replacement_logits",
    "replacement_metrics",
    "train",
    "train_transcoder",
]
