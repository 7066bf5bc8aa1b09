"""TrainingWidget: the curves of a run while it trains, with buttons that pause, resume and stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import traitlets as t
from IPython.core.getipython import get_ipython
from IPython.display import display

from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.pictures.training import training_picture
from ct_widgets.widgets.training_state import layer_rows, new_curves
from ct_widgets.widgets.traits import Choice
from ct_widgets.widgets.view import Theme, View

if TYPE_CHECKING:
    from ct_widgets.training import Evaluation, RunStart, Step, Training, TrainingControl
    from ct_widgets.transcoders import Transcoder

_EVERY = 0.25
"""Seconds between pictures: often enough to look alive, seldom enough to cost nothing."""
_RATE_OVER = 20.0
"""Seconds that the shown rate is an average of."""


class TrainingWidget(View, front_end="training"):
    """Watch a run in a cell: pass it as a callback, and it shows itself when the run starts.

    Afterwards it stays as a figure, with the final figures by layer, also in the saved notebook.

    >>> run = ct.train_transcoder(model, texts, config, callbacks=[ct.TrainingWidget()])
    >>> view = ct.TrainingWidget()
    >>> view                                # or put it where you want it, then train in another cell
    >>> view.command = "pause"              # what the buttons do
    """

    _run = t.Dict({"status": "waiting"}).tag(sync=True)
    _curves = t.Dict({}).tag(sync=True)
    _cards = t.List([]).tag(sync=True)

    command = Choice("", "pause", "resume", "stop")
    """The next thing that the run should do; empty when it has been done."""

    def __init__(self, *, theme: Theme = "auto") -> None:
        super().__init__(theme=theme)
        self._lines = new_curves()
        self._control: TrainingControl | None = None
        self._start: RunStart | None = None
        self._is_shown = False
        self._display: Any = None
        self._sent = 0.0
        self._pace: list[tuple[float, int]] = []
        self._steps = 0
        self._lock = threading.RLock()  # buttons come on another thread than the run

    @property
    def status(self) -> str:
        """State of the run: waiting, running, paused, finished, stopped or failed."""
        return str(self._run["status"])

    # What the run calls, from the thread that trains.

    def started(self, start: RunStart) -> None:
        """Take over a run, one that resumes with its past curves, and show the view if nobody has."""
        self._lines, self._start, self._control, self._pace = new_curves(), start, start.control, []
        for number, step in enumerate(start.history, 1):
            self._add_step(number, step)
        for evaluation in start.evaluations:
            self._add_evaluation(evaluation)
        self._cards = []
        self._tell("running", len(start.history))
        if not self._is_shown and get_ipython() is not None:  # where the run was started, if that is a notebook
            self._display = display(self, display_id=True)

    def stepped(self, number: int, step: Step) -> None:
        """Continue the curves, a few times a second."""
        self._add_step(number, step)
        now = time.monotonic()
        self._pace.append((now, number))
        while now - self._pace[0][0] > _RATE_OVER:
            self._pace.pop(0)
        control = self._control
        is_paused = control is not None and control.paused
        if is_paused or now - self._sent >= _EVERY:
            self._tell("paused" if is_paused else "running", number)

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        """Add what was measured on held-out text, and show some features as they are now."""
        self._add_evaluation(evaluation)
        if self._start is not None:
            self._cards = self._start.previews(transcoder)

    def finished(self, training: Training) -> None:
        """Keep the final picture."""
        last = training.history[-1] if training.history else None
        rows = layer_rows(last.mse, last.l0, last.dead) if last else []
        self._tell("finished" if training.finished else "stopped", len(training.history), layers=rows)
        self._keep_picture()

    def failed(self, error: BaseException) -> None:
        """Say why it ended."""
        self._tell("failed", self._steps, message=f"{type(error).__name__}: {error}")
        self._keep_picture()

    def _add_step(self, number: int, step: Step) -> None:
        tokens = self._tokens(number)
        self._lines["loss"].add(tokens, step.loss)
        self._lines["batch, mean of layers"].add(tokens, step.mean_mse)
        self._lines["L0"].add(tokens, step.total_l0)
        self._lines["dead features"].add(tokens, step.mean_dead)

    def _add_evaluation(self, evaluation: Evaluation) -> None:
        tokens = self._tokens(evaluation.step)
        self._lines["held out, overall"].add(tokens, evaluation.normalised_mse)
        self._lines["same top-1 as model"].add(tokens, evaluation.top1_agreement)

    def _tokens(self, step: int) -> int:
        return step * (self._start.config.batch_size if self._start else 0)

    def _tell(self, status: str, steps: int, **more: Any) -> None:
        """Send the state of the run after so many steps."""
        self._sent, self._steps = time.monotonic(), steps
        total = self._start.config.steps if self._start else 0
        rate = self._rate()
        state = {
            "status": status,
            "title": self._start.name if self._start else "",
            "tokens": self._tokens(steps),
            "total": self._tokens(total),
            "rate": rate,
            "left": None if not rate else self._tokens(total - steps) / rate,
        }
        with self._lock, self.hold_sync():
            self._run = state | more
            self._curves = {name: line.points() for name, line in self._lines.items()}
            if self.command != "stop" or status not in ("running", "paused"):
                self.command = ""  # done

    def _rate(self) -> float | None:
        """Measure the tokens per second of late."""
        if len(self._pace) < 2 or self._pace[-1][0] == self._pace[0][0]:
            return None
        (first, before), (last, now) = self._pace[0], self._pace[-1]
        return self._tokens(now - before) / (last - first)

    @t.observe("command")
    def _steer(self, change: Any) -> None:
        control, command = self._control, change["new"]
        if control is None or not command:
            return
        if command == "stop":
            control.stop()
            return
        if command == "pause":
            control.pause()
        else:
            control.resume()
            self._pace = []  # the pause is nobody's rate
        self._tell("paused" if command == "pause" else "running", self._steps)

    # How it is shown.

    def _keep_picture(self) -> None:
        """Put the final figure where the view is, for who opens the notebook without a kernel."""
        if self._display is not None:
            self._display.update(self)

    def open(self) -> None:
        """Meet the browser."""
        _apart_from_the_cell(super().open)

    def send_state(self, key: Any = None) -> None:
        """Tell the browser."""
        _apart_from_the_cell(super().send_state, key)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        self._is_shown = True
        return super()._repr_mimebundle_(**options)

    def _picture(self) -> Picture:
        return training_picture(self._run, self._curves)

    def __repr__(self) -> str:
        done = f", {self._run.get('tokens', 0):,} of {self._run.get('total', 0):,} tokens" if self._start else ""
        return f"<TrainingWidget: {self.status}{done}>"


def _apart_from_the_cell(send: Callable[..., None], *arguments: Any) -> None:
    """Send as if no cell ran.

    ipykernel notes for which request a comm sent last, and passes what the browser answers to the thread of that
    request: here the cell that trains, which would hear of a button when the run is over. What belongs to no request
    leaves no note, and answers go where JupyterLab sends them, to its thread of widgets.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    request: Any = getattr(kernel, "_shell_parent", None)
    context = copy_context()
    if isinstance(request, ContextVar):
        context.run(request.set, {})
    context.run(send, *arguments)
