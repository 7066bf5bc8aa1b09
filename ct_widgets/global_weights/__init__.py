"""Global weights: connections of features over all prompts, and how many of them a corpus bears out."""

from ct_widgets.global_weights.compute import global_weights
from ct_widgets.global_weights.weights import GlobalWeights, Ranking

__all__ = ["GlobalWeights", "Ranking", "global_weights"]
