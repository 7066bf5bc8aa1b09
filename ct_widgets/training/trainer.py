"""Trains a cross-layer transcoder: resumable, safe to interrupt, and determined by its seed."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ct_widgets.errors import TrainingError
from ct_widgets.progress import progress
from ct_widgets.training.activations import ActivationBuffer, Activations, Place
from ct_widgets.training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from ct_widgets.training.cross_layer import CrossLayerDictionary
from ct_widgets.training.loss import loss
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.recipe import Recipe
from ct_widgets.transcoders import Transcoder

CHECKPOINT = "clt.safetensors"
_DENSITY_TOKENS = 8192  # enough to place biases by


class Step(NamedTuple):
    """What one step measured on its batch, before its update; `mse` is normalised, all layers weighing the same."""

    mse: float
    sparsity: float
    preactivation: float
    l0: float


@dataclass(frozen=True, eq=False)
class Training:
    """A run's outcome, whole or interrupted: one `Step` per step taken, and the time they took together."""

    dictionary: CrossLayerDictionary
    inputs: Normaliser
    targets: Normaliser
    history: list[Step]
    seconds: float
    finished: bool

    def transcoder(self, *, input_hook: str, output_hook: str, model_name: str, name: str = "clt") -> Transcoder:
        """The dictionary in the model's own units."""
        return self.dictionary.export(
            self.inputs,
            self.targets,
            input_hook=input_hook,
            output_hook=output_hook,
            model_name=model_name,
            name=name,
        )


def train(
    recipe: Recipe, read: Callable[[int], Activations], directory: Path | None = None, show: bool | None = None
) -> Training:
    """Train on the rounds that `read` gives (see `ActivationBuffer`).

    With a `directory`, a checkpoint there is resumed from and written every `checkpoint_every` steps. Ctrl-C ends
    the run after the step at hand, saves it and returns it unfinished; a second Ctrl-C stops at once. `show` is that
    of `progress`.
    """
    torch.set_flush_denormal(True)  # decaying activations become denormal numbers, many times slower on a CPU
    run = _Run(recipe, read, None if directory is None else directory / CHECKPOINT)
    saved = len(run.history)
    with _interruption() as interrupted, progress(recipe.steps, "transcoder", unit="step", show=show) as bar:
        bar.advance(len(run.history))
        while len(run.history) < recipe.steps and not interrupted.is_set():
            step = run.step()
            bar.advance()
            bar.note(mse=f"{step.mse:.4f}", l0=f"{step.l0:.1f}")
            if len(run.history) % recipe.checkpoint_every == 0:
                run.save()
                saved = len(run.history)
        if saved < len(run.history):
            run.save()
    finished = len(run.history) == recipe.steps
    return Training(run.dictionary, run.inputs, run.targets, run.history, run.seconds, finished)


class _Run:
    """The state that a step changes: weights, optimiser, place in the data, history."""

    def __init__(self, recipe: Recipe, read: Callable[[int], Activations], path: Path | None) -> None:
        self.recipe, self.path = recipe, path
        self.buffer = ActivationBuffer(read, recipe.batch_size, recipe.seed)
        self.place = Place(0, 0)
        self.history: list[Step] = []
        self.seconds = 0.0
        saved = path if path is not None and path.exists() else None
        if saved:
            self._check(saved)
            facts = read_facts(saved)
            self.place, self.seconds = Place(*facts["place"]), facts["seconds"]
        first = self.buffer.round(self.place.round)
        n_layers, _, d_model = first.x.shape
        device = first.x.device
        self.dictionary = CrossLayerDictionary(n_layers, d_model, recipe).to(device)
        parameters = list(self.dictionary.parameters())
        self.optimizer = torch.optim.Adam(parameters, lr=recipe.learning_rate, betas=(0.9, 0.999), fused=True)
        if saved:
            extra = load_checkpoint(saved, self.dictionary, self.optimizer)
            self.inputs = Normaliser(extra["x_mean"], extra["x_scale"]).to(device)
            self.targets = Normaliser(extra["y_mean"], extra["y_scale"]).to(device)
            self.history = [Step(*row) for row in extra["history"].tolist()]
        else:
            self._check_finite(first)
            self.inputs, self.targets = Normaliser.of(first.x), Normaliser.of(first.y)
            self.dictionary.set_density(
                self.inputs(first.x[:, :: max(1, first.x.shape[1] // _DENSITY_TOKENS)]), recipe.density
            )

    def _check(self, path: Path) -> None:
        differing = self.recipe.differences(Recipe(**read_facts(path)["recipe"]))
        if differing:
            raise TrainingError(
                f"{path} was made with another {', '.join(differing)}; choose an empty directory or the old settings"
            )

    def step(self) -> Step:
        """One update."""
        start = time.perf_counter()
        recipe, n = self.recipe, len(self.history)
        batch, following = self.buffer.batch(self.place)
        x, y = self.inputs(batch.x), self.targets(batch.y)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.half_products):
            parts = loss(self.dictionary, x, y, recipe.saturation)
        total = parts.total(recipe, n)
        if not bool(torch.isfinite(total)):
            self._check_finite(batch)
            raise TrainingError(
                f"step {n} ({self._where()}): the loss is {total.item()} on finite data; "
                "the weights diverged, use a smaller learning_rate"
            )
        self.optimizer.zero_grad()
        total.backward()  # pyright: ignore[reportUnknownMemberType]
        nn.utils.clip_grad_norm_(self.dictionary.parameters(), recipe.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(n)
        self.optimizer.step()
        entries = batch.y.shape[0] * batch.y.shape[2]
        step = Step(
            parts.reconstruction.item() / entries,
            parts.sparsity.item(),
            parts.preactivation.item(),
            parts.active.item(),
        )
        self.history.append(step)
        self.place = following
        self.seconds += time.perf_counter() - start
        return step

    def _where(self) -> str:
        return f"batch {self.place.batch} of round {self.place.round}"

    def _check_finite(self, batch: Activations) -> None:
        for what, values in (("inputs", batch.x), ("targets", batch.y)):
            wrong = (~torch.isfinite(values)).nonzero()
            if len(wrong):
                layer, token, _ = wrong[0].tolist()
                raise TrainingError(
                    f"{self._where()}: {len(wrong)} {what} are not finite, first in layer {layer}, token {token}; "
                    "look at what the language model gives there"
                )

    def save(self) -> None:
        """Write the checkpoint, if there is a directory for it."""
        if self.path is None:
            return
        extra: dict[str, Tensor] = {
            "x_mean": self.inputs.mean,
            "x_scale": self.inputs.scale,
            "y_mean": self.targets.mean,
            "y_scale": self.targets.scale,
            "history": torch.tensor(self.history, dtype=torch.float64),
        }
        facts = {"place": self.place, "seconds": self.seconds, "recipe": dataclasses.asdict(self.recipe)}
        save_checkpoint(self.path, self.dictionary, self.optimizer, extra, facts)


@contextmanager
def _interruption() -> Generator[threading.Event]:
    """An event that the first Ctrl-C sets instead of raising, so that no step stops half-way."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # signals reach the main thread alone
        return
    before = signal.getsignal(signal.SIGINT)

    def once(signum: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
