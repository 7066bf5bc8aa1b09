"""Ablations and perturbations against plain forward passes with hooks, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import random_transcoder
from scipy.stats import spearmanr
from test_interventions import NORM, PRE, TOKENS, Naive
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ct_widgets import Intervention
from ct_widgets.errors import GraphError
from ct_widgets.evaluation import Validation, ablate, correlations, faithfulness
from ct_widgets.evaluation.ablation import Ablation, baseline
from ct_widgets.evaluation.faithfulness import ADDED, make_perturbations
from ct_widgets.graph import AttributionGraph
from ct_widgets.replacement_model import ReplacementModel

CASES = [("native ln", {}), ("llama", NORM), ("gpt2", PRE), ("gemma2", {})]
Make = Callable[[str], Any]


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def model(request: pytest.FixtureRequest, make_bridge: Make) -> ReplacementModel:
    family, read = request.param
    return ReplacementModel(make_bridge(family), random_transcoder(3, 24, **read))


def ablated(model: ReplacementModel, graph: AttributionGraph, max_features: int = 10_000) -> Ablation:
    return ablate(model, graph, max_features=max_features)


def test_ablations_equal_forward_passes_with_clamped_outputs(model: ReplacementModel) -> None:
    graph, naive = model.attribute(TOKENS), Naive(model)
    found = ablated(model, graph, 12)
    assert len(found.features) == 12 * 3  # ranges that end 0, 1 and 2 layers above
    before = naive.logits[-1].double().log_softmax(-1)
    for row in found.features.sample(8, random_state=0).itertuples():
        change = Intervention(row.layer, row.position, row.index, scale=0)
        logits, activations = naive.constrained(change, row.layer, min(row.layer + row.above, 2))
        after = logits[-1].double().log_softmax(-1)
        assert row.kl == pytest.approx(float((before.exp() * (before - after)).sum()), rel=1e-3, abs=1e-7)
        if row.above:
            continue
        pairs = found.pairs[found.pairs["source"] == row.node]
        for pair in pairs.itertuples():
            layer, position, index = (int(getattr(graph, name)[pair.target]) for name in ("layer", "position", "index"))
            own = naive.acts(layer)[position, index]
            expected = float(((activations[layer][position, index] - own) / own).abs())
            assert pair.change == pytest.approx(expected, rel=1e-3, abs=1e-4)
            assert pair.knock_on == (layer > row.layer + 1)


def test_a_direct_edge_is_the_relative_change_of_the_next_layer(make_bridge: Make) -> None:
    """Above a clamped layer and below any other MLP there is one path, |A[t, s]| / a_t, but for norms, live here."""
    transcoder = random_transcoder(3, 24, activation="relu")
    model = ReplacementModel(make_bridge("native ln"), transcoder)
    graph = model.attribute(TOKENS)
    pairs = ablated(model, graph).pairs.query("not knock_on and change < 1")
    assert len(pairs) > 20
    edges = graph.edges.set_index(["source", "target"])["weight"].abs()
    direct = np.array([edges.get((pair.source, pair.target), 0.0) for pair in pairs.itertuples()])
    ratio = pairs["change"] * graph.activation[pairs["target"]] / direct
    assert ratio[direct > 0.02].median() == pytest.approx(1, abs=0.05)
    assert spearmanr(pairs["change"] * graph.activation[pairs["target"]], direct).statistic > 0.9


def test_correlations_are_of_ranks() -> None:
    draw = np.random.default_rng(0)
    influence, kl = draw.random(30), draw.random(30)
    features = pd.DataFrame({"influence": influence, "direct": kl**3, "activation": -kl, "above": 0, "kl": kl})
    pairs = pd.DataFrame({"influence": influence, "change": influence**2, "knock_on": np.arange(30) % 2 == 0})
    found = correlations(Ablation(features, pairs)).set_index("what")
    assert found.loc["influence", "correlation"] == pytest.approx(spearmanr(influence, kl).statistic)
    assert found.loc["direct", "correlation"] == pytest.approx(1)
    assert found.loc["activation", "correlation"] == pytest.approx(-1)
    assert found.loc["knock-on", "n"] == 15
    constant = correlations(Ablation(features.assign(kl=0.0), pairs)).set_index("what")
    assert np.isnan(constant.loc["influence", "correlation"])


def moved(model: ReplacementModel, layer: int, position: int, vector: Tensor, *, features: bool) -> list[Tensor]:
    """What each layer reads and the logits (centred) with a vector added before block `layer`, by hooks alone.

    features: MLP outputs are decoded from features plus error vectors, norms are frozen: the local replacement model.
    """
    bridge, t = model.language_model.bridge, model.transcoder
    run = model.language_model.frozen_run(torch.tensor(TOKENS), t.feature_input_hook)
    own = [t.encode(m, x) for m, x in enumerate(run.mlp_input)]
    seen: list[Tensor] = []
    now: list[Tensor] = []

    def add(x: Tensor, hook: Any) -> Tensor:
        x = x.clone()
        x[0, position] += vector
        return x

    def read(x: Tensor, hook: Any) -> None:
        seen.append(x[0].clone())

    def write(x: Tensor, hook: Any) -> Tensor:
        m = len(seen) - 1
        now.append(t.encode(m, seen[m]) - own[m])
        rest = [torch.zeros_like(own[k]) for k in range(m + 1, 3)]
        moved = t.decode([*now, *rest], [s * 0 for s in [*seen, *[seen[0]] * (2 - m)]])[m] - t.b_dec[m]
        return (run.mlp_out[m] + moved + t.skip(m, seen[m] - run.mlp_input[m]))[None]

    def hold(value: Tensor) -> Any:
        return lambda x, hook: value.reshape(x.shape).clone()

    hooks: list[Any] = [(f"blocks.{layer}.hook_resid_pre", add)]
    for m in range(3):
        hooks.append((f"blocks.{m}.attn.hook_pattern", hold(run.pattern[m])))
        hooks.append((f"blocks.{m}.{t.feature_input_hook}", read))
        if features:
            hooks += [(f"blocks.{m}.{n}.hook_scale", hold(run.scales[n][m])) for n in run.scales if n != "final"]
            hooks.append((f"blocks.{m}.hook_mlp_out", write))
    if features:
        hooks.append(("ln_final.hook_scale", hold(run.scales["final"])))
    with torch.no_grad(), bridge.hooks(fwd_hooks=hooks):
        logits = bridge(torch.tensor([TOKENS]), return_type="logits")[0]
    change = logits - run.logits
    return [*(x - at for x, at in zip(seen, run.mlp_input, strict=True)), change - change.mean(-1, keepdim=True)]


@pytest.mark.filterwarnings("ignore:A forward hook edited hook_scale")
def test_responses_equal_forward_passes_with_hooks(model: ReplacementModel) -> None:
    graph = model.attribute(TOKENS)
    found = faithfulness(model, graph, per_layer=2)
    base = baseline(model, graph)
    rows = found.to_dict("records")
    for one in make_perturbations(base, graph, 2, 0):
        real = moved(model, one.layer, one.position, one.vector, features=False)
        replaced = moved(model, one.layer, one.position, one.vector, features=True)
        for m in range(one.layer + 1, 4):
            row = rows.pop(0)
            assert (row["kind"], row["layer"], row["position"]) == (one.kind, one.layer, one.position)
            assert row["on"] == m - one.layer
            a, b = replaced[m].double().flatten(), real[m].double().flatten()
            assert row["cosine"] == pytest.approx(float(cosine_similarity(a, b, dim=0)), abs=2e-3)
            error = float((a - b).square().sum() / b.square().sum())
            assert row["normalised_mse"] == pytest.approx(error, rel=2e-2, abs=2e-3)
    assert not rows


def test_perturbations_add_a_tenth_and_are_equally_long(model: ReplacementModel) -> None:
    graph = model.attribute(TOKENS)
    base = baseline(model, graph)
    made = make_perturbations(base, graph, 3, 0)
    assert {one.kind for one in made} == {"encoder", "random", "upstream"}
    for one in made:
        if one.kind == "encoder":
            length = one.vector.norm()
            change = Intervention(one.layer - 1, one.position, direction=one.vector)
            moved = model.intervene(TOKENS, [change], layers=(one.layer - 1, 2), freeze_norms=True)
            x = (moved.inputs - base.run.mlp_input)[one.layer, one.position]
            gained = model.transcoder.W_enc[one.layer] @ x
            assert (gained - ADDED).abs().min() < 1e-3
        assert one.vector.norm() == pytest.approx(float(length), rel=1e-4)


def test_neurons_without_threshold_respond_as_the_model_does(make_bridge: Make) -> None:
    """All that differs then are norms, frozen here and live there: they differ little for a small perturbation."""
    model = ReplacementModel(make_bridge("native ln"), random_transcoder(3, 24)).neurons()
    graph = model.attribute(TOKENS)
    found = faithfulness(model, graph, per_layer=4)
    assert found["cosine"].median() > 0.95


def test_audit_with_the_model_says_how_far_to_trust_a_graph(make_bridge: Make) -> None:
    model = ReplacementModel(make_bridge("native ln"), random_transcoder(3, 24))
    graph = model.attribute(TOKENS)
    found = graph.audit(model)
    assert isinstance(found, Validation)
    assert found.audit == graph.audit()
    text = repr(found)
    assert repr(graph.audit()) in text
    assert all(sentence in text for sentence in found.verdict)
    assert f"{found.correlation('influence'):.2f}".replace("-", "\u2212") in text
    assert "<script" not in found._repr_html_()
    assert graph.prune(0.7).audit(model).audit.largest_residual is None


def test_a_graph_without_features_says_nothing_and_does_not_fail(make_bridge: Make) -> None:
    inactive = random_transcoder(3, 24).with_min_output_norm(1e9)
    graph = ReplacementModel(make_bridge("native ln"), inactive).attribute(TOKENS)
    found = graph.audit(ReplacementModel(make_bridge("native ln"), inactive))
    assert np.isnan(found.correlation("influence"))
    assert "no feature above the first layer" in repr(found)
    assert found.audit.scores.replacement < 0.5


def test_a_graph_of_another_model_is_refused(make_bridge: Make) -> None:
    model = ReplacementModel(make_bridge("native ln"), random_transcoder(3, 24))
    other = ReplacementModel(make_bridge("native ln"), random_transcoder(3, 24, seed=1))
    with pytest.raises(GraphError, match=r"was not made with .* its features have other activations"):
        model.attribute(TOKENS).audit(other)
