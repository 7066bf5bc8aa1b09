"""A model's own neurons as a dictionary: exact without a threshold on every family, and usable wherever one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FAMILIES, random_transcoder

from ct_widgets import Intervention
from ct_widgets.errors import ModelError, TranscoderError
from ct_widgets.interventions import Method, predict
from ct_widgets.replacement_model import ReplacementModel

TOKENS = [3, 17, 5, 41, 5, 29, 58]
KNOWN = ("native ln", "native rms", *FAMILIES)
Make = Callable[[str], Any]


def model_of(make_bridge: Make, family: str) -> ReplacementModel:
    return ReplacementModel(make_bridge(family), random_transcoder(3, 24))


@pytest.mark.parametrize("family", KNOWN)
def test_they_write_what_the_mlps_write(make_bridge: Make, family: str) -> None:
    model = model_of(make_bridge, family)
    neurons = model.neurons().transcoder
    run = model.language_model.frozen_run(torch.tensor(TOKENS), neurons.feature_input_hook)
    a = [neurons.encode(layer, x) for layer, x in enumerate(run.mlp_input)]
    torch.testing.assert_close(torch.stack(neurons.decode(a)), run.mlp_out, atol=1e-5, rtol=1e-4)
    # What the MLP itself multiplies with W_out, by its own hook: the same up to a norm behind it.
    own = model.language_model.activations(torch.tensor([TOKENS]), ["blocks.1.mlp.out.hook_in"])
    own = own["blocks.1.mlp.out.hook_in"][0]
    ratio = (a[1] / own).nan_to_num(1.0)
    torch.testing.assert_close(ratio, ratio.mean(1, keepdim=True).expand_as(ratio), atol=1e-3, rtol=1e-3)
    if "gemma" not in family:
        torch.testing.assert_close(a[1], own, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["native ln", "llama", "gemma2"])
def test_rows_of_their_graphs_close(make_bridge: Make, family: str) -> None:
    graph = model_of(make_bridge, family).neurons(0.12).attribute(TOKENS)
    found = graph.audit()
    assert (found.logit_error or 0) < 1e-4
    assert found.relative_residual is not None
    assert found.relative_residual < 1e-4
    assert graph.is_kind("error").any()
    assert (graph.activation[graph.is_kind("feature")] < 0).any()  # neurons can be negative, and are kept by magnitude


def test_a_threshold_is_on_what_a_neuron_writes(make_bridge: Make) -> None:
    model = model_of(make_bridge, "llama")
    every, some = model.neurons().transcoder, model.neurons(0.4).transcoder
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))
    a = every.encode(1, x)
    written = a.abs() * every.W_dec[1][:, 0].norm(dim=1)
    assert 0.05 < (written > 0.4).float().mean() < 0.95
    torch.testing.assert_close(some.encode(1, x), torch.where(written > 0.4, a, 0))


@pytest.mark.parametrize("activation", ["relu", "jumprelu"])
def test_an_output_norm_means_the_same_whatever_the_scale_of_a_feature(activation: str) -> None:
    """(W_enc, b_enc, threshold) times s and W_dec / s is the same dictionary, and stays so."""
    transcoder = random_transcoder(3, 24, activation=activation)
    x = torch.randn(40, 24, generator=torch.Generator().manual_seed(0))
    a, cut = transcoder.encode(1, x), transcoder.with_min_output_norm(0.8)
    written = a * transcoder.W_dec[1].flatten(1).norm(dim=1)
    assert 0.02 < ((written > 0.8) & (a > 0)).float().mean() / (a > 0).float().mean() < 0.98
    torch.testing.assert_close(cut.encode(1, x), torch.where(written > 0.8, a, 0))
    s = torch.rand(14, generator=torch.Generator().manual_seed(1)) + 0.5
    scaled = replace(
        transcoder,
        W_enc=[W * s[:, None] for W in transcoder.W_enc],
        b_enc=[b * s for b in transcoder.b_enc],
        W_dec=[W / s[:, None, None] for W in transcoder.W_dec],
        threshold=None if transcoder.threshold is None else [t * s for t in transcoder.threshold],
    ).with_min_output_norm(0.8)
    torch.testing.assert_close(scaled.encode(1, x) / s, cut.encode(1, x))


def test_mlps_that_write_something_else_are_refused(make_bridge: Make) -> None:
    with pytest.raises(ModelError, match="something else than its neurons"):
        model_of(make_bridge, "granite").neurons()  # scales what its MLPs write


def test_neurons_are_not_saved(make_bridge: Make, tmp_path: Path) -> None:
    with pytest.raises(TranscoderError, match="not saved"):
        model_of(make_bridge, "native ln").neurons().transcoder.save(tmp_path / "neurons")


def test_topk_takes_no_threshold() -> None:
    with pytest.raises(TranscoderError, match="topk"):
        random_transcoder(3, 24, activation="topk", k=3).with_min_output_norm(0.1)


def test_a_negative_output_norm_is_refused() -> None:
    with pytest.raises(TranscoderError, match="size is -1"):
        random_transcoder(3, 24).with_min_output_norm(-1)


@pytest.mark.parametrize(
    "settings", [{"kind": "plt"}, {"activation": "relu", "threshold": None}, {"neurons": None}, {"neurons": [None]}]
)
def test_a_transcoder_of_neurons_is_all_of_neurons(make_bridge: Make, settings: dict[str, Any]) -> None:
    with pytest.raises(TranscoderError, match="go together"):
        replace(model_of(make_bridge, "native ln").neurons().transcoder, **settings)


@pytest.mark.parametrize("method", ["constrained", "iterative", "open"])
def test_neurons_are_intervened_on_as_features_are(make_bridge: Make, method: Method) -> None:
    """Ablated by hand: the MLP's own hidden activation set to 0 in one place of a plain forward pass."""
    model = model_of(make_bridge, "llama").neurons()
    result = model.intervene(TOKENS, [Intervention(2, 4, 7, scale=0)], method=method, freeze_attention=True)
    bridge = model.language_model.bridge

    def ablate(x: torch.Tensor, hook: Any) -> torch.Tensor:
        x = x.clone()
        x[0, 4, 7] = 0
        return x

    with torch.no_grad(), bridge.hooks(fwd_hooks=[("blocks.2.mlp.out.hook_in", ablate)]):
        expected = bridge(torch.tensor([TOKENS]), return_type="logits")[0]
    assert (expected - result.logits_before).abs().max() > 1e-4
    torch.testing.assert_close(result.logits, expected, atol=1e-5, rtol=1e-4)  # the last layer: nothing comes after


def test_a_session_watches_neurons(make_bridge: Make) -> None:
    model = model_of(make_bridge, "llama").neurons(0.12)
    graph = model.attribute(TOKENS)
    nodes = [node for node in graph.node_ids if node.kind == "feature"]
    low, high = (next(node for node in nodes if node.layer == layer and node.position == 5) for layer in (0, 2))
    session = model.perturbation(graph, {"low": [low], "high": [high]})
    moved = session.run({"low": -1.0})
    result = model.intervene(TOKENS, Intervention.each([low], scale=-1.0))
    assert moved.activity["low"] == pytest.approx(-1)
    assert moved.activity["high"] == pytest.approx(float(result.fraction[2][high.position, high.index]), rel=1e-4)


def test_a_prediction_follows_the_slope_of_a_neuron(make_bridge: Make) -> None:
    """Along two edges: Delta h_t = A[t, s] r_s, then Delta a_t / a_t = Delta h_t / h_t with the gate held fixed."""
    model = model_of(make_bridge, "llama").neurons(0.12)
    graph = model.attribute(TOKENS)
    (source,) = [row for row in range(graph.n_nodes) if graph.kind[row] == 1][:1]
    dense = np.zeros((graph.n_nodes, graph.n_nodes))
    dense[graph.adjacency.targets, graph.source] = graph.weight
    relative = np.zeros(graph.n_nodes)
    relative[source] = -2.0
    moved = np.zeros(graph.n_nodes)
    for t in range(graph.n_nodes):
        if t != source:
            moved[t] = dense[t] @ relative
            relative[t] = moved[t] / graph.preactivation[t] if graph.kind[t] == 1 else 0.0
    assert not np.allclose(graph.preactivation[graph.kind == 1], graph.activation[graph.kind == 1])
    np.testing.assert_allclose(predict(graph, {source: -1.0}).total, moved, rtol=1e-4, atol=1e-6)
