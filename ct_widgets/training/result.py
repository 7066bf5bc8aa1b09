"""The result of a run: a `Step` per update, an `Evaluation` now and then on held-out text, and the dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.transcoders import Transcoder


class Step(NamedTuple):
    """Measurements of one step on its batch, before its update.

    loss: what it minimised; mse: normalised, per layer; l0: active features per token, per layer; dead: share of
    features that have not been active for `config.dead_after` tokens, per layer; sparsity, preactivation: loss parts
    before their weights; penalty: lambda.
    """

    mse: tuple[float, ...]
    l0: tuple[float, ...]
    dead: tuple[float, ...]
    loss: float
    sparsity: float
    preactivation: float
    learning_rate: float
    penalty: float

    @property
    def mean_mse(self) -> float:
        """Normalised MSE, all layers weighing the same."""
        return sum(self.mse) / len(self.mse)

    @property
    def total_l0(self) -> float:
        """Active features per token, summed over layers."""
        return sum(self.l0)

    @property
    def mean_dead(self) -> float:
        """Share of all features that are dead."""
        return sum(self.dead) / len(self.dead)

    def row(self) -> list[float]:
        """List all values one after the other, layers first, in the order of the fields."""
        return [*self.mse, *self.l0, *self.dead, *self[3:]]

    @classmethod
    def of(cls, row: Sequence[float], n_layers: int) -> Step:
        """Build the step with these values, in the order of `row`."""
        mse, l0, dead = (tuple(row[i * n_layers : (i + 1) * n_layers]) for i in range(3))
        return cls(mse, l0, dead, *row[3 * n_layers :])


class Evaluation(NamedTuple):
    """Measurements on held-out text after `step` steps; see `DictionaryMetrics` and `ReplacementMetrics`."""

    step: int
    normalised_mse: float
    l0: float
    top1_agreement: float
    kl: float
    recovered: float


@dataclass(frozen=True, eq=False)
class Training:
    """A run's outcome, finished or interrupted: one `Step` per step taken, and the seconds that they took together."""

    config: TrainingConfig
    dictionary: Dictionary
    inputs: Normaliser
    targets: Normaliser
    history: list[Step]
    seconds: float
    finished: bool
    evaluations: list[Evaluation] = field(default_factory=list[Evaluation])
    model_name: str | None = None
    name: str = "transcoder"

    @cached_property
    def transcoder(self) -> Transcoder:
        """The trained dictionary as a transcoder, in the model's own units."""
        return self.dictionary.export(self.inputs, self.targets, model_name=self.model_name, name=self.name)
