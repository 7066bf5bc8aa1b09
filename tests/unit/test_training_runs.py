"""Whole runs from texts: sources, cache, records, steering, and everything that can end one before its time."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_training import config as world_config
from test_training import sparse_world
from training_processes import exit_code

from ct_widgets import cli, load_demo, train_transcoder
from ct_widgets.demo.corpus import statements
from ct_widgets.errors import FileFormatError, TrainingError
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.training import (
    ActivationCache,
    Callback,
    Evaluation,
    RunStart,
    Step,
    TensorBoard,
    Training,
    TrainingConfig,
    TrainingControl,
    WeightsAndBiases,
    cache_activations,
    read_activations,
)
from ct_widgets.training.checkpoint import read_facts
from ct_widgets.training.sources import TextBuffers
from ct_widgets.training.train_transcoder import default_config
from ct_widgets.training.trainer import train
from ct_widgets.transcoders import Transcoder

ROOT = Path(__file__).parents[2]


def config(**changes: Any) -> TrainingConfig:
    settings = {"features": 32, "k": 4, "steps": 12, "batch_size": 64, "buffer": 256, "held_out": 100}
    return TrainingConfig(**(settings | {"checkpoint_every": 5, "evaluate_every": 6} | changes))


@pytest.fixture(scope="module")
def model() -> ReplacementModel:
    return load_demo()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    world = statements(0)
    order = np.random.default_rng(0).permutation(len(world))[:300]
    return [f"{world[i].prompt} {world[i].answer}" for i in order]


@pytest.fixture(scope="module")
def whole(model: ReplacementModel, texts: list[str]) -> Training:
    return train_transcoder(model, texts, config(), progress=False)


class Diary(Callback):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def started(self, start: RunStart) -> None:
        self.calls.append(start)

    def stepped(self, number: int, step: Step) -> None:
        self.calls.append((number, step))

    def evaluated(self, evaluation: Evaluation, transcoder: Transcoder) -> None:
        self.calls.append(evaluation)

    def finished(self, training: Training) -> None:
        self.calls.append(training)


def test_two_lines_train_and_trace(model: ReplacementModel, texts: list[str], tmp_path: Path) -> None:
    bridge = model.language_model.bridge
    training = train_transcoder(bridge, texts, config(kind="plt", skip=True), directory=tmp_path, progress=False)
    graph = ReplacementModel(bridge, training.transcoder).attribute("calc: 36+59=")
    assert graph.n_nodes > 10
    saved = Transcoder.load(tmp_path / "transcoder")
    assert (saved.kind, saved.activation, saved.name) == ("plt", "jumprelu", "ct-widgets-demo-plt")
    assert torch.equal(saved.W_enc[1], training.transcoder.W_enc[1])
    with (tmp_path / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["tokens"]) for row in rows] == [64 * i for i in range(1, 13)]
    assert [float(row["mse"]) for row in rows] == [step.mean_mse for step in training.history]
    assert [float(row["l0_3"]) for row in rows] == [step.l0[3] for step in training.history]
    found = json.loads((tmp_path / "evaluations.json").read_text(encoding="utf-8"))
    assert [Evaluation(**row) for row in found] == training.evaluations
    assert [row["step"] for row in found] == [6, 12]


def test_default_config_fits_the_model(model: ReplacementModel) -> None:
    assert default_config(model) == TrainingConfig(features=8 * 128)


def test_rounds_leave_out_special_tokens_and_held_out_texts(model: ReplacementModel, texts: list[str]) -> None:
    lm = model.language_model
    rounds = TextBuffers(lm, [*texts, "calc: [PAD] 1+1="], config())
    special = set(lm.bridge.tokenizer.all_special_ids)
    assert lm.bridge.tokenizer.bos_token_id in special
    learned = [tuple(row[keep]) for rows in rounds.once() for ids, keep in rows for row, keep in zip(ids, keep)]  # noqa: B905
    held_out = {tuple(row[keep]) for ids, keep in rounds.held_out for row, keep in zip(ids, keep)}  # noqa: B905
    assert not {token for row in (*learned, *held_out) for token in row} & special
    assert sum(map(len, held_out)) >= 100
    n_held_out = sum(len(ids) for ids, _ in rounds.held_out)
    assert len(learned) + n_held_out == len(texts) + 1
    # A round is a function of its number, in whatever order rounds are read.
    third = TextBuffers(lm, texts, config())(2)
    rounds = TextBuffers(lm, texts, config())
    for index in (4, 2):
        again = rounds(index)
    assert torch.equal(again.x, third.x)
    assert third.x.shape[1] >= 256
    # The texts begin anew when they are used up.
    assert rounds(40).x.shape[1] >= 256


def test_sources_that_cannot_be_used_are_named(model: ReplacementModel, texts: list[str]) -> None:
    with pytest.raises(TrainingError, match="no texts to learn from"):
        train_transcoder(model, iter(texts[:40]), config(held_out=4000), progress=False)
    with pytest.raises(TrainingError, match="have no token to learn from"):
        train_transcoder(model, [[1]], config(), progress=False)


def test_files_and_datasets_give_the_same(model: ReplacementModel, texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    rows = [{"text": text} for text in texts]
    first = [
        TextBuffers(model.language_model, source, config(held_out=10))(1).x
        for source in (texts, rows, tmp_path / "texts.txt")
    ]
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[0], first[2])


def test_cache_gives_what_the_model_gives(model: ReplacementModel, texts: list[str], tmp_path: Path) -> None:
    lm = model.language_model
    cache = cache_activations(model, texts, tmp_path / "cache", config(), progress=False)
    rounds = list(TextBuffers(lm, texts, config()).once())
    direct = [read_activations(lm, rows, "hook_resid_mid", "hook_mlp_out") for rows in rounds]
    direct = [part for i, part in enumerate(direct) if part.x.shape[1] >= 64 or not i]
    assert cache.n_tokens == sum(part.x.shape[1] for part in direct)
    order = np.random.default_rng([0, 0]).permutation(len(direct))
    for i in range(len(direct)):
        expected = direct[int(order[i])]
        torch.testing.assert_close(cache(i).x, expected.x, rtol=2**-8, atol=0)
        torch.testing.assert_close(cache(i).y, expected.y, rtol=2**-8, atol=0)
    # The second epoch has the same shards in another order.
    again = [cache(i).x.sum().item() for i in range(len(direct), 2 * len(direct))]
    assert sorted(again) == sorted(cache(i).x.sum().item() for i in range(len(direct)))
    training = train_transcoder(model, cache, config(), progress=False)
    assert training.finished
    assert training.evaluations[-1].top1_agreement > 0
    with pytest.raises(TrainingError, match="has activations of ct-widgets-demo at hook_resid_mid"):
        train_transcoder(model, cache, config(input_hook="mlp.hook_in"), progress=False)


def test_making_a_cache_resumes_where_it_stopped(model: ReplacementModel, texts: list[str], tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    class Stops(list[str]):
        def __iter__(self) -> Iterator[str]:
            for i, text in enumerate(texts):
                if i == 290:
                    raise StopError
                yield text

    whole = cache_activations(model, texts, tmp_path / "whole", config(), progress=False)
    path = tmp_path / "part"
    small = config(buffer=64)  # the texts are cut 256 at a time, which is before the stop
    with pytest.raises(StopError):
        cache_activations(model, Stops(texts), path, small, progress=False)
    done = json.loads((path / "cache.json").read_text(encoding="utf-8"))["shards"]
    assert done
    with pytest.raises(FileFormatError, match="is not finished"):
        ActivationCache(path)
    with pytest.raises(TrainingError, match="made with a different buffer"):
        cache_activations(model, texts, path, config(), progress=False)
    before = (path / done[0]["file"]).stat().st_mtime_ns
    rest = cache_activations(model, texts, path, small, progress=False)
    assert (path / done[0]["file"]).stat().st_mtime_ns == before
    assert abs(rest.n_tokens - whole.n_tokens) < 64 + 64  # what remains at the end fills no batch
    damaged = path / done[0]["file"]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    rounds = range(len(json.loads((path / "cache.json").read_text(encoding="utf-8"))["shards"]))
    with pytest.raises(FileFormatError, match="is damaged: its checksum"):
        [rest(i) for i in rounds]


def test_callbacks_hear_everything_in_order(model: ReplacementModel, texts: list[str]) -> None:
    diary = Diary()
    training = train_transcoder(model, texts, config(), callbacks=[diary], progress=False)
    start, *calls, last = diary.calls
    assert isinstance(start, RunStart)
    assert last is training
    assert [call[0] for call in calls if not isinstance(call, Evaluation)] == [*range(1, 13)]
    assert [call[1] for call in calls if not isinstance(call, Evaluation)] == training.history
    assert isinstance(calls[6], Evaluation)  # after step 6
    assert [call for call in calls if isinstance(call, Evaluation)] == training.evaluations


def test_tensorboard_and_wandb_get_what_the_files_get(
    model: ReplacementModel, texts: list[str], tmp_path: Path
) -> None:
    """Weights & Biases and TensorBoard get what the files get; where they are missing, the error says so."""
    points: dict[str, list[tuple[int, float]]] = {}

    class Writer:
        def add_scalar(self, name: str, value: float, number: int) -> None:
            points.setdefault(name, []).append((number, value))

        def close(self) -> None:
            points["closed"] = []

    callbacks: list[Callback] = []
    if find_spec("tensorboard"):
        callbacks.append(TensorBoard(tmp_path / "runs"))
    else:
        with pytest.raises(TrainingError, match="pip install tensorboard"):
            TensorBoard(tmp_path / "runs")
    if find_spec("wandb"):
        callbacks.append(WeightsAndBiases(mode="disabled"))
    else:
        with pytest.raises(TrainingError, match="pip install wandb"):
            WeightsAndBiases()
    board = TensorBoard.__new__(TensorBoard)
    board._writer = Writer()
    training = train_transcoder(model, texts, config(), callbacks=[*callbacks, board], progress=False)
    assert points["train/mse"] == [(i, step.mean_mse) for i, step in enumerate(training.history, 1)]
    assert points["train/dead_2"][-1] == (12, training.history[-1].dead[2])
    assert points["held out/kl"] == [(e.step, e.kl) for e in training.evaluations]
    assert "closed" in points


def test_pause_resume_and_stop_from_another_thread(
    model: ReplacementModel, texts: list[str], whole: Training, tmp_path: Path
) -> None:
    control, paused_at = TrainingControl(), []

    class Pauses(Diary):
        def stepped(self, number: int, step: Step) -> None:
            super().stepped(number, step)
            if number == 3:
                control.pause()
                threading.Thread(target=go_on).start()
            if number == 8:
                threading.Thread(target=control.stop).start()
                while not control.stopped:
                    time.sleep(0.01)

    diary = Pauses()

    def go_on() -> None:
        path = tmp_path / "checkpoint.safetensors"
        while not path.exists():  # a run that pauses saves first
            time.sleep(0.01)
        time.sleep(0.2)
        paused_at.append(len(diary.calls))
        control.resume()

    part = train_transcoder(
        model, texts, config(), directory=tmp_path, callbacks=[diary], control=control, progress=False
    )
    assert paused_at == [4]  # the start and three steps
    assert not part.finished
    assert len(part.history) == 8
    assert not (tmp_path / "transcoder").exists()
    rest = train_transcoder(model, texts, config(), directory=tmp_path, callbacks=[diary], progress=False)
    assert rest.history == whole.history
    assert rest.evaluations == whole.evaluations
    with (tmp_path / "metrics.csv").open(encoding="utf-8") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [*range(1, 13)]


def test_other_texts_do_not_resume(model: ReplacementModel, texts: list[str], tmp_path: Path) -> None:
    train_transcoder(model, texts, config(), directory=tmp_path, progress=False)
    with pytest.raises(TrainingError, match="made with different data"):
        train_transcoder(model, texts[1:], config(), directory=tmp_path, progress=False)


COMMAND = """
model = "demo"
texts = "texts.txt"
directory = "run"
cache = "activations"

[training]
features = 32
k = 4
steps = 6
batch_size = 64
buffer = 256
held_out = 100
"""


def test_command_line_trains_from_a_file(texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    file = tmp_path / "config.toml"
    file.write_text(f"{COMMAND}half_products = true\nclip = 0.5\n", encoding="utf-8")  # names of the first version
    assert cli.main(["train", str(file)]) == 0
    assert capsys.readouterr().out.startswith("ct-widgets-demo-clt: 6 steps in ")
    assert Transcoder.load(tmp_path / "run" / "transcoder").n_features(0) == 32
    settings = read_facts(tmp_path / "run" / "checkpoint.safetensors")["config"]
    assert (settings["bf16_matmul"], settings["max_grad_norm"]) == (True, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps", "stepps", "unknown training.stepps; settings are features, kind"),
        ("texts =", "text =", "does not say texts; it needs model, texts, directory"),
        ("features = 32", "", "does not say training.features"),
        (COMMAND, "model = ", "is not TOML"),
    ],
)
def test_a_wrong_file_is_explained_on_the_command_line(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(COMMAND.replace(old, new), encoding="utf-8")
    assert cli.main(["train", str(file)]) == cli.FAILED
    assert said in capsys.readouterr().err


def test_target_l0_ends_a_run(model: ReplacementModel, texts: list[str]) -> None:
    settings = config(activation="jumprelu", steps=400, sparsity=40.0, target_l0=8.0, learning_rate=3e-3, decay=0.4)
    training = train_transcoder(model, texts, settings, progress=False)
    history = training.history
    l0 = [step.total_l0 for step in history]
    assert training.finished
    assert len(history) < 400
    reached = next(i for i in range(21, len(l0)) if sum(l0[i - 20 : i]) <= 160 < sum(l0[i - 21 : i - 1]))
    assert len(history) == math.ceil(reached / 0.6)
    assert len({step.penalty for step in history[reached:]}) == 1
    assert history[-1].learning_rate < 0.1 * history[0].learning_rate


class Dies(Callback):
    """Kills its process after step 9, when the checkpoint is of step 5."""

    def stepped(self, number: int, step: Step) -> None:
        if number == 9:
            os.kill(os.getpid(), signal.SIGKILL)


def dies(folder: Path) -> None:
    train(world_config(activation="batchtopk"), sparse_world, folder, callbacks=[Dies()], show=False)


def test_a_killed_run_resumes_to_the_same_curve(tmp_path: Path) -> None:
    assert exit_code(dies, tmp_path) == -signal.SIGKILL
    uninterrupted = train(world_config(activation="batchtopk"), sparse_world, show=False)
    resumed = train(world_config(activation="batchtopk"), sparse_world, tmp_path, show=False)
    assert resumed.history == uninterrupted.history
    for ours, theirs in zip(resumed.dictionary.parameters(), uninterrupted.dictionary.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(resumed.dictionary.level, uninterrupted.dictionary.level)


class Fills(Callback):
    """Lets no file grow beyond a few bytes after step 6, when the checkpoint is of step 5."""

    def stepped(self, number: int, step: Step) -> None:
        if number == 6:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))


def fills(folder: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        training = train(world_config(), sparse_world, folder, callbacks=[Fills()], show=False)
    assert training.finished
    assert len(training.history) == 12
    # The checkpoints of steps 10 and 12, and the records.
    assert sum("could not be written" in str(w.message) for w in caught) >= 3


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes")
def test_a_full_disk_leaves_the_old_checkpoint_and_the_run(tmp_path: Path) -> None:
    assert exit_code(fills, tmp_path) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "evaluations.json",
        "metrics.csv",
    ]
    resumed = train(world_config(), sparse_world, tmp_path, show=False)
    assert resumed.history == train(world_config(), sparse_world, show=False).history


TOGETHER = COMMAND.replace('cache = "activations"\n', "") + "skip = true\n"


@pytest.mark.parametrize("shards", [1, 2])
def test_torchrun_trains_what_one_process_trains(
    shards: int, model: ReplacementModel, texts: list[str], tmp_path: Path
) -> None:
    """Two processes of torchrun share the batches, or, from a cache, the features."""
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(texts), encoding="utf-8")
    settings = config(steps=6, skip=True)
    command = f"{TOGETHER}shards = {shards}\n"
    if shards > 1:
        source = cache_activations(model, source, tmp_path / "cache", settings, progress=False)
        command = f'cache = "cache"\n{command}'
    (tmp_path / "config.toml").write_text(command, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "ct_widgets.cli", "train", str(tmp_path / "config.toml")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ct-widgets-demo-clt: 6 steps in ") == 1  # one of them tells
    one = train_transcoder(model, source, settings, progress=False)
    # The checkpoint of both is that of any run: one process reads it back.
    two = train_transcoder(model, source, settings, directory=tmp_path / "run", progress=False)
    assert two.finished
    for ours, theirs in zip(two.history, one.history, strict=True):
        np.testing.assert_allclose(ours.row(), theirs.row(), rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(two.dictionary.parameters(), one.dictionary.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(two.evaluations, one.evaluations, rtol=1e-4)
    saved = Transcoder.load(tmp_path / "run" / "transcoder")
    torch.testing.assert_close(saved.W_dec[1], one.transcoder.W_dec[1], rtol=1e-5, atol=1e-5)


def test_an_output_hook_that_cannot_be_replaced_is_refused_before_training(
    model: ReplacementModel, texts: list[str]
) -> None:
    with pytest.raises(TrainingError, match="output_hook is 'hook_attn_out'; ct-widgets-demo can be replaced at"):
        train_transcoder(model, texts, config(output_hook="hook_attn_out"), progress=False)
