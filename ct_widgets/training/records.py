"""Records of a run: files beside its checkpoint, and, for those who have them, TensorBoard and Weights & Biases."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path
from typing import Any

from ct_widgets.errors import TrainingError
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.watching import Callback, Evaluation, Start, Step
from ct_widgets.transcoders import Transcoder

STEPS, EVALUATIONS = "metrics.csv", "evaluations.json"
_LINES_AT_ONCE = 50


class Files(Callback):
    """`metrics.csv`, a line per step, and `evaluations.json`. A run that goes on rewrites what its checkpoint knows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lines = io.StringIO()
        self._evaluations: list[Evaluation] = []

    def started(self, start: Start) -> None:
        """Write what is known already."""
        self._evaluations = list(start.evaluations)
        self._tokens = start.config.batch_size
        self._empty = True
        for number, step in enumerate(start.history, 1):
            self._add(number, step)
        if self._empty:
            self._drop(STEPS)
        self._write(mode="w")
        self._write_evaluations()

    def stepped(self, number: int, step: Step) -> None:
        """Add a line."""
        self._add(number, step)
        if number % _LINES_AT_ONCE == 0:
            self._write()

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Write all measurements so far."""
        self._evaluations.append(evaluation)
        self._write()
        self._write_evaluations()

    def finished(self, training: Any) -> None:
        """Write the last lines."""
        self._write()

    def failed(self, error: BaseException) -> None:
        """Keep the lines that lead there."""
        self._write()

    def _add(self, number: int, step: Step) -> None:
        values = {"step": number, "tokens": number * self._tokens, **scalars(step), **by_layer(step)}
        writer = csv.writer(self._lines)
        if self._empty:
            writer.writerow(values)
            self._empty = False
        writer.writerow(values.values())

    def _write(self, mode: str = "a") -> None:
        lines = self._lines.getvalue()
        self._lines = io.StringIO()
        if lines:
            self._try(lambda: _append(self._directory / STEPS, lines, mode))

    def _write_evaluations(self) -> None:
        rows = [evaluation._asdict() for evaluation in self._evaluations]
        self._try(lambda: _append(self._directory / EVALUATIONS, json.dumps(rows, indent=1) + "\n", "w"))

    def _drop(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)

    def _try(self, write: Any) -> None:
        try:
            write()
        except OSError as error:  # records are not worth a run
            warnings.warn(f"{self._directory}: records could not be written ({error}); training goes on", stacklevel=2)


def _append(path: Path, text: str, mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8", newline="") as file:
        file.write(text)


def scalars(step: Step) -> dict[str, float]:
    """What a step says of all layers together, by name."""
    return {
        "mse": step.mean_mse,
        "l0": step.total_l0,
        "dead": step.mean_dead,
        "sparsity": step.sparsity,
        "preactivation": step.preactivation,
        "rate": step.rate,
        "penalty": step.penalty,
    }


def by_layer(step: Step) -> dict[str, float]:
    """What a step says of every layer, by name."""
    columns = {"mse": step.mse, "l0": step.l0, "dead": step.dead}
    return {f"{name}_{layer}": value for name, values in columns.items() for layer, value in enumerate(values)}


class TensorBoard(Callback):
    """Curves for TensorBoard (`pip install tensorboard`).

    >>> train_transcoder(model, texts, callbacks=[TensorBoard("runs/first")])
    """

    def __init__(self, directory: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError("TensorBoard is not installed: pip install tensorboard") from error
        self._writer: Any = SummaryWriter(str(directory))

    def stepped(self, number: int, step: Step) -> None:
        """Add a point to every curve."""
        for name, value in {**scalars(step), **by_layer(step)}.items():
            self._writer.add_scalar(f"train/{name}", value, number)

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Add a point to the curves of held-out text."""
        for name, value in evaluation._asdict().items():
            self._writer.add_scalar(f"held out/{name}", value, evaluation.step)

    def finished(self, training: Any) -> None:
        """Close the files."""
        self._writer.close()


class WeightsAndBiases(Callback):
    """A run of Weights & Biases (`pip install wandb`); `settings` are those of `wandb.init`.

    >>> train_transcoder(model, texts, callbacks=[WeightsAndBiases(project="transcoders")])
    """

    def __init__(self, **settings: Any) -> None:
        try:
            import wandb
        except ImportError as error:
            raise TrainingError("Weights & Biases is not installed: pip install wandb") from error
        self._wandb: Any = wandb
        self._settings = settings
        self._run: Any = None

    def started(self, start: Start) -> None:
        """Begin the run."""
        self._run = self._wandb.init(**{"config": _plain(start.config), **self._settings})

    def stepped(self, number: int, step: Step) -> None:
        """Add a point to every curve."""
        self._run.log({f"train/{name}": value for name, value in {**scalars(step), **by_layer(step)}.items()}, number)

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Add a point to the curves of held-out text."""
        self._run.log({f"held out/{name}": value for name, value in evaluation._asdict().items()}, evaluation.step)

    def finished(self, training: Any) -> None:
        """End the run."""
        self._run.finish()


def _plain(config: TrainingConfig) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(config)
