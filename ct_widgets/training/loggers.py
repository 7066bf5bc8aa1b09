"""Loggers of a run: files beside its checkpoint, and, for those who have them, TensorBoard and Weights & Biases."""

from __future__ import annotations

import csv
import io
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ct_widgets.errors import TrainingError
from ct_widgets.training.callbacks import Callback, RunStart
from ct_widgets.training.result import Evaluation, Step, Training
from ct_widgets.transcoders import Transcoder

STEPS, EVALUATIONS = "metrics.csv", "evaluations.json"
_LINES_AT_ONCE = 50


class FileLogger(Callback):
    """Writes `metrics.csv`, a line per step, and `evaluations.json`; a resumed run rewrites what its checkpoint has."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rows: list[dict[str, float]] = []
        self._evaluations: list[Evaluation] = []
        self._mode = "w"

    def started(self, start: RunStart) -> None:
        """Write what is known already."""
        self._batch_size, self._mode = start.config.batch_size, "w"
        self._evaluations = list(start.evaluations)
        self._rows = [self._row(number, step) for number, step in enumerate(start.history, 1)]
        if not self._rows:
            (self._directory / STEPS).unlink(missing_ok=True)
        self._write_steps()
        self._write_evaluations()

    def stepped(self, number: int, step: Step) -> None:
        """Add a line."""
        self._rows.append(self._row(number, step))
        if number % _LINES_AT_ONCE == 0:
            self._write_steps()

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Write all measurements so far."""
        self._evaluations.append(evaluation)
        self._write_steps()
        self._write_evaluations()

    def finished(self, training: Training) -> None:
        """Write the last lines."""
        self._write_steps()

    def failed(self, error: BaseException) -> None:
        """Keep the lines that lead there."""
        self._write_steps()

    def _row(self, number: int, step: Step) -> dict[str, float]:
        return {"step": number, "tokens": number * self._batch_size, **scalars(step), **by_layer(step)}

    def _write_steps(self) -> None:
        if not self._rows:
            return
        lines = io.StringIO()
        writer = csv.DictWriter(lines, self._rows[0])
        if self._mode == "w":
            writer.writeheader()
        writer.writerows(self._rows)
        self._try_to_write(STEPS, lines.getvalue(), self._mode)
        self._rows, self._mode = [], "a"

    def _write_evaluations(self) -> None:
        rows = [evaluation._asdict() for evaluation in self._evaluations]
        self._try_to_write(EVALUATIONS, json.dumps(rows, indent=1) + "\n", "w")

    def _try_to_write(self, name: str, text: str, mode: str) -> None:
        path = self._directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode, encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:  # a log is not worth a run
            warnings.warn(f"{path} could not be written ({error}); training continues", stacklevel=2)


def scalars(step: Step) -> dict[str, float]:
    """Name what a step measured of all layers together."""
    means = {"mse": step.mean_mse, "l0": step.total_l0, "dead": step.mean_dead}
    return means | {name: getattr(step, name) for name in ("sparsity", "preactivation", "learning_rate", "penalty")}


def by_layer(step: Step) -> dict[str, float]:
    """Name what a step measured of every layer, `mse_0`, `mse_1` and so on."""
    columns = {"mse": step.mse, "l0": step.l0, "dead": step.dead}
    return {f"{name}_{layer}": value for name, values in columns.items() for layer, value in enumerate(values)}


class _Curves(Callback):
    """Sends every step and evaluation to a service as points of curves."""

    def _add(self, curves: dict[str, float], number: int) -> None: ...

    def stepped(self, number: int, step: Step) -> None:
        """Add a point to every curve of training."""
        self._add({f"train/{name}": value for name, value in {**scalars(step), **by_layer(step)}.items()}, number)

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Add a point to every curve of held-out text."""
        self._add({f"held out/{name}": value for name, value in evaluation._asdict().items()}, evaluation.step)


class TensorBoard(_Curves):
    """Curves for TensorBoard (`pip install tensorboard`).

    >>> train_transcoder(model, texts, callbacks=[TensorBoard("runs/first")])
    """

    def __init__(self, directory: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError("TensorBoard is not installed: pip install tensorboard") from error
        self._writer: Any = SummaryWriter(str(directory))

    def _add(self, curves: dict[str, float], number: int) -> None:
        for name, value in curves.items():
            self._writer.add_scalar(name, value, number)

    def finished(self, training: Training) -> None:
        """Close the files."""
        self._writer.close()


class WeightsAndBiases(_Curves):
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

    def started(self, start: RunStart) -> None:
        """Begin the run."""
        self._run = self._wandb.init(**{"config": asdict(start.config), **self._settings})

    def _add(self, curves: dict[str, float], number: int) -> None:
        self._run.log(curves, number)

    def finished(self, training: Training) -> None:
        """End the run."""
        self._run.finish()
