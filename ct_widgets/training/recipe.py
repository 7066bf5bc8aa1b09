"""All settings of one training run, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ct_widgets.errors import TrainingError


@dataclass(frozen=True)
class Recipe:
    """How a cross-layer transcoder is trained; inputs and targets have unit variance per layer when it applies.

    The defaults suit a small model. `features` (per layer), `steps` and `sparsity` are the ones to choose: more
    sparsity gives fewer active features and a larger error.
    """

    features: int
    steps: int = 2500
    batch_size: int = 1024
    """Tokens per step."""
    learning_rate: float = 1e-3
    decay: float = 0.2
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    sparsity: float = 4.0
    """lambda of the tanh penalty at the last step; it rises linearly from 0."""
    saturation: float = 4.0
    """c of the tanh penalty: a feature whose contribution is far above 1/c pays no more than one that is near it."""
    preactivation: float = 3e-6
    """Weight of the loss that pulls inactive features towards their threshold."""
    threshold: float = 0.03
    """First threshold of every feature."""
    density: float = 0.03
    """Share of tokens on which each feature is active at first: encoder biases start where they give it."""
    bandwidth: float = 1.0
    """Width around the threshold in which the straight-through estimator gives a gradient."""
    half_products: bool = False
    """Matrix products in bfloat16, all state in float32: faster where the processor has instructions for it."""
    seed: int = 0
    checkpoint_every: int = 250
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        for name in ("features", "steps", "batch_size", "checkpoint_every"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "clip", "saturation", "threshold", "bandwidth"):
            self._require(name, getattr(self, name) > 0, "positive")
        for name in ("sparsity", "preactivation"):
            self._require(name, getattr(self, name) >= 0, "0 or positive")
        for name in ("decay", "density"):
            self._require(name, 0 < getattr(self, name) <= 1, "a share between 0 and 1")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:  # also for nan, which no comparison accepts
            raise TrainingError(f"{name} is {getattr(self, name)}; it must be {expected}")

    def rate(self, step: int) -> float:
        """Learning rate of a step: flat, then linear to 0."""
        return self.learning_rate * min(1.0, (self.steps - step) / (self.decay * self.steps))

    def sparsity_at(self, step: int) -> float:
        """lambda of a step."""
        return self.sparsity * (step + 1) / self.steps

    def differences(self, other: Recipe) -> list[str]:
        """Names of the settings in which two recipes differ, but for how often they save."""
        names = [field.name for field in fields(self) if field.name != "checkpoint_every"]
        return [name for name in names if getattr(self, name) != getattr(other, name)]
