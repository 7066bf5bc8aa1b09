"""Metrics of a transcoder against direct computation on a tiny random model."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import READS_AND_WRITES

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, native_bridge, native_state
from ct_widgets.training import (
    Activations,
    Sequences,
    dictionary_metrics,
    read_activations,
    replacement_logits,
    replacement_metrics,
)
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

L, D, F, V = 3, 8, 5, 20
CONFIG = {
    "n_layers": L,
    "d_model": D,
    "n_heads": 2,
    "d_head": 4,
    "d_mlp": 16,
    "n_ctx": 9,
    "d_vocab": V,
    "act_fn": "relu",
}
HOOKS = ("hook_resid_mid", "hook_mlp_out")


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(native_bridge({**CONFIG, "normalization_type": "LN", "seed": 0}))


@pytest.fixture(scope="module")
def rows() -> Sequences:
    draw = np.random.default_rng(0)
    keep = draw.random((6, 7)) < 0.7
    keep[:, 0] = False
    return Sequences(draw.integers(V, size=(6, 7)), keep)


def random_transcoder(kind: Any = "clt", **changes: Any) -> Transcoder:
    draw = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw)

    weights: dict[str, Any] = {
        "W_enc": [normal(F, D) for _ in range(L)],
        "W_dec": [normal(F, L - layer if kind == "clt" else 1, D) / 5 for layer in range(L)],
        "b_enc": [normal(F) for _ in range(L)],
        "b_dec": [normal(D) for _ in range(L)],
    }
    return Transcoder(kind=kind, **(weights | {"activation": "relu", **READS_AND_WRITES} | changes))


def neurons(model: LanguageModel) -> Transcoder:
    """The model's own MLP neurons, which read behind the norm: the replacement is then the model itself."""
    state = native_state(model.bridge)

    def column(name: str) -> list[torch.Tensor]:
        return [state[f"layers.{layer}.mlp.{name}"] for layer in range(L)]

    return Transcoder(
        kind="plt",
        activation="relu",
        W_enc=column("fc_in.weight"),
        b_enc=column("fc_in.bias"),
        W_dec=[W.T[:, None] for W in column("fc_out.weight")],
        b_dec=column("fc_out.bias"),
        feature_input_hook="mlp.hook_in",
        feature_output_hook="hook_mlp_out",
    )


def test_activations_are_those_of_the_kept_tokens(model: LanguageModel, rows: Sequences) -> None:
    shorter = Sequences(rows.ids[:, :4], rows.keep[:, :4])
    x, y = read_activations(model, [rows, shorter], *HOOKS)
    n = int(rows.keep.sum())
    assert x.shape == y.shape == (L, n + int(shorter.keep.sum()), D)
    direct = model.activations(torch.from_numpy(rows.ids), ["blocks.1.hook_mlp_out"])["blocks.1.hook_mlp_out"]
    torch.testing.assert_close(y[1, :n], direct[torch.from_numpy(rows.keep)])
    # Causal: what follows a token does not change what is read there.
    torch.testing.assert_close(x[:, n:], x[:, :n][:, torch.from_numpy(np.argwhere(rows.keep)[:, 1] < 4)])
    with pytest.raises(TrainingError, match="no sequences"):
        read_activations(model, [], *HOOKS)


def test_dictionary_metrics_in_parts_equal_the_direct_ones(model: LanguageModel, rows: Sequences) -> None:
    transcoder = random_transcoder()
    transcoder.b_enc[1][2] = -1e6  # dead
    x, y = read_activations(model, [rows], *HOOKS)
    cut = 11
    found = dictionary_metrics(transcoder, [Activations(x[:, :cut], y[:, :cut]), Activations(x[:, cut:], y[:, cut:])])
    a = torch.stack([transcoder.encode(layer, x[layer]) for layer in range(L)])
    yhat = torch.stack(transcoder.decode([*a]))
    error, variance = (yhat - y).square().sum((1, 2)), (y - y.mean(1, keepdim=True)).square().sum((1, 2))
    np.testing.assert_allclose(found.normalised_mse, error / variance, rtol=1e-4)
    assert found.overall_mse == pytest.approx(float(error.sum() / variance.sum()), rel=1e-4)
    np.testing.assert_allclose(found.l0, (a > 0).float().sum(2).mean(1))
    expected_dead = (a == 0).all(1).float().mean(1)
    np.testing.assert_allclose(found.dead, expected_dead)
    assert found.dead[1] >= 1 / F
    assert found.overall_dead == pytest.approx(float(expected_dead.mean()))
    assert found.n_tokens == x.shape[1]
    with pytest.raises(TrainingError, match="no tokens"):
        dictionary_metrics(transcoder, [])


@pytest.mark.parametrize("kind", ["clt", "plt"])
@pytest.mark.parametrize("skip", [False, True])
def test_replacement_logits_equal_a_forward_pass_by_hand(
    model: LanguageModel, rows: Sequences, kind: str, skip: bool
) -> None:
    W_skip = [torch.randn(D, D, generator=torch.Generator().manual_seed(9)) / 5 for _ in range(L)] if skip else None
    transcoder = random_transcoder(kind, W_skip=W_skip)
    tokens = torch.from_numpy(rows.ids)
    native = model.bridge.original_model
    own = model.activations(tokens, [f"blocks.{layer}.hook_mlp_out" for layer in range(L)])
    with torch.no_grad():
        residual = native.tok_embed(tokens) + native.pos(torch.arange(tokens.shape[1]))
        a, x = [], []
        for layer, block in enumerate(native.layers):
            residual = residual + block.attn(block.ln1(residual))[0]
            x.append(residual)
            a.append(transcoder.encode(layer, residual))
            rest = [torch.zeros(*tokens.shape, F)] * (L - 1 - layer)
            everything = transcoder.decode([*a, *rest], [*x, *[residual] * (L - 1 - layer)])
            written = everything[layer].clone()
            written[:, 0] = own[f"blocks.{layer}.hook_mlp_out"][:, 0]
            residual = residual + written
        expected = native.head(native.ln_out(residual))
    torch.testing.assert_close(
        replacement_logits(TranscodedModel(model, transcoder), tokens), expected, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(model.logits(tokens), native(tokens))  # no hook stayed behind


def test_the_models_own_neurons_replace_it_perfectly(model: LanguageModel, rows: Sequences) -> None:
    found = replacement_metrics(TranscodedModel(model, neurons(model)), [rows])
    assert found.n_tokens == rows.keep.sum()
    assert found.top1_agreement == 1
    assert found.kl == pytest.approx(0, abs=1e-6)
    assert found.recovered == pytest.approx(1, abs=1e-4)


def test_replacement_metrics_of_a_bad_transcoder(model: LanguageModel, rows: Sequences) -> None:
    transcoder = random_transcoder()
    found = replacement_metrics(TranscodedModel(model, transcoder), [rows])
    tokens = torch.from_numpy(rows.ids)
    wanted = torch.from_numpy(rows.keep[:, 1:])
    p = model.logits(tokens)[:, :-1][wanted].softmax(-1)
    q = replacement_logits(TranscodedModel(model, transcoder), tokens)[:, :-1][wanted].softmax(-1)
    assert found.kl == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-4)
    assert found.top1_agreement == pytest.approx(float((p.argmax(-1) == q.argmax(-1)).float().mean()))
    right = q.gather(1, tokens[:, 1:][wanted][:, None])
    assert found.replacement_cross_entropy == pytest.approx(float(-right.log().mean()), rel=1e-4)
    with pytest.raises(TrainingError, match="no sequence has a token to predict"):
        replacement_metrics(TranscodedModel(model, transcoder), [Sequences(rows.ids, np.zeros_like(rows.keep))])
