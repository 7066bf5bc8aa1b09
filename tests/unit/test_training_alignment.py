"""Alignment: the replacement model it differentiates is the one that is measured, and training it brings it closer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import NATIVE

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, native_bridge
from ct_widgets.training import (
    Alignment,
    Sequences,
    Training,
    TrainingConfig,
    align,
    read_activations,
    replacement_logits,
    replacement_metrics,
    train,
)
from ct_widgets.training.alignment import _Stage

HOOKS = ("hook_resid_mid", "hook_mlp_out")
CONFIG = TrainingConfig(features=48, activation="jumprelu", steps=60, batch_size=128, sparsity=0.2, learning_rate=3e-3)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    bridge = native_bridge(NATIVE | {"normalization_type": "LN", "seed": 3})
    with torch.no_grad():
        for parameter in bridge.original_model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)  # so that the MLPs matter to the logits
    return LanguageModel(bridge)


def sequences(index: int, n: int = 48) -> list[Sequences]:
    rng = np.random.default_rng([7, index])
    keep = np.ones((n, 9), dtype=np.bool_)
    keep[:, 0] = False
    return [Sequences(rng.integers(0, 60, (n, 9)), keep)]


@pytest.fixture(scope="module")
def trained(model: LanguageModel) -> Training:
    return train(CONFIG, lambda index: read_activations(model, sequences(index), *HOOKS), show=False)


def aligned(trained: Training, model: LanguageModel, directory: Path | None = None, **settings: Any) -> Training:
    """A copy of the trained dictionary, aligned."""
    return align(
        copy.deepcopy(trained),
        Alignment(
            **(
                {"sparsity": 0.2, "preactivation": 3e-6, "steps": 12, "warmup": 2, "kl": 20.0, "learning_rate": 2e-3}
                | settings
            )
        ),
        model,
        lambda step: sequences(1000 + step, 24),
        directory=directory,
        show=False,
    )


def test_it_differentiates_the_replacement_model_that_is_measured(model: LanguageModel, trained: Training) -> None:
    ids = torch.from_numpy(sequences(5)[0].ids)
    stage = _Stage(trained, CONFIG, model)
    torch.testing.assert_close(
        stage._replacement_logits(ids).detach(),
        replacement_logits(model, trained.transcoder, ids),
        rtol=1e-4,
        atol=1e-4,
    )


def test_divergence_falls_and_the_model_stays(model: LanguageModel, trained: Training) -> None:
    before = {name: p.clone() for name, p in model.bridge.original_model.named_parameters()}
    first = replacement_metrics(model, trained.transcoder, sequences(1))
    last = replacement_metrics(model, aligned(trained, model, steps=40).transcoder, sequences(1))
    assert last.kl < 0.9 * first.kl
    for name, p in model.bridge.original_model.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None
    assert not [hook for point in model.bridge.hook_dict.values() for hook in point.fwd_hooks]


def test_it_resumes_where_it_stopped(model: LanguageModel, trained: Training, tmp_path: Path) -> None:
    whole = aligned(trained, model)

    class StopError(Exception):
        pass

    def stops(step: int) -> list[Sequences]:
        if step == 7:
            raise StopError
        return sequences(1000 + step, 24)

    settings = Alignment(
        sparsity=0.2, preactivation=3e-6, steps=12, warmup=2, kl=20.0, learning_rate=2e-3, checkpoint_every=5
    )
    arguments: dict[str, Any] = {"directory": tmp_path, "show": False}
    with pytest.raises(StopError):
        align(copy.deepcopy(trained), settings, model, stops, **arguments)
    rest = align(copy.deepcopy(trained), settings, model, lambda step: sequences(1000 + step, 24), **arguments)
    for name, value in whole.dictionary.named_parameters():
        torch.testing.assert_close(rest.dictionary.get_parameter(name), value, rtol=1e-5, atol=1e-6)
    with pytest.raises(TrainingError, match="made with other settings"):
        aligned(trained, model, tmp_path, kl=1.0)
