"""Narrowing keeps what matters: without the features that never fire, nothing changes."""

from __future__ import annotations

import pytest
import torch

from ct_widgets.errors import TrainingError
from ct_widgets.training import Activations, Training, TrainingConfig, keep_strongest
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.normalisation import Normaliser

N_LAYERS, D, FEATURES = 3, 8, 10


@pytest.fixture
def activations() -> Activations:
    draw = torch.Generator().manual_seed(0)
    return Activations(*(torch.randn(N_LAYERS, 40, D, generator=draw) for _ in range(2)))


@pytest.fixture
def training(activations: Activations) -> Training:
    config = TrainingConfig(features=FEATURES, activation="jumprelu")
    dictionary = Dictionary(N_LAYERS, D, config)
    normalisers = Normaliser.of(activations.x), Normaliser.of(activations.y)
    return Training(config, dictionary, *normalisers, history=[], seconds=0.0, finished=True)


def reconstruction(training: Training, activations: Activations) -> torch.Tensor:
    dictionary = training.dictionary
    return dictionary.decode(
        dictionary.activate(dictionary.preactivation(training.inputs(activations.x))), activations.x
    ).detach()


def test_features_that_never_fire_go_first_and_change_nothing(training: Training, activations: Activations) -> None:
    silent = [(0, 1), (0, 7), (0, 9), (1, 0), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6)]
    with torch.no_grad():
        for layer, feature in silent:
            training.dictionary.b_enc[layer, feature] = -100
    before = reconstruction(training, activations)
    narrower = keep_strongest(training, activations, FEATURES - 3)
    assert [W.shape[0] for W in narrower.dictionary.W_dec] == [FEATURES - 3] * N_LAYERS
    assert torch.allclose(reconstruction(narrower, activations), before, atol=1e-6)
    kept = [feature for feature in range(FEATURES) if (1, feature) not in silent]
    assert torch.equal(narrower.dictionary.W_enc[1], training.dictionary.W_enc[1, kept])
    assert len(training.dictionary.W_dec[0]) == FEATURES  # the run that it came from is as it was


def test_it_keeps_the_features_that_write_most(training: Training, activations: Activations) -> None:
    dictionary = training.dictionary
    a = dictionary.activate(dictionary.preactivation(training.inputs(activations.x))).detach()
    norms = [[float(W[f].detach().norm()) for f in range(FEATURES)] for W in dictionary.W_dec]
    written = [[float(a[layer, :, f].mean()) * norms[layer][f] for f in range(FEATURES)] for layer in range(N_LAYERS)]
    narrower = keep_strongest(training, activations, 4)
    for layer, values in enumerate(written):
        best = sorted(sorted(range(FEATURES), key=lambda f: -values[f])[:4])
        assert torch.equal(narrower.dictionary.b_enc[layer], dictionary.b_enc[layer, best])


@pytest.mark.parametrize("width", [0, FEATURES + 1])
def test_a_width_that_cannot_be_is_refused(training: Training, activations: Activations, width: int) -> None:
    with pytest.raises(TrainingError, match="between 1 and 10, the features of a layer"):
        keep_strongest(training, activations, width)
