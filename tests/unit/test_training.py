"""The transcoder trainer: its loss in closed form, its invariance, folding, resuming, and what goes wrong."""

import json
import math
import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ct_widgets.errors import FileFormatError, TrainingError
from ct_widgets.training import Activations, Callback, DataPosition, Step, TrainingConfig, train
from ct_widgets.training.activations import ActivationBuffer
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.loss import loss
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.process_state import flushes_denormals
from ct_widgets.transcoders import Transcoder

L, D, F = 3, 8, 24


def sparse_world(round_: int, n: int = 512) -> Activations:
    """Sparse latent features that write to their own and the next layer, in units far from 1."""
    draw = torch.Generator().manual_seed(1)
    encoders = torch.nn.functional.normalize(torch.randn(L, F // 2, D, generator=draw), dim=-1)
    decoders = torch.randn(L, F // 2, D, generator=draw)
    draw.manual_seed(100 + round_)
    latent = torch.rand(L, n, F // 2, generator=draw) * (torch.rand(L, n, F // 2, generator=draw) < 0.1)
    y = latent @ decoders
    y[1:] += 0.5 * latent[:-1] @ decoders.flip(0)[1:]
    return Activations(7 * (latent @ encoders) + 2, 0.3 * y - 1)


def config(**changes: Any) -> TrainingConfig:
    settings = {"features": F, "steps": 12, "batch_size": 64, "checkpoint_every": 5, "sparsity": 0.1}
    return TrainingConfig(**(settings | {"activation": "jumprelu"} | changes))


def test_the_loss_equals_its_closed_form() -> None:
    dictionary = Dictionary(2, 1, config(features=1, saturation=0.25)).double()
    values = {"W_enc": [[[2.0]], [[1.0]]], "b_enc": [[-1.0], [0.5]], "log_threshold": [[math.log(0.5)]] * 2}
    with torch.no_grad():
        for name, value in values.items():
            getattr(dictionary, name).copy_(torch.tensor(value))
        dictionary.W_dec[0].copy_(torch.tensor([[[3.0], [4.0]]]))
        dictionary.W_dec[1].copy_(torch.tensor([[[-2.0]]]))
        dictionary.b_dec.copy_(torch.tensor([[0.1], [0.2]]))
    x = torch.tensor([[[1.0]], [[-0.3]]], dtype=torch.float64)
    y = torch.tensor([[[2.0]], [[5.0]]], dtype=torch.float64)
    # Layer 0: h = 1 > .5, norm 5 over both decoder vectors. Layer 1: h = .2 < .5, norm 2.
    with torch.no_grad():
        parts = loss(dictionary, x, y)
    assert float(parts.reconstruction.sum()) == pytest.approx((3.1 - 2) ** 2 + (4.2 - 5) ** 2)
    assert float(parts.sparsity) == pytest.approx(math.tanh(0.25 * 5 * 1))
    assert float(parts.preactivation) == pytest.approx(0.3 * 2)
    assert parts.fired.tolist() == [[1], [0]]
    total = parts.total(config(preactivation=0.5), penalty=4)
    assert float(total) == pytest.approx(1.21 + 0.64 + 4 * math.tanh(1.25) + 0.5 * 0.6)


@pytest.mark.parametrize("kind", ["clt", "plt"])
@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk", "batchtopk"])
def test_folding_equals_the_unfolded_model(kind: str, activation: str, tmp_path: Path) -> None:
    training = train(config(kind=kind, activation=activation, k=3, skip=True), sparse_world)
    x, _ = sparse_world(77)
    dictionary = training.dictionary
    with torch.no_grad():
        a = dictionary.activate(dictionary.preactivation(training.inputs(x)))
        yhat = dictionary.decode(a, training.inputs(x))
        expected = yhat * training.targets.scale[:, None, None] + training.targets.mean[:, None]
    training.transcoder.save(tmp_path / "transcoder")
    transcoder = Transcoder.load(tmp_path / "transcoder")
    assert (transcoder.kind, transcoder.W_skip is not None) == (kind, True)
    folded = [transcoder.encode(layer, x[layer]) for layer in range(L)]
    if activation == "topk":  # a feature's scale means nothing; the file has the one that orders features
        assert torch.equal(torch.stack(folded) != 0, a != 0)
    else:
        torch.testing.assert_close(torch.stack(folded), a, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.stack(transcoder.decode(folded, [*x])), expected, atol=1e-4, rtol=1e-4)


def test_normaliser_gives_unit_variance() -> None:
    x, _ = sparse_world(0)
    normalised = Normaliser.of(x)(x)
    torch.testing.assert_close(normalised.mean(1), torch.zeros(L, D), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.square().mean((1, 2)), torch.ones(L))
    with pytest.raises(TrainingError, match="layer 0 have a spread of 0"):
        Normaliser.of(torch.ones(1, 4, 2))


def test_features_start_at_the_asked_density() -> None:
    dictionary = Dictionary(L, D, config())
    x = Normaliser.of(sparse_world(0).x)(sparse_world(0).x)
    dictionary.set_density(x, 0.05)
    with torch.no_grad():
        active = (dictionary.activate(dictionary.preactivation(x)) > 0).float().mean(1)
    torch.testing.assert_close(active, torch.full((L, F), 0.05), atol=0.01, rtol=0)


def test_bfloat16_products_change_little() -> None:
    full, half = (train(config(bf16_matmul=half), sparse_world) for half in (False, True))
    np.testing.assert_allclose([s.mean_mse for s in half.history], [s.mean_mse for s in full.history], rtol=0.03)
    assert all(p.dtype == torch.float32 for p in half.dictionary.parameters())


def weights(training) -> list[torch.Tensor]:
    return [p.detach() for p in training.dictionary.parameters()]


class StopError(Exception):
    pass


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(config(), sparse_world)

    def dies_in_round_one(round_: int) -> Activations:
        if round_ == 1:  # 8 batches a round: after step 8, the checkpoint is of step 5
            raise StopError
        return sparse_world(round_)

    with pytest.raises(StopError):
        train(config(), dies_in_round_one, tmp_path)
    resumed = train(config(), sparse_world, tmp_path)
    assert resumed.finished
    assert resumed.history == whole.history
    for ours, theirs in zip(weights(resumed), weights(whole), strict=True):
        assert torch.equal(ours, theirs)
    # A finished run is read back, not trained again.
    assert train(config(), sparse_world, tmp_path).history == whole.history


def test_ctrl_c_saves_and_returns(tmp_path: Path) -> None:
    def interrupted(round_: int) -> Activations:
        if round_ == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return sparse_world(round_)

    before = signal.getsignal(signal.SIGINT)
    part = train(config(), interrupted, tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert not part.finished
    assert len(part.history) == 9
    assert train(config(), sparse_world, tmp_path).history == train(config(), sparse_world).history


def test_a_checkpoint_with_the_names_of_the_first_version_resumes(tmp_path: Path) -> None:
    train(config(steps=2, bf16_matmul=True), sparse_world, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()["facts"])
    old = {"bf16_matmul": "half_products", "max_grad_norm": "clip"}
    assert old.keys() <= facts["config"].keys()
    facts["config"] = {old.get(name, name): value for name, value in facts["config"].items()}
    save_file(tensors, path, {"facts": json.dumps(facts)})
    assert train(config(steps=2, bf16_matmul=True), sparse_world, tmp_path).finished
    with pytest.raises(TrainingError, match="a different bf16_matmul;"):
        train(config(steps=2), sparse_world, tmp_path)


@pytest.fixture
def denormals(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether this thread flushes denormal numbers before the run."""
    torch.set_flush_denormal(request.param)
    yield request.param
    torch.set_flush_denormal(False)


@pytest.mark.parametrize("denormals", [False, True], indirect=True)
@pytest.mark.parametrize("ending", [None, StopError, KeyboardInterrupt])
def test_denormals_are_flushed_during_a_run_and_as_before_after_it(
    ending: type[BaseException] | None, denormals: bool
) -> None:
    class Ends(Callback):
        def stepped(self, number: int, step: Step) -> None:
            assert flushes_denormals()
            if ending is KeyboardInterrupt:  # the first Ctrl-C would end the run after this step
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            elif ending:
                raise ending

    assert flushes_denormals() == denormals
    with pytest.raises(ending) if ending else nullcontext():
        assert train(config(steps=2), sparse_world, callbacks=[Ends()]).finished
    assert flushes_denormals() == denormals


def test_other_settings_do_not_resume(tmp_path: Path) -> None:
    train(config(steps=2), sparse_world, tmp_path)
    with pytest.raises(TrainingError, match="a different learning_rate, sparsity"):
        train(config(steps=2, learning_rate=1e-4, sparsity=1), sparse_world, tmp_path)


def test_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    train(config(steps=2), sparse_world, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FileFormatError, match=r"checkpoint\.safetensors is not a complete checkpoint"):
        train(config(steps=2), sparse_world, tmp_path)


def test_seed_alone_decides() -> None:
    again, other = train(config(), sparse_world), train(config(seed=1), sparse_world)
    first = train(config(), sparse_world)
    assert first.history == again.history
    assert first.history[0] != other.history[0]


def test_a_tiny_transcoder_learns() -> None:
    history = train(config(steps=400, learning_rate=3e-3, sparsity=0.3), sparse_world).history
    assert history[0].mean_mse > 0.9
    assert history[-1].mean_mse < 0.25  # four times less error
    # 3.6 features of the world are active on a token; what the reconstruction takes at first, sparsity takes back.
    assert history[-1].total_l0 < 0.8 * max(step.total_l0 for step in history)


def test_values_that_are_not_finite_are_located(tmp_path: Path) -> None:
    def broken(round_: int) -> Activations:
        batch = sparse_world(round_)
        if round_ == 1:
            batch.y[2, :, 3] = math.nan
        return batch

    with pytest.raises(
        TrainingError, match=r"batch 0 of buffer 1: 64 targets are not finite, first in layer 2, token 0"
    ):
        train(config(), broken, tmp_path)
    assert train(config(), sparse_world, tmp_path).finished  # what was saved is good


def test_a_run_that_diverges_says_so() -> None:
    with pytest.raises(TrainingError, match="the weights diverged, use a smaller learning_rate"):
        train(config(learning_rate=1e30), sparse_world)


def test_buffer_gives_every_token_once_and_finds_its_place() -> None:
    def read(round_: int) -> Activations:
        ids = torch.arange(10.0) + 100 * round_
        return Activations(ids.view(1, 10, 1), ids.view(1, 10, 1))

    buffer, place, seen = ActivationBuffer(read, 4, seed=0), DataPosition(0, 0), []
    for _ in range(4):
        batch, following = buffer.batch(place)
        again, _ = ActivationBuffer(read, 4, seed=0).batch(place)
        assert torch.equal(batch.x, again.x)
        assert torch.equal(batch.x, batch.y)
        seen.append((place, batch.x.flatten().tolist()))
        place = following
    assert [where for where, _ in seen] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({*seen[0][1], *seen[1][1]}) == 8
    assert min(seen[2][1]) >= 100
    with pytest.raises(TrainingError, match="has 10 tokens, a batch needs 11"):
        ActivationBuffer(read, 11, seed=0).batch(DataPosition(0, 0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", 0),
        ("steps", 0),
        ("decay", 0),
        ("decay", 1.5),
        ("sparsity", -1),
        ("bandwidth", 0),
        ("max_grad_norm", math.nan),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(TrainingError, match=name):
        config(**{name: value})


def test_learning_rate_and_penalty_follow_their_schedules() -> None:
    run = config(steps=10, learning_rate=1, sparsity=2)
    np.testing.assert_allclose([run.learning_rate_at(s) for s in (0, 8, 9)], [1, 1, 0.5])
    np.testing.assert_allclose([run.sparsity_at(s) for s in (0, 4, 9)], [0.2, 1, 2])


def test_dead_features_come_back_on_few_tokens_and_never_as_constants() -> None:
    """Raised without end, features with small decoders became constants, and long runs diverged."""
    torch.manual_seed(0)
    dictionary = Dictionary(1, 32, TrainingConfig(features=64, activation="batchtopk", k=4))
    x = torch.randn(1, 2000, 32)
    dictionary.set_density(x, 4 / 64)
    with torch.no_grad():
        dictionary.W_dec[0][:32] *= 1e-3  # thresholds a thousand times as high: out of reach
        dictionary.b_enc[:] -= 1  # and all are dead
    share = torch.zeros(64)
    for _ in range(1000):
        active = (dictionary.preactivation(x) > dictionary.threshold[:, None])[0].float().mean(0)
        share = torch.where(share == 0, active, share)  # of each at its first activity
        dictionary.raise_dead_biases((active == 0)[None])
    assert (share[:32] == 0).all()
    assert (share[32:] > 0).all()
    assert share.max() < 0.02, "not on many tokens at once"
    assert (dictionary.b_enc <= 3.1 * dictionary.W_enc.norm(dim=-1)).all()
