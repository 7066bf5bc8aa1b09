"""Gradients of every loss and activation in float64, against dense autograd and finite differences."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from ct_widgets.training import TrainingConfig, sparse_code
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.loss import Loss, loss

L, N, D, F = 3, 17, 5, 11
ACTIVATIONS = ("relu", "jumprelu", "topk", "batchtopk")
KINDS = ("clt", "plt")


def dictionary_of(seed: int = 0, **settings: Any) -> Dictionary:
    config = TrainingConfig(**({"features": F, "k": 2, "skip": True, "threshold": 0.4, "bandwidth": 0.3} | settings))
    dictionary = Dictionary(L, D, config).double()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in dictionary.parameters():
            p += 0.3 * torch.randn(p.shape, generator=draw, dtype=p.dtype)
        dictionary.level.fill_(1.0)
    return dictionary


def batch() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(5)
    return (
        torch.randn(L, N, D, generator=draw, dtype=torch.float64),
        torch.randn(L, N, D, generator=draw, dtype=torch.float64),
    )


def dense_loss(dictionary: Dictionary, x: Tensor, y: Tensor) -> Loss:
    """The loss written down: loops over layers, no sparse code, selection held where the activation selects."""
    c = dictionary.config
    rows = [torch.zeros(N, D, dtype=x.dtype) + b for b in dictionary.b_dec]
    sparsity = preactivation = torch.zeros((), dtype=x.dtype)
    fired = torch.zeros(L, F, dtype=torch.long)
    for layer in range(L):
        h = x[layer] @ dictionary.W_enc[layer].T + dictionary.b_enc[layer]
        W_dec = dictionary.W_dec[layer]
        norm = W_dec.square().sum((1, 2)).sqrt()
        if c.activation == "relu":
            a, theta = h.clamp_min(0), torch.zeros(F, dtype=x.dtype)
        elif c.activation == "jumprelu":
            assert dictionary.log_threshold is not None
            theta = dictionary.log_threshold[layer].exp()
            a = h * (h > theta)
        elif c.activation == "topk":
            score = h * norm
            a, theta = h * (score >= score.sort(1, descending=True).values[:, c.k - 1 : c.k]), torch.zeros(())
        else:
            a, theta = h * (h * norm > dictionary.level), torch.zeros(())
        for m in range(W_dec.shape[1]):
            rows[layer + m] = rows[layer + m] + a @ W_dec[:, m]
        assert dictionary.W_skip is not None
        rows[layer] = rows[layer] + x[layer] @ dictionary.W_skip[layer]
        fired[layer] = (a != 0).sum(0)
        if not c.chooses_k:
            sparsity = sparsity + torch.tanh(c.saturation * norm * a).sum() / N
            preactivation = preactivation + ((theta.detach() - h).clamp_min(0) * norm).sum() / N
    return Loss((torch.stack(rows) - y).square().sum((1, 2)) / N, sparsity, preactivation, fired)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_and_gradients_equal_those_of_dense_autograd(kind: str, activation: str) -> None:
    dictionary, (x, y) = dictionary_of(kind=kind, activation=activation), batch()
    ours, theirs = loss(dictionary, x, y), dense_loss(dictionary, x, y)
    assert torch.equal(ours.fired, theirs.fired)
    assert 0 < int(ours.fired.sum()) < L * N * F
    for name in ("reconstruction", "sparsity", "preactivation"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=1e-12)
    # The estimators go beyond autograd at the threshold and, "all" of them, in the band: see the next tests.
    parameters = {name: p for name, p in dictionary.named_parameters() if p.requires_grad and name != "log_threshold"}
    if activation == "jumprelu":
        dictionary = dictionary_of(kind=kind, activation=activation, estimator="threshold")
        parameters = {name: p for name, p in dictionary.named_parameters() if name != "log_threshold"}
        ours, theirs = loss(dictionary, x, y), dense_loss(dictionary, x, y)
    config = TrainingConfig(features=F, k=2, activation=dictionary.config.activation, preactivation=0.2)
    found = torch.autograd.grad(ours.total(config, 2.8), list(parameters.values()))
    expected = torch.autograd.grad(theirs.total(config, 2.8), list(parameters.values()))
    for name, a, b in zip(parameters, found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", [sparse_code._BAG_GRADIENT, None], ids=["with", "without"])
def test_gradients_on_a_gpu_do_not_need_the_private_operator(
    operator: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, whose own routine is the oracle."""
    dictionary, (x, y) = dictionary_of(kind=kind, activation="batchtopk"), batch()

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss(dictionary, x, y).reconstruction.sum(), list(dictionary.parameters()))

    expected = gradients()
    monkeypatch.setattr(sparse_code, "_dots", partial(sparse_code._bag_dots, operator=operator))
    for ours, theirs in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["topk", "batchtopk"])
def test_gradients_on_a_gpu_are_those_of_dense_autograd(kind: str, activation: str) -> None:
    dictionary, (x, y) = dictionary_of(kind=kind, activation=activation), batch()
    theirs = dense_loss(dictionary, x, y).reconstruction.sum()
    expected = torch.autograd.grad(theirs, list(dictionary.parameters()))
    there = dictionary.float().cuda()
    ours = loss(there, x.float().cuda(), y.float().cuda()).reconstruction.sum()
    for a, b in zip(torch.autograd.grad(ours, list(there.parameters())), expected, strict=True):
        torch.testing.assert_close(a.double().cpu(), b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["relu", "topk", "batchtopk"])
def test_gradients_match_finite_differences(kind: str, activation: str) -> None:
    # BatchTopK's threshold moves with the norm of a decoder, TopK's choice does not: with a margin, neither matters.
    dictionary, (x, y) = dictionary_of(kind=kind, activation=activation, preactivation=0.2), batch()
    parameters = dict(dictionary.named_parameters())

    def total() -> Tensor:
        return loss(dictionary, x, y).total(dictionary.config, 2.8)

    gradients = dict(zip(parameters, torch.autograd.grad(total(), list(parameters.values())), strict=True))
    draw = torch.Generator().manual_seed(1)
    for name, p in parameters.items():
        direction = torch.randn(p.shape, generator=draw, dtype=p.dtype)
        step = 1e-7
        with torch.no_grad():
            p += step * direction
            above, fired = total(), loss(dictionary, x, y).fired
            p -= 2 * step * direction
            below = total()
            assert torch.equal(fired, loss(dictionary, x, y).fired)
            p += step * direction
        expected = (gradients[name] * direction).sum()
        torch.testing.assert_close((above - below) / (2 * step), expected, rtol=1e-5, atol=1e-6)


def smoothed_loss(dictionary: Dictionary, x: Tensor, y: Tensor, h0: Tensor, theta0: Tensor) -> Tensor:
    """The JumpReLU loss whose jump, as high as theta is now, is spread over the band, as in `test_training_jumprelu`.

    h0: [l, n, f] and theta0: [l, 1, f] are where derivatives are taken; there its value is the loss itself.
    """
    c = dictionary.config

    def spread(h: Tensor, theta: Tensor) -> Tensor:
        return theta0 * ((h - theta) / c.bandwidth + 0.5).clamp(0, 1)

    h = dictionary.preactivation(x)
    seen = h if c.estimator == "all" else h0
    a = h * (h0 > theta0) + spread(seen, dictionary.threshold[:, None]) - spread(h0, theta0)
    norms = dictionary.decoder_norms()
    sparsity = torch.tanh((c.saturation * norms)[:, None] * a).sum() / N
    preactivation = (torch.relu(theta0 - h).sum(1) * norms).sum() / N
    reconstruction = (dictionary.decode(a, x) - y).square().sum() / N
    return reconstruction + 2.8 * sparsity + c.preactivation * preactivation


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", ["all", "threshold"])
def test_jumprelu_matches_finite_differences_of_its_smoothed_loss(kind: str, estimator: str) -> None:
    settings = {"activation": "jumprelu", "estimator": estimator, "preactivation": 0.2}
    dictionary, (x, y) = dictionary_of(kind=kind, **settings), batch()
    parameters = dict(dictionary.named_parameters())
    total = loss(dictionary, x, y).total(dictionary.config, 2.8)
    gradients = dict(zip(parameters, torch.autograd.grad(total, list(parameters.values())), strict=True))
    draw, step = torch.Generator().manual_seed(1), 1e-7
    with torch.no_grad():
        held = dictionary.preactivation(x), dictionary.threshold[:, None]
        torch.testing.assert_close(smoothed_loss(dictionary, x, y, *held), total)
        for name, p in parameters.items():
            direction = torch.randn(p.shape, generator=draw, dtype=p.dtype)
            p += step * direction
            above = smoothed_loss(dictionary, x, y, *held)
            p -= 2 * step * direction
            below = smoothed_loss(dictionary, x, y, *held)
            p += step * direction
            expected = (gradients[name] * direction).sum()
            torch.testing.assert_close((above - below) / (2 * step), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_scale_of_a_feature_changes_nothing(activation: str) -> None:
    dictionary, (x, y) = dictionary_of(activation=activation), batch()
    before = loss(dictionary, x, y)
    scale = torch.rand(L, F, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.5
    with torch.no_grad():
        dictionary.W_enc *= scale[..., None]
        dictionary.b_enc *= scale
        if dictionary.log_threshold is not None:
            dictionary.log_threshold += scale.log()
        for layer, W_dec in enumerate(dictionary.W_dec):
            W_dec /= scale[layer, :, None, None]
    after = loss(dictionary, x, y)
    for name in before._fields:
        torch.testing.assert_close(getattr(after, name), getattr(before, name), rtol=1e-12, atol=0)


@pytest.mark.parametrize("activation", ["topk", "batchtopk"])
def test_a_batch_without_active_features_and_layers_without_them(activation: str) -> None:
    dictionary, (x, y) = dictionary_of(activation=activation), batch()
    with torch.no_grad():
        dictionary.b_enc[1] -= 100
        if activation == "batchtopk":
            assert loss(dictionary, x, y).fired[1].sum() == 0
            dictionary.level.fill_(1e6)
    parts = loss(dictionary, x, y)
    parts.reconstruction.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in dictionary.parameters() if p.grad is not None)
    if activation == "batchtopk":
        assert parts.fired.sum() == 0
        assert dictionary.W_enc.grad is not None
        assert not dictionary.W_enc.grad.any()
