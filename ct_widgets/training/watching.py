"""What a run tells those who watch it, and how they steer it, from any thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ct_widgets.training.config import TrainingConfig
from ct_widgets.transcoders import Transcoder

if TYPE_CHECKING:
    from ct_widgets.training.trainer import Training


class Step(NamedTuple):
    """What one step measured on its batch, before its update.

    loss: what it minimised; mse: normalised, per layer; l0: active features per token, per layer; dead: share of
    features that have not been active for `config.dead_after` tokens, per layer; sparsity, preactivation: loss parts
    before their weights; rate: the learning rate; penalty: lambda.
    """

    mse: tuple[float, ...]
    l0: tuple[float, ...]
    dead: tuple[float, ...]
    loss: float
    sparsity: float
    preactivation: float
    rate: float
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
        """The values one after the other, layers first."""
        return [*self.mse, *self.l0, *self.dead, self.loss, self.sparsity, self.preactivation, self.rate, self.penalty]

    @classmethod
    def of(cls, row: Sequence[float], n_layers: int) -> Step:
        """The step with these values, in the order of `row`."""
        mse, l0, dead = (tuple(row[i * n_layers : (i + 1) * n_layers]) for i in range(3))
        return cls(mse, l0, dead, *row[3 * n_layers :])


class Evaluation(NamedTuple):
    """Measured on held-out text after `step` steps; see `DictionaryMetrics` and `ReplacementMetrics`."""

    step: int
    normalised_mse: float
    l0: float
    agreement: float
    kl: float
    recovered: float


@dataclass(frozen=True, eq=False)
class Start:
    """What a watcher is told first. history and evaluations: those of the run that this one goes on with, or empty.

    name: of the transcoder; cards: what some features of a transcoder are like on held-out text, for views.
    """

    config: TrainingConfig
    control: TrainingControl
    name: str
    cards: Callable[[Transcoder], list[dict[str, Any]]]
    history: Sequence[Step]
    evaluations: Sequence[Evaluation]


class Callback(Protocol):
    """Watches a run; derive from it and override what you need. The thread that trains calls, and waits."""

    def started(self, start: Start) -> None:
        """Before the first step."""

    def stepped(self, number: int, step: Step) -> None:
        """After every step; `number` counts from 1."""

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """After a measurement on held-out text, with the transcoder as it is now."""

    def finished(self, training: Training) -> None:
        """After the last step, or when the run was stopped."""

    def failed(self, error: BaseException) -> None:
        """When the run ends with an error, which is raised afterwards."""


class TrainingControl:
    """Pauses, resumes and stops a run, from any thread: the run looks at it between steps.

    >>> control = TrainingControl()
    >>> button.on_click(lambda _: control.pause())
    >>> train_transcoder(model, texts, control=control)
    """

    def __init__(self) -> None:
        # Plain flags, which one thread sets and another reads: a signal handler must not wait for a lock.
        self._paused = self._stopped = False

    @property
    def paused(self) -> bool:
        """Whether the run waits, or will after the step at hand."""
        return self._paused and not self._stopped

    @property
    def stopped(self) -> bool:
        """Whether the run has ended or will after the step at hand."""
        return self._stopped

    def pause(self) -> None:
        """Wait after the step at hand; the run saves a checkpoint first."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False

    def stop(self) -> None:
        """End after the step at hand: the run saves a checkpoint and returns what it has."""
        self._stopped = True

    def wait(self) -> None:
        """Return when the run is not paused, or no more."""
        while self.paused:
            time.sleep(0.05)
