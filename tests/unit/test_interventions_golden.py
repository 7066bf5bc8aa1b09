"""Equality with circuit-tracer's interventions (tests/data/golden), and where conventions differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import GOLDEN
from safetensors.numpy import load_file

from ct_widgets import Intervention
from ct_widgets.replacement_model import ReplacementModel

# What circuit-tracer calls its modes, in our settings. Its "freeze_attention" runs the model's own MLPs and sets
# features against what they have become, which is our "open" with attention held; "direct" is a constrained range over
# all layers, where norm denominators are held by both.
SETTINGS: dict[str, dict[str, Any]] = {
    "freeze_attention": {"method": "open", "freeze_attention": True},
    "open_ended": {"method": "open"},
    "constrained": {"method": "constrained"},
    "direct": {"method": "constrained"},
}


@pytest.mark.parametrize("name", ["gpt2-clt", "llama-plt", "gemma2-clt"])
def test_every_golden_intervention_matches(name: str) -> None:
    folder: Path = GOLDEN / name
    model = ReplacementModel.from_pretrained(folder / "model", folder / "transcoder")
    expected = load_file(folder / "expected.safetensors")
    golden = json.loads((folder / "expected.json").read_text())
    assert len(golden["interventions"]) == 16
    for one in golden["interventions"]:
        layers = one["constrained_layers"]
        settings = SETTINGS[one["mode"]] | ({"layers": (layers[0], layers[-1])} if layers else {})
        change = Intervention(one["layer"], one["position"], one["feature"], value=one["value"])
        result = model.intervene(golden["tokens"], [change], **settings)
        np.testing.assert_allclose(result.logits, expected[f"intervention_{one['id']}_logits"], atol=1e-4, err_msg=one)
        ours = torch.stack(result.activations)
        theirs = torch.tensor(expected[f"intervention_{one['id']}_activations"])
        # A set feature has its set value here; circuit-tracer reports what its encoder would give.
        ours[one["layer"], one["position"], one["feature"]] = theirs[one["layer"], one["position"], one["feature"]]
        # circuit-tracer shows no features at BOS.
        np.testing.assert_allclose(ours[:, 1:], theirs[:, 1:], atol=1e-4, err_msg=one)
        before = result.activations_before[one["layer"]][one["position"], one["feature"]]
        assert float(before) == pytest.approx(one["original"], abs=1e-5)
