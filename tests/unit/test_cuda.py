"""On a GPU, where there is one: the numbers of the CPU. Training is in test_training_gradients.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ct_widgets import Intervention, load_demo
from ct_widgets.features import collect_features
from ct_widgets.replacement_model import ReplacementModel

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

PROMPT = "calc: 36+59="
TEXTS = [f"calc: {a}+{b}={a + b}" for a in range(20, 40) for b in range(30, 50)]


@pytest.fixture(scope="module")
def models() -> tuple[ReplacementModel, ReplacementModel]:
    """The embedded model on the CPU and on the GPU."""
    here, there = load_demo(), load_demo()
    return here, ReplacementModel(there.language_model.bridge.to("cuda"), there.transcoder)


@pytest.mark.parametrize("budget", [None, 60])
def test_attribution(models: tuple[ReplacementModel, ReplacementModel], budget: int | None) -> None:
    here, there = (model.attribute(PROMPT, max_feature_nodes=budget) for model in models)
    assert here.node_ids == there.node_ids
    np.testing.assert_allclose(here.nodes["activation"], there.nodes["activation"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(here.weight, there.weight, atol=2e-5)
    assert there.audit().logit_error < 1e-3


def test_interventions_and_sessions(models: tuple[ReplacementModel, ReplacementModel]) -> None:
    graph = models[0].attribute(PROMPT).prune()
    node = next(one for one in graph.node_ids if one.kind == "feature")
    change = [Intervention(node.layer, node.position, node.index, scale=-1.0)]
    for method in ("constrained", "iterative", "open"):
        here, there = (model.intervene(PROMPT, change, method=method).logits.cpu() for model in models)
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)
    here, there = (model.perturbation(graph, {"one": [node]}).run({"one": -1.0}) for model in models)
    torch.testing.assert_close(here.logits.cpu(), there.logits.cpu(), rtol=1e-4, atol=1e-4)
    assert here.activity == pytest.approx(there.activity, rel=1e-3, abs=1e-4)


def test_collecting_features(models: tuple[ReplacementModel, ReplacementModel], tmp_path: Path) -> None:
    here, there = (collect_features(model, TEXTS, tmp_path / str(i)) for i, model in enumerate(models))
    for layer, index in ((0, 3), (1, 40), (2, 7)):
        np.testing.assert_allclose(here[layer, index].maximum, there[layer, index].maximum, rtol=1e-4)
        assert here[layer, index].density == pytest.approx(there[layer, index].density, abs=1e-4)


def test_operands(models: tuple[ReplacementModel, ReplacementModel]) -> None:
    here, there = (model.operand_activations(a=range(12), b=range(12)) for model in models)
    for layer, index in here.features[["layer", "index"]].head(40).itertuples(index=False):
        np.testing.assert_allclose(here.plot(layer, index), there.plot(layer, index), rtol=1e-3, atol=1e-4)
