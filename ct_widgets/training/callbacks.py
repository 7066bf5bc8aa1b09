"""Callbacks hear of a run as it goes, and a TrainingControl steers it, from any thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.result import Evaluation, Step, Training
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class RunStart:
    """The start of a run, as callbacks are told.

    name: of the transcoder; history, evaluations: those of the run that this one resumes, or empty; previews: gives
    what some features of a transcoder are like on held-out text, as JSON values for views.
    """

    config: TrainingConfig
    control: TrainingControl
    name: str
    previews: Callable[[Transcoder], list[dict[str, Any]]]
    history: Sequence[Step]
    evaluations: Sequence[Evaluation]


class Callback:
    """Base of what listens to a run: override what you need. The thread that trains calls, and waits.

    >>> class Print(Callback):
    ...     def stepped(self, number, step):
    ...         print(number, step.loss)
    >>> train_transcoder(model, texts, config, callbacks=[Print()])
    """

    def started(self, start: RunStart) -> None:
        """Called before the first step."""

    def stepped(self, number: int, step: Step) -> None:
        """Called after every step; `number` counts from 1."""

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Called after a measurement on held-out text, with the transcoder as it is now."""

    def finished(self, training: Training) -> None:
        """Called after the last step, or when the run was stopped."""

    def failed(self, error: BaseException) -> None:
        """Called when the run ends with an error, which is raised afterwards."""


class TrainingControl:
    """Pauses, resumes and stops a run, from any thread: the run looks at it between steps.

    >>> control = TrainingControl()
    >>> button.on_click(lambda _: control.pause())
    >>> train_transcoder(model, texts, config, control=control)
    """

    def __init__(self) -> None:
        # Plain flags, which one thread sets and another reads: a signal handler must not wait for a lock.
        self._paused = self._stopped = False

    @property
    def paused(self) -> bool:
        """Whether the run waits, or will after the current step."""
        return self._paused and not self._stopped

    @property
    def stopped(self) -> bool:
        """Whether the run has ended or will after the current step."""
        return self._stopped

    def pause(self) -> None:
        """Pause after the current step; the run saves a checkpoint first."""
        self._paused = True

    def resume(self) -> None:
        """Resume a paused run."""
        self._paused = False

    def stop(self) -> None:
        """Stop after the current step: the run saves a checkpoint and returns what it has."""
        self._stopped = True

    def wait(self) -> None:
        """Block while the run is paused."""
        while self.paused:
            time.sleep(0.05)
