"""All settings of one training run, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import MLP_OUT, RESID_MID
from ct_widgets.training.jumprelu import Estimator
from ct_widgets.transcoders import Kind

TrainedActivation = Literal["relu", "jumprelu", "topk", "batchtopk"]

_FREE = ("checkpoint_every", "evaluate_every", "shards")  # settings that change no weight
_RENAMED = {"clip": "max_grad_norm", "half_products": "bf16_matmul"}


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings read from a file the names that they have now: older checkpoints and TOML files use others."""
    return {_RENAMED.get(name, name): value for name, value in settings.items()}


@dataclass(frozen=True)
class TrainingConfig:
    """How a transcoder is trained; inputs and targets have unit variance per layer when it applies.

    The defaults suit a small model. `features` (per layer) and `steps` are the ones to choose, then how sparse the
    dictionary is: `k` for the TopK family, `sparsity` for the others. More sparsity gives a larger error.

    >>> TrainingConfig(features=1024, kind="plt", steps=5000)
    """

    features: int
    kind: Kind = "clt"
    """"clt": a feature writes to the MLP outputs of its own and all later layers; "plt": to its own layer's alone."""
    activation: TrainedActivation = "batchtopk"
    """"batchtopk" is the fastest and needs no penalty tuned: `k` says how sparse the result is, and files have it as
    JumpReLU. "jumprelu" chooses the number of active features token by token, "topk" gives all tokens as many, and
    "relu" is the simplest."""
    skip: bool = False
    """Also train y += x W_skip, an affine map beside the features."""
    k: int = 16
    """Active features per token and layer, for TopK (exactly) and BatchTopK (on average over tokens and layers)."""
    steps: int = 2500
    batch_size: int = 1024
    """Tokens per step."""
    learning_rate: float = 1e-3
    decay: float = 0.2
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    max_grad_norm: float = 1.0
    """Norm to which larger gradients are clipped."""
    sparsity: float = 4.0
    """lambda of the tanh penalty at the last step; it rises linearly from 0."""
    target_l0: float | None = None
    """Active features per token, over all layers, at which lambda stays where it is, the learning rate falls, and the
    run ends; it may end before, at `steps`."""
    saturation: float = 4.0
    """c of the tanh penalty: a feature whose contribution is far above 1/c pays no more than one that is near it."""
    preactivation: float = 3e-6
    """Weight of the loss that pulls inactive features towards their threshold."""
    threshold: float = 0.03
    """Initial threshold of every JumpReLU feature."""
    density: float = 0.03
    """Share of tokens on which each feature is active initially, which the encoder biases are set for. For the TopK
    family, `k` says it."""
    bandwidth: float = 1.0
    """Width around the JumpReLU threshold in which the straight-through estimator gives a gradient."""
    estimator: Estimator = "all"
    """Parameters that the straight-through estimator reaches: "all", or the "threshold" alone."""
    bf16_matmul: bool = False
    """Matrix products in bfloat16, all state in float32: faster where the processor has instructions for it."""
    shards: int = 1
    """Processes over which the features of every layer are divided, for dictionaries that one device cannot hold or
    would be slow with. Of those that torchrun starts, so many make a group; with several groups, each has its share of
    every batch."""
    dead_after: int = 100_000
    """Tokens without activity after which a feature counts as dead."""
    seed: int = 0
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    evaluate_every: int = 250
    """Steps between measurements on held-out text."""
    input_hook: str = RESID_MID
    """Hook that features read, a TransformerLens name inside a block."""
    output_hook: str = MLP_OUT
    """Hook whose activations are reconstructed."""
    context: int = 256
    """Tokens of a row of text that the model reads."""
    buffer: int = 32_768
    """Tokens whose activations are held and shuffled together: ideally many batches, of many texts."""
    held_out: int = 4096
    """Tokens at the beginning of the texts that are not trained on, but evaluated on."""

    def __post_init__(self) -> None:
        for name, known in (("kind", Kind), ("activation", TrainedActivation), ("estimator", Estimator)):
            self._require(name, getattr(self, name) in get_args(known), f"one of {', '.join(get_args(known))}")
        sizes = ("features", "k", "steps", "batch_size", "buffer", "held_out", "dead_after", "shards")
        for name in (*sizes, "checkpoint_every", "evaluate_every"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "max_grad_norm", "saturation", "threshold", "bandwidth"):
            self._require(name, getattr(self, name) > 0, "positive")
        for name in ("sparsity", "preactivation"):
            self._require(name, getattr(self, name) >= 0, "0 or positive")
        for name in ("decay", "density"):
            self._require(name, 0 < getattr(self, name) <= 1, "a share between 0 and 1")
        self._require(
            "k", self.k <= self.features or not self.chooses_k, f"at most the {self.features} features of a layer"
        )
        if self.features % self.shards:
            raise TrainingError(f"{self.shards} shards cannot divide {self.features} features; make them a multiple")
        self._require("context", self.context >= 2, "at least 2")
        self._require("buffer", self.buffer >= self.batch_size, f"at least a batch, {self.batch_size} tokens")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:  # also for nan, which no comparison accepts
            raise TrainingError(f"{name} is {getattr(self, name)}; it must be {expected}")

    @property
    def chooses_k(self) -> bool:
        """Whether the activation itself sets the number of active features, so that no penalty is needed."""
        return self.activation in ("topk", "batchtopk")

    def end(self, reached: int | None = None) -> int:
        """Count the steps of a run that has come down to its target L0 at step `reached`."""
        return self.steps if reached is None else min(self.steps, math.ceil(reached / (1 - self.decay)))

    def learning_rate_at(self, step: int, reached: int | None = None) -> float:
        """Schedule the learning rate: constant, then linear to 0."""
        end = self.end(reached)
        return self.learning_rate * min(1.0, (end - step) / (self.decay * end))

    def sparsity_at(self, step: int, reached: int | None = None) -> float:
        """Schedule lambda: linear from 0, and constant once the target L0 is reached."""
        return self.sparsity * ((step if reached is None else min(step, reached)) + 1) / self.steps

    def differences(self, other: TrainingConfig) -> list[str]:
        """List the settings in which two runs differ, but for those that change no weight."""
        names = [field.name for field in fields(self) if field.name not in _FREE]
        return [name for name in names if getattr(self, name) != getattr(other, name)]
