"""Global weights: what features are to each other whatever the prompt, and how much of it a corpus bears out."""

from ct_widgets.global_weights.compute import global_weights
from ct_widgets.global_weights.weights import GlobalWeights, Ranking

__all__ = ["GlobalWeights", "Ranking", "global_weights"]
