"""Features divided over processes: the run of one process, whatever the number that began and that went on."""

from __future__ import annotations

import gc
import resource
import shutil
import signal
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from test_training import D, F, L, config, sparse_world
from training_processes import together

from ct_widgets.errors import FileFormatError, TrainingError
from ct_widgets.training import Callback, Evaluation, Step, Training, TrainingConfig, TrainingControl, train
from ct_widgets.training.checkpoint import read_facts
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.transcoders import Transcoder

STOP = 5
CONFIGS = {
    f"{kind} {activation}": config(kind=kind, activation=activation, k=3, skip=kind == "plt" or activation == "topk")
    for kind in ("clt", "plt")
    for activation in ("relu", "jumprelu", "topk", "batchtopk")
} | {"half": config(activation="batchtopk", bf16_matmul=True)}
INTERRUPTED = ("clt topk", "clt batchtopk", "plt jumprelu")


def sharded(name: str, shards: int) -> TrainingConfig:
    return replace(CONFIGS[name], shards=shards)


def run(settings: TrainingConfig, directory: Path | None = None, **more: Any) -> Training:
    return train(settings, sparse_world, directory, show=False, **more)


def run_a_part(settings: TrainingConfig, directory: Path, rank: int) -> None:
    """Process 1 alone asks for the end, and all hear of it."""
    control = TrainingControl()

    class Stops(Callback):
        def stepped(self, number: int, step: Step) -> None:
            if rank and number == STOP - (dist.is_initialized()):  # others hear of it in the step that follows
                control.stop()

    part = run(settings, directory, callbacks=[Stops()], control=control)
    assert (len(part.history), part.finished) == (STOP, False)


def evaluate(step: int, transcoder: Transcoder) -> Evaluation:
    """A measurement that needs all features."""
    return Evaluation(step, float(torch.stack(transcoder.W_enc).square().mean()), F, 0.0, 0.0, 0.0)


class Weighs(Callback):
    """Looks at the tensors that training holds: slices, in memory of their own size."""

    def stepped(self, number: int, step: Step) -> None:
        (optimizer,) = [found for found in gc.get_objects() if isinstance(found, torch.optim.Adam)]
        held = [p for group in optimizer.param_groups for p in group["params"]]
        for p, (name, whole) in zip(held, Dictionary(L, D, CONFIGS["clt topk"]).named_parameters(), strict=True):
            size = whole.numel() // (1 if name in ("b_dec", "W_skip") else 2)
            state = [value for value in optimizer.state[p].values() if value.ndim]
            assert len(state) == 2
            for tensor in (p, *state):
                assert tensor.numel() == size
                assert tensor.untyped_storage().nbytes() == 4 * size


def two(folder: Path, rank: int) -> None:
    """What each of two processes does."""
    for name in CONFIGS:
        assert run(sharded(name, 2), folder / name).finished
    for name in INTERRUPTED:
        run(CONFIGS[name], folder / f"{name} share a batch")
        run_a_part(sharded(name, 2), folder / f"{name} part", rank)
        if rank == 0:
            for way in ("to 1", "to 2", "to 4", "to a grid"):
                shutil.copytree(folder / f"{name} part", folder / f"{name} {way}")
        dist.barrier()
        run(sharded(name, 2), folder / f"{name} to 2")
        run(sharded(name, 2), folder / f"{name} from 1")
    weighed = run(sharded("clt topk", 2), folder / "weighed", evaluate=evaluate, callbacks=[Weighs()])
    if rank:
        with pytest.raises(TrainingError, match="the whole transcoder is in process 0"):
            _ = weighed.transcoder
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert run(sharded("clt relu", 2), folder / "full", callbacks=[Fills()] if rank else []).finished
    assert sum("could not be written" in str(w.message) for w in caught) == 2  # steps 10 and 12
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Fills(Callback):
    """From step 6 on this process can write no file."""

    def stepped(self, number: int, step: Step) -> None:
        if number == STOP + 1:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def four(folder: Path, rank: int) -> None:
    """What each of four does."""
    for name in INTERRUPTED:
        run(sharded(name, 4), folder / f"{name} to 4")
        run(sharded(name, 2), folder / f"{name} to a grid")


@pytest.fixture(scope="module")
def whole() -> dict[str, Training]:
    return {name: run(settings) for name, settings in CONFIGS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for name in INTERRUPTED:
        run_a_part(CONFIGS[name], folder / f"{name} from 1", rank=1)
    together(two, 2, folder)
    together(four, 4, folder)
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
@pytest.mark.parametrize("way", ["to 1", "to 2", "to 4", "to a grid", "from 1"])
def test_any_number_of_processes_goes_on(way: str, name: str, folder: Path, whole: dict[str, Training]) -> None:
    assert_same(run(CONFIGS[name], folder / f"{name} {way}"), whole[name])


@pytest.mark.parametrize("name", INTERRUPTED)
def test_processes_that_share_a_batch_train_what_one_does(name: str, folder: Path, whole: dict[str, Training]) -> None:
    assert_same(run(CONFIGS[name], folder / f"{name} share a batch"), whole[name])


def test_the_first_process_measures_all_features(folder: Path) -> None:
    found = run(CONFIGS["clt topk"], folder / "weighed").evaluations
    expected = run(CONFIGS["clt topk"], evaluate=evaluate).evaluations
    assert len(found) == 1
    assert found[0] == pytest.approx(expected[0])


def test_a_disk_that_is_full_for_one_leaves_the_old_checkpoint_to_all(
    folder: Path, whole: dict[str, Training], tmp_path: Path
) -> None:
    path = tmp_path / "full"
    shutil.copytree(folder / "full", path)
    names = [f"checkpoint-5-{i}-of-2.safetensors" for i in range(2)]
    assert sorted(file.name for file in path.glob("*check*")) == [*names, "checkpoint.safetensors"]
    assert_same(run(CONFIGS["clt relu"], path), whole["clt relu"])
    assert [file.name for file in path.glob("*check*")] == ["checkpoint.safetensors"]


def test_a_checkpoint_without_one_of_its_parts_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "clt relu", tmp_path / "run")
    (tmp_path / "run" / "checkpoint-12-1-of-2.safetensors").unlink()
    with pytest.raises(FileFormatError, match=r"checkpoint-12-1-of-2.safetensors is missing"):
        read_facts(tmp_path / "run" / "checkpoint.safetensors")


def test_shards_that_cannot_be_are_refused() -> None:
    with pytest.raises(TrainingError, match="5 shards cannot divide 24 features"):
        config(shards=5)
    with pytest.raises(TrainingError, match="there is 1; start the run with torchrun --nproc-per-node 2"):
        run(config(shards=2))
