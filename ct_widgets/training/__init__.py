"""Training transcoders: settings, trainer, and the metrics that say whether the result is good."""

from ct_widgets.training.activations import ActivationBuffer, Activations, DataPosition, Sequences, read_activations
from ct_widgets.training.cache import ActivationCache, cache_activations
from ct_widgets.training.callbacks import Callback, RunStart, TrainingControl
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.keep_strongest import keep_strongest
from ct_widgets.training.kl_finetuning import KLFinetuning, finetune_kl
from ct_widgets.training.loggers import TensorBoard, WeightsAndBiases
from ct_widgets.training.metrics import DictionaryMetrics, dictionary_metrics
from ct_widgets.training.replacement import (
    ReplacementMetrics,
    ablated_logits,
    compare_logits,
    replacement_logits,
    replacement_metrics,
)
from ct_widgets.training.result import Evaluation, Step, Training
from ct_widgets.training.train_transcoder import train_transcoder
from ct_widgets.training.trainer import train

__all__ = [
    "ActivationBuffer",
    "ActivationCache",
    "Activations",
    "Callback",
    "DataPosition",
    "DictionaryMetrics",
    "Evaluation",
    "KLFinetuning",
    "ReplacementMetrics",
    "RunStart",
    "Sequences",
    "Step",
    "TensorBoard",
    "Training",
    "TrainingConfig",
    "TrainingControl",
    "WeightsAndBiases",
    "ablated_logits",
    "cache_activations",
    "compare_logits",
    "dictionary_metrics",
    "finetune_kl",
    "keep_strongest",
    "read_activations",
    "replacement_logits",
    "replacement_metrics",
    "train",
    "train_transcoder",
]
