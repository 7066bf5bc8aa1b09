"""The replacement model: every MLP output is the transcoder's reconstruction, attention and norms stay live [CT25].

Axes: s sequence, p position, n predicted token, d model, v vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, hooked_pass
from ct_widgets.training.activations import Sequences
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True)
class ReplacementMetrics:
    """The replacement model beside the model, over `n_tokens` predicted tokens.

    agreement: share with the same most probable token; kl: KL(model || replacement), mean in nats; the cross-entropies
    are those of the model, of the replacement model, and of the model with MLP outputs set to 0.
    """

    n_tokens: int
    agreement: float
    kl: float
    model_cross_entropy: float
    replacement_cross_entropy: float
    ablated_cross_entropy: float

    def __add__(self, other: ReplacementMetrics) -> ReplacementMetrics:
        """Metrics on the tokens of both."""
        n = self.n_tokens + other.n_tokens
        own, its = (part.n_tokens * np.array(dataclasses.astuple(part)[1:]) for part in (self, other))
        return ReplacementMetrics(n, *((own + its) / n).tolist())

    @property
    def recovered(self) -> float:
        """Share of what the MLPs do for the cross-entropy that the replacement does too; 1 is all."""
        lost = self.replacement_cross_entropy - self.model_cross_entropy
        return 1 - lost / (self.ablated_cross_entropy - self.model_cross_entropy)


def replacement_metrics(
    model: LanguageModel, transcoder: Transcoder, sequences: Iterable[Sequences]
) -> ReplacementMetrics:
    """Compare predictions of the `keep` tokens of each sequence, from all tokens before each."""
    found: ReplacementMetrics | None = None
    for rows in sequences:
        tokens = torch.from_numpy(rows.ids).to(model.device)
        predicted = torch.from_numpy(rows.keep[:, 1:]).to(model.device)
        if not bool(predicted.any()):
            continue
        own, replaced, ablated = (
            logits[:, :-1][predicted]
            for logits in (
                model.logits(tokens),
                replacement_logits(model, transcoder, tokens),
                ablated_logits(model, transcoder, tokens),
            )
        )
        part = compare_logits(own, replaced, ablated, tokens[:, 1:][predicted])
        found = part if found is None else found + part
    if found is None:
        raise TrainingError("no sequence has a token to predict; mark some with `keep`, after the first position")
    return found


def compare_logits(own: Tensor, replaced: Tensor, ablated: Tensor, answer: Tensor) -> ReplacementMetrics:
    """Logits [n, v] of the model, the replacement model and the model without MLPs, where `answer` [n] follows."""
    own, replaced, ablated = own.double(), replaced.double(), ablated.double()
    same = own.argmax(-1) == replaced.argmax(-1)
    kl = kl_div(replaced.log_softmax(-1), own.log_softmax(-1), log_target=True, reduction="batchmean")
    losses = [cross_entropy(logits, answer) for logits in (own, replaced, ablated)]
    return ReplacementMetrics(len(answer), *(float(value) for value in (same.double().mean(), kl, *losses)))


def replacement_logits(model: LanguageModel, transcoder: Transcoder, tokens: Tensor) -> Tensor:
    """Logits [s, p, v] of the replacement model. tokens: [s, p].

    Position 0 keeps the model's own MLP outputs: transcoders are not trained on BOS, and attribution takes what is
    written there as given.
    """
    return _logits(model, transcoder, tokens, _Reconstruction(transcoder))


def ablated_logits(model: LanguageModel, transcoder: Transcoder, tokens: Tensor) -> Tensor:
    """Logits [s, p, v] with every MLP output after position 0 set to 0. tokens: [s, p]."""
    return _logits(model, transcoder, tokens, lambda layer, x: torch.zeros_like(x))


def _logits(
    model: LanguageModel, transcoder: Transcoder, tokens: Tensor, output: Callable[[int, Tensor], Tensor]
) -> Tensor:
    """Logits when each layer's MLP output is `output(layer, x)`, x as the transcoder reads it."""

    def after_first(layer: int, x: Tensor, own: Tensor) -> Tensor:
        return torch.cat([own[:, :1], output(layer, x).to(own)[:, 1:]], 1)

    read, write = transcoder.feature_input_hook, transcoder.feature_output_hook
    return hooked_pass(model, tokens, after_first, input_hook=read, output_hook=write).logits


class _Reconstruction:
    """Reconstructs layer after layer: a feature writes to its outputs when its own layer is reached."""

    def __init__(self, transcoder: Transcoder) -> None:
        self._transcoder = transcoder
        self._written: dict[int, Tensor] = {}

    def __call__(self, layer: int, x: Tensor) -> Tensor:
        """yhat^l: [s, p, d], given x^l and, from earlier calls, the features of lower layers."""
        transcoder = self._transcoder
        a = transcoder.encode(layer, x)
        for m, target in enumerate(transcoder.output_layers(layer)):
            vectors = transcoder.W_dec[layer][:, m].to(a)
            self._written[target] = self._written.get(target, 0) + a @ vectors
        return self._written.pop(layer) + transcoder.b_dec[layer].to(a) + transcoder.skip(layer, x.to(a))
