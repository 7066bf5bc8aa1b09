"""How well a transcoder reconstructs, and how sparsely ([CT25], "Evaluating").

Axes: l layer, n token, f feature, d model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ct_widgets.errors import TrainingError
from ct_widgets.training.activations import Activations
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class DictionaryMetrics:
    """Measured on `n_tokens` tokens.

    l0: [l], active features per token; error and variance: [l], sum ||yhat - y||^2 and sum ||y - mean||^2;
    mean: [l, d], of the targets y; density: L x [f], the share of tokens on which a feature is active.
    """

    n_tokens: int
    l0: NDArray[np.float64]
    error: NDArray[np.float64]
    variance: NDArray[np.float64]
    mean: NDArray[np.float64]
    density: list[NDArray[np.float64]]

    def __add__(self, other: DictionaryMetrics) -> DictionaryMetrics:
        """Combine the metrics of two sets of tokens."""
        n = self.n_tokens + other.n_tokens
        own, its = self.n_tokens / n, other.n_tokens / n
        between = np.square(self.mean - other.mean).sum(1) * own * its * n
        return DictionaryMetrics(
            n_tokens=n,
            l0=own * self.l0 + its * other.l0,
            error=self.error + other.error,
            variance=self.variance + other.variance + between,
            mean=own * self.mean + its * other.mean,
            density=[own * a + its * b for a, b in zip(self.density, other.density, strict=True)],
        )

    @property
    def normalised_mse(self) -> NDArray[np.float64]:
        """Share of the targets' variance that is not explained, per layer [l]; > 1 is worse than a constant."""
        return self.error / self.variance

    @property
    def overall_mse(self) -> float:
        """Share of the variance of all layers together that is not explained."""
        return float(self.error.sum() / self.variance.sum())

    @property
    def dead(self) -> NDArray[np.float64]:
        """Share of features that are active on no token, per layer [l]."""
        return np.array([(density == 0).mean() for density in self.density])

    @property
    def overall_dead(self) -> float:
        """Share of all features that are active on no token."""
        return float((np.concatenate(self.density) == 0).mean())


@torch.no_grad()
def dictionary_metrics(transcoder: Transcoder, parts: Iterable[Activations]) -> DictionaryMetrics:
    """Measure a transcoder on activations that come in parts, so that no part needs to hold all tokens.

    Raises TrainingError where there are no tokens.

    >>> dictionary_metrics(transcoder, [read_activations(model, sequences, config.input_hook, config.output_hook)]).l0
    """
    n = 0
    count = [torch.zeros(transcoder.n_features(layer), dtype=torch.long) for layer in range(transcoder.n_layers)]
    shape = (transcoder.n_layers, transcoder.d_model)
    error = torch.zeros(transcoder.n_layers, dtype=torch.float64)
    first, second = torch.zeros(shape, dtype=torch.float64), torch.zeros(transcoder.n_layers, dtype=torch.float64)
    for x, y in parts:
        n += x.shape[1]
        a = [transcoder.encode(layer, x[layer]) for layer in range(transcoder.n_layers)]
        for layer, yhat in enumerate(transcoder.decode(a, x.unbind())):
            count[layer] += (a[layer] != 0).sum(0).cpu()
            error[layer] += _square(yhat - y[layer]).cpu()
            second[layer] += _square(y[layer]).cpu()
            first[layer] += y[layer].double().sum(0).cpu()
    if not n:
        raise TrainingError("there are no tokens to measure a transcoder on")
    return DictionaryMetrics(
        n_tokens=n,
        l0=np.array([float(c.sum()) / n for c in count]),
        error=error.numpy(),
        variance=(second - first.square().sum(1) / n).numpy(),
        mean=(first / n).numpy(),
        density=[c.numpy() / n for c in count],
    )


def _square(values: Tensor) -> Tensor:
    return values.double().square().sum()
