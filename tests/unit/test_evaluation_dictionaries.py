"""Dictionaries over texts against direct computation: whatever the batches, on the tokens that count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import random_transcoder
from torch.nn.functional import cross_entropy

from ct_widgets.errors import PromptError
from ct_widgets.evaluation import Variant, measure, sparsity_variants
from ct_widgets.evaluation.dictionaries import density_table, dictionaries_table, layers_table
from ct_widgets.evaluation.texts import batches, tokenize
from ct_widgets.language_model import LanguageModel
from ct_widgets.neurons import neuron_transcoder
from ct_widgets.training import replacement_logits
from ct_widgets.transcoded_model import TranscodedModel

TEXTS = [[3, 17, 5, 41, 5, 29, 58], [7, 9, 11], [1, 2, 3, 4], [50, 2, 50, 2, 50]]


@pytest.fixture(scope="module")
def model(make_bridge: Callable[[str], Any]) -> TranscodedModel:
    transcoder = random_transcoder(3, 24)
    transcoder.b_enc[1][2] = -1e6  # dead
    return TranscodedModel(make_bridge("native ln"), transcoder)


def run(model: TranscodedModel, variants: Any, batch_tokens: int) -> Any:
    return measure(model, variants, list(batches(tokenize(model.language_model, TEXTS), batch_tokens)))


@pytest.mark.parametrize("batch_tokens", [1, 12, 4096])
def test_metrics_equal_the_direct_ones(model: TranscodedModel, batch_tokens: int) -> None:
    language_model, clt = model.language_model, model.transcoder
    (found,) = run(model, [Variant("CLT", 0.0, clt)], batch_tokens)
    x, y, own, other, none, answers = [[] for _ in range(3)], [[] for _ in range(3)], [], [], [], []
    for ids in TEXTS:
        tokens = torch.tensor([ids])
        names = [f"blocks.{layer}.{hook}" for layer in range(3) for hook in ("hook_resid_mid", "hook_mlp_out")]
        logits, kept = language_model.run(tokens, names)
        for layer in range(3):
            x[layer].append(kept[f"blocks.{layer}.hook_resid_mid"][0, 1:-1])
            y[layer].append(kept[f"blocks.{layer}.hook_mlp_out"][0, 1:-1])
        own.append(logits[0, 1:-1])
        other.append(replacement_logits(TranscodedModel(language_model, clt), tokens)[0, 1:-1])
        none.append(without_mlps(language_model, tokens)[0, 1:-1])
        answers.append(tokens[0, 2:])
    X, Y = torch.stack([torch.cat(part) for part in x]), torch.stack([torch.cat(part) for part in y])
    a = [clt.encode(layer, X[layer]) for layer in range(3)]
    error = (torch.stack(clt.decode(a)) - Y).square().sum((1, 2))
    variance = (Y - Y.mean(1, keepdim=True)).square().sum((1, 2))
    np.testing.assert_allclose(found.dictionary.normalised_mse, error / variance, rtol=1e-4)
    assert found.dictionary.overall_mse == pytest.approx(float(error.sum() / variance.sum()), rel=1e-4)
    assert found.l0 == pytest.approx(float(sum((part > 0).float().sum(1).mean() for part in a)))
    np.testing.assert_allclose(found.dictionary.density[1], (a[1] > 0).double().mean(0), atol=1e-12)
    assert found.dictionary.density[1][2] == 0
    p, q, r = (torch.cat(part).double() for part in (own, other, none))
    answer = torch.cat(answers)
    assert found.replacement.n_tokens == len(answer) == sum(len(ids) - 2 for ids in TEXTS)
    assert found.replacement.top1_agreement == pytest.approx(float((p.argmax(-1) == q.argmax(-1)).double().mean()))
    kl = (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1).mean()
    assert found.replacement.kl == pytest.approx(float(kl), rel=1e-5)
    losses = [float(cross_entropy(logits, answer)) for logits in (p, q, r)]
    assert found.replacement.recovered == pytest.approx((losses[2] - losses[1]) / (losses[2] - losses[0]), rel=1e-4)


def without_mlps(model: LanguageModel, tokens: torch.Tensor) -> torch.Tensor:
    """A forward pass by hand: MLPs write at position 0 alone."""
    native = model.bridge.original_model
    with torch.no_grad():
        residual = native.tok_embed(tokens) + native.pos(torch.arange(tokens.shape[1]))
        for block in native.layers:
            residual = residual + block.attn(block.ln1(residual))[0]
            written = block.mlp(block.ln2(residual))
            written[:, 1:] = 0
            residual = residual + written
        return native.head(native.ln_out(residual))


def test_a_sparsity_curve_halves_l0_and_costs_reconstruction(model: TranscodedModel) -> None:
    parts = list(batches(tokenize(model.language_model, TEXTS)))
    own = model.with_transcoder(neuron_transcoder(model.language_model))
    variants = sparsity_variants(own, "neurons", parts)
    found = run(model, variants, 4096)
    l0 = [one.l0 for one in found]
    assert l0[0] == pytest.approx(120, abs=1)
    np.testing.assert_allclose(l0, [l0[0] / 2**k for k in range(len(l0))], rtol=0.1)
    assert l0[-1] >= 3 > l0[-1] / 2  # one per layer and token
    errors = [one.dictionary.overall_mse for one in found]
    assert errors[0] < 1e-9
    assert errors == sorted(errors)
    assert found[0].replacement.top1_agreement == 1
    assert found[0].replacement.recovered == pytest.approx(1, abs=1e-5)
    table = dictionaries_table(found)
    assert list(table["l0"]) == l0
    assert table["size"].is_monotonic_increasing
    layers = layers_table(found)
    assert layers["l0"].sum() == pytest.approx(l0[0])
    assert density_table(found)["share"].sum() == pytest.approx(1)  # none is dead


def test_a_pair_is_compared_where_its_answer_is_predicted(tiny_text_model: LanguageModel) -> None:
    model = tiny_text_model
    (row,) = tokenize(model, [("calc: 36+59=", " 95")])
    (part,) = batches([row])
    assert row.answer == len(model.tokens("calc: 36+59="))
    assert row.prompt == "calc: 36+59="
    assert tokenize(model, [row.ids])[0].prompt == row.ids[:-1]
    assert part.predicted.sum() == 1
    assert part.predicted[0, -1]
    assert list(part.read[0]) == [False, *[True] * (len(row.ids) - 2), False]


def test_long_texts_are_cut_and_short_ends_left_out(tiny_text_model: LanguageModel) -> None:
    model = tiny_text_model  # reads 32 tokens
    long = model.tokens("calc: 36+59=95").tolist()[1:] * 6  # 42 tokens: one row with BOS, one of the rest
    bos = model.tokens("calc: 36+59=")[:1].tolist()
    rows = tokenize(model, [bos + long])
    assert sorted(len(row.ids) for row in rows) == [len(long) - 31 + 1, 32]
    assert all(row.ids[:1] == bos for row in rows)
    assert all(row.prompt == row.ids[:-1] for row in rows)
    (row,) = tokenize(model, [bos + long[:32]])  # one token would be left over, which nothing is predicted from
    assert len(row.ids) == 32


@pytest.fixture(scope="module")
def tiny_text_model() -> LanguageModel:
    from ct_widgets.demo import load_demo

    return load_demo().language_model


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "there are no texts"),
        ("calc: 36+59=95", "is one text"),
        ([[3, 17]], "nothing in it is predicted"),
        ([[3, 17, 10**6]], "token id 1000000 does not exist"),
        ([("calc: 36+59=", "")], "nothing in it is predicted"),
        ([("calc: 36+5", "9=95")], "share a token"),
    ],
)
def test_texts_that_cannot_be_measured(tiny_text_model: LanguageModel, texts: Any, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        tokenize(tiny_text_model, texts)
