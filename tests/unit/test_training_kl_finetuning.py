"""KL finetuning: the replacement model it differentiates is the measured one, and training brings it closer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import NATIVE

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, native_bridge
from ct_widgets.training import (
    KLFinetuning,
    Sequences,
    Training,
    TrainingConfig,
    finetune_kl,
    read_activations,
    replacement_logits,
    replacement_metrics,
    train,
)
from ct_widgets.training.checkpoint import read_facts
from ct_widgets.training.kl_finetuning import _Stage
from ct_widgets.transcoded_model import TranscodedModel

SETTINGS = KLFinetuning(sparsity=0.2, preactivation=3e-6, steps=12, warmup=2, kl=20.0, learning_rate=2e-3)
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


def batch(step: int) -> list[Sequences]:
    return sequences(1000 + step, 24)


def finetuned(
    trained: Training, model: LanguageModel, settings: KLFinetuning = SETTINGS, directory: Path | None = None
) -> Training:
    """A copy of the trained dictionary, finetuned."""
    return finetune_kl(copy.deepcopy(trained), settings, model, batch, directory=directory, show=False)


def test_it_differentiates_the_replacement_model_that_is_measured(model: LanguageModel, trained: Training) -> None:
    ids = torch.from_numpy(sequences(5)[0].ids)
    stage = _Stage(trained, SETTINGS, model)
    torch.testing.assert_close(
        stage.replacement_logits(ids).detach(),
        replacement_logits(TranscodedModel(model, trained.transcoder), ids),
        rtol=1e-4,
        atol=1e-4,
    )


def test_divergence_falls_and_the_model_stays(model: LanguageModel, trained: Training) -> None:
    before = {name: p.clone() for name, p in model.bridge.original_model.named_parameters()}
    first = replacement_metrics(TranscodedModel(model, trained.transcoder), sequences(1))
    transcoder = finetuned(trained, model, replace(SETTINGS, steps=40)).transcoder
    last = replacement_metrics(TranscodedModel(model, transcoder), sequences(1))
    assert last.kl < 0.9 * first.kl
    for name, p in model.bridge.original_model.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None
    assert not [hook for point in model.bridge.hook_dict.values() for hook in point.fwd_hooks]


def test_it_resumes_where_it_stopped(model: LanguageModel, trained: Training, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stops(step: int) -> list[Sequences]:
        if step == 7:
            raise StopError
        return batch(step)

    settings = replace(SETTINGS, checkpoint_every=5)
    whole = finetuned(trained, model, settings)
    with pytest.raises(StopError):
        finetune_kl(copy.deepcopy(trained), settings, model, stops, directory=tmp_path, show=False)
    assert read_facts(tmp_path / "aligned.safetensors")["step"] == 5
    rest = finetuned(trained, model, settings, tmp_path)
    for name, value in whole.dictionary.named_parameters():
        torch.testing.assert_close(rest.dictionary.get_parameter(name), value, rtol=1e-5, atol=1e-6)
    with pytest.raises(TrainingError, match="made with different settings"):
        finetuned(trained, model, replace(settings, kl=1.0), tmp_path)
