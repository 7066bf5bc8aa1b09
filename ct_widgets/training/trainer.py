"""Trains a transcoder on buffers of activations: resumable, safe to interrupt, and determined by its seed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ct_widgets.progress import progress_bar
from ct_widgets.training import parallel
from ct_widgets.training.activations import Activations
from ct_widgets.training.callbacks import Callback, RunStart, TrainingControl
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.loggers import FileLogger
from ct_widgets.training.process_state import flushed_denormals, stopped_by_ctrl_c
from ct_widgets.training.result import Evaluation, Training
from ct_widgets.training.run import Run
from ct_widgets.transcoders import Transcoder

CHECKPOINT = "checkpoint.safetensors"


def train(
    config: TrainingConfig,
    read: Callable[[int], Activations],
    directory: Path | None = None,
    *,
    data: str = "",
    model_name: str | None = None,
    name: str = "transcoder",
    evaluate: Callable[[int, Transcoder], Evaluation] | None = None,
    previews: Callable[[Transcoder], list[dict[str, Any]]] = lambda _: [],
    callbacks: Sequence[Callback] = (),
    control: TrainingControl | None = None,
    show: bool | None = None,
) -> Training:
    """Train on the buffers of activations that `read` gives by their number (see `ActivationBuffer`).

    With a `directory`, a checkpoint there is resumed from and written every `checkpoint_every` steps, and `FileLogger`
    keeps records. Ctrl-C and `control.stop` end the run after the current step, save it and return it unfinished; a
    second Ctrl-C stops at once. In several processes of `torch.distributed`, call it in all: each has its share of a
    batch or of the features (`config.shards`). Process 0 alone evaluates, and has the transcoder of shards.
    data: identifies the data in the checkpoint, which is refused for other data.
    evaluate: measures on held-out text, every `evaluate_every` steps and at the end; previews: that of `RunStart`;
    show: that of `progress_bar`.

    Raises TrainingError for a checkpoint of other settings or data, activations that are not finite, and a loss that
    diverges.

    >>> train(config, lambda index: read_activations(model, sequences(index), config.input_hook, config.output_hook))
    """
    control, first = control or TrainingControl(), parallel.rank() == 0
    with flushed_denormals():
        run = Run(config, read, None if directory is None else directory / CHECKPOINT, data, control)
        callbacks = [FileLogger(directory), *callbacks] if directory is not None and first else callbacks
        for callback in callbacks:
            callback.started(RunStart(config, control, name, previews, tuple(run.history), tuple(run.evaluations)))
        bar = progress_bar("transcoder", run.end, unit="step", show=show if first else False)
        with _failure_told(callbacks), stopped_by_ctrl_c(control), bar as shown:
            shown.advance(len(run.history))
            while len(run.history) < run.end and not run.requests[0]:
                step = run.step()
                number = len(run.history)
                shown.advance()
                shown.note(mse=f"{step.mean_mse:.4f}", l0=f"{step.total_l0:.1f}")
                for callback in callbacks:
                    callback.stepped(number, step)
                if evaluate and (number % config.evaluate_every == 0 or number == run.end):
                    now = run.result(model_name, name)
                    evaluation = run.evaluate(evaluate, now)
                    for callback in callbacks if first else ():
                        callback.evaluated(evaluation, now.transcoder)
                if number % config.checkpoint_every == 0 or run.requests[1]:
                    run.save()
                control.wait()
            run.save()
        training = run.result(model_name, name)
        for callback in callbacks:
            callback.finished(training)
    return training


@contextmanager
def _failure_told(callbacks: Sequence[Callback]) -> Generator[None]:
    """Tell the callbacks of an error that ends the run."""
    try:
        yield
    except BaseException as error:
        for callback in callbacks:
            callback.failed(error)
        raise
