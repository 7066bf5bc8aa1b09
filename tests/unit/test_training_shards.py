"""Features divided over processes: the run of one process, whatever the number that began and that went on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from test_training import config, sparse_world

from ct_widgets.errors import FileFormatError, TrainingError
from ct_widgets.training import Callback, Evaluation, Step, Training, TrainingConfig, TrainingControl, train
from ct_widgets.transcoders import Transcoder

ROOT = Path(__file__).parents[2]
STOP = 5

CONFIGS = {
    f"{kind} {activation}": config(kind=kind, activation=activation, k=3, skip=kind == "plt" or activation == "topk")
    for kind in ("clt", "plt")
    for activation in ("relu", "jumprelu", "topk", "batchtopk")
} | {"half": config(activation="batchtopk", half_products=True)}
INTERRUPTED = ("clt topk", "clt batchtopk", "plt jumprelu")


def sharded(name: str, shards: int) -> TrainingConfig:
    from dataclasses import replace

    return replace(CONFIGS[name], shards=shards)


class Stops(Callback):
    """Asks for the end after some steps, in one process alone."""

    def __init__(self, rank: int) -> None:
        self.control = TrainingControl()
        self.rank = rank

    def stepped(self, number: int, step: Step) -> None:
        if number == STOP - 1 and self.rank:  # heard of in the step that follows
            self.control.stop()


def evaluate(step: int, transcoder: Transcoder) -> Evaluation:
    """A measurement that only the whole transcoder gives."""
    return Evaluation(step, float(transcoder.W_enc[0].sum()), float(transcoder.n_features(0)), 0.0, 0.0, 0.0)


def run(settings: TrainingConfig, directory: Path | None = None, **more: Any) -> Training:
    return train(settings, sparse_world, directory, show=False, **more)


def two(folder: Path, rank: int) -> None:
    """What each of two processes does."""
    for name in CONFIGS:
        training = run(sharded(name, 2), folder / name)
        assert training.finished
        if rank:
            # A slice, in memory of its own size: views of the whole would keep the whole.
            for p, shape in zip(training.dictionary.parameters(), SHAPES[name], strict=True):
                assert tuple(p.shape) == shape
                assert p.untyped_storage().nbytes() == p.numel() * 4
            with pytest.raises(TrainingError, match="the whole transcoder is in process 0"):
                _ = training.transcoder
    for name in INTERRUPTED:
        for goes_on in ("1", "2", "4", "grid"):
            stops = Stops(rank)
            part = run(sharded(name, 2), folder / f"{name} to {goes_on}", callbacks=[stops], control=stops.control)
            assert (len(part.history), part.finished) == (STOP, False)
        run(sharded(name, 2), folder / f"{name} to 2")
        run(sharded(name, 2), folder / f"{name} from 1")
    measured = run(sharded("clt relu", 2), folder / "measured", evaluate=evaluate)
    assert [e.l0 for e in measured.evaluations] == [24.0]
    cannot_write(folder / "full", rank)


def cannot_write(directory: Path, rank: int) -> None:
    """One of the processes can write no file after step 5: the checkpoint of that step stays, in both."""
    import resource
    import signal
    import warnings

    class Fills(Callback):
        def stepped(self, number: int, step: Step) -> None:
            if rank and number == STOP + 1:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert run(sharded("clt relu", 2), directory, callbacks=[Fills()]).finished
    assert sum("could not be written" in str(w.message) for w in caught) >= 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def four(folder: Path, rank: int) -> None:
    """What each of four does."""
    for name in INTERRUPTED:
        run(sharded(name, 4), folder / f"{name} to 4")
        run(sharded(name, 2), folder / f"{name} to grid")


def together(work: str, count: int, folder: Path) -> None:
    """Do the work in processes that make a group."""
    code = (
        "import sys, torch.distributed as dist; from pathlib import Path; import test_training_shards as t; "
        "name, folder, rank, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]); "
        "dist.init_process_group('gloo', init_method=f'file://{folder}/{name}', rank=rank, world_size=count); "
        "getattr(t, name)(folder, rank); dist.destroy_process_group()"
    )
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, work, str(folder), str(rank), str(count)],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    found = [process.communicate(timeout=300)[1] for process in processes]
    for process, errors in zip(processes, found, strict=True):
        assert process.returncode == 0, errors


def half(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n // 2 if n == CONFIGS["half"].features else n for n in shape)


SHAPES = {
    name: [half(tuple(p.shape)) for p in train(settings, sparse_world, show=False).dictionary.parameters()]
    for name, settings in CONFIGS.items()
}


@pytest.fixture(scope="module")
def whole() -> dict[str, Training]:
    return {name: run(settings) for name, settings in CONFIGS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for name in INTERRUPTED:
        control = TrainingControl()
        stops = Stops(1)
        stops.control = control
        run(CONFIGS[name], folder / f"{name} from 1", callbacks=[stops], control=control)
    together("two", 2, folder)
    together("four", 4, folder)
    return folder


def assert_same(training: Training, expected: Training, close: float = 1e-5) -> None:
    assert len(training.history) == len(expected.history)
    for ours, theirs in zip(training.history, expected.history, strict=True):
        np.testing.assert_allclose(ours.row(), theirs.row(), rtol=close, atol=close)
    for ours, theirs in zip(training.dictionary.parameters(), expected.dictionary.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=close, atol=close)
    torch.testing.assert_close(training.dictionary.level, expected.dictionary.level)


@pytest.mark.parametrize("name", [*CONFIGS])
def test_shards_train_what_one_process_trains(name: str, folder: Path, whole: dict[str, Training]) -> None:
    # Their checkpoint is read by one process, which finds nothing left to do.
    read = run(CONFIGS[name], folder / name)
    assert_same(read, whole[name], close=1e-2 if name == "half" else 1e-5)


@pytest.mark.parametrize("name", INTERRUPTED)
@pytest.mark.parametrize("way", ["to 1", "to 2", "to 4", "to grid", "from 1"])
def test_any_number_of_processes_goes_on(way: str, name: str, folder: Path, whole: dict[str, Training]) -> None:
    assert_same(run(CONFIGS[name], folder / f"{name} {way}"), whole[name])
