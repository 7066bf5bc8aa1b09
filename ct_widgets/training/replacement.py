"""The replacement model: every MLP output is the transcoder's reconstruction, attention and norms stay live [CT25].

Axes: l layer, s sequence, p position, n predicted token, f feature, d model, v vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, hooked_pass
from ct_widgets.training.activations import Sequences
from ct_widgets.transcoded_model import TranscodedModel


@dataclass(frozen=True)
class ReplacementMetrics:
    """The replacement model compared with the model, over `n_tokens` predicted tokens.

    top1_agreement: share with the same top token; kl: KL(model || replacement), mean in nats; the cross-entropies are
    those of the model, of the replacement model, and of the model with MLP outputs set to 0.
    """

    n_tokens: int
    top1_agreement: float
    kl: float
    model_cross_entropy: float
    replacement_cross_entropy: float
    ablated_cross_entropy: float

    def __add__(self, other: ReplacementMetrics) -> ReplacementMetrics:
        """Combine the metrics of two sets of tokens."""
        n = self.n_tokens + other.n_tokens
        own, its = (part.n_tokens * np.array(dataclasses.astuple(part)[1:]) for part in (self, other))
        return ReplacementMetrics(n, *((own + its) / n).tolist())

    @property
    def recovered(self) -> float:
        """Share of the MLPs' effect on the cross-entropy that the replacement recovers; 1 is all."""
        lost = self.replacement_cross_entropy - self.model_cross_entropy
        return 1 - lost / (self.ablated_cross_entropy - self.model_cross_entropy)


def replacement_metrics(model: TranscodedModel, sequences: Iterable[Sequences]) -> ReplacementMetrics:
    """Compare predictions of the `keep` tokens of each sequence, from all tokens before each.

    Raises TrainingError where no token is predicted.

    >>> replacement_metrics(model, sequences).top1_agreement
    """
    lm = model.language_model
    found: ReplacementMetrics | None = None
    for rows in sequences:
        tokens = torch.from_numpy(rows.ids).to(lm.device)
        predicted = torch.from_numpy(rows.keep[:, 1:]).to(lm.device)
        if not bool(predicted.any()):
            continue
        own, replaced, ablated = (
            logits[:, :-1][predicted]
            for logits in (lm.logits(tokens), replacement_logits(model, tokens), ablated_logits(model, tokens))
        )
        part = compare_logits(own, replaced, ablated, tokens[:, 1:][predicted])
        found = part if found is None else found + part
    if found is None:
        raise TrainingError("no sequence has a token to predict; mark some with `keep`, after the first position")
    return found


def compare_logits(own: Tensor, replaced: Tensor, ablated: Tensor, answer: Tensor) -> ReplacementMetrics:
    """Compare logits [n, v] of the model, the replacement model and the model without MLPs, where `answer` [n] follows.

    >>> compare_logits(own, replaced, ablated, answer).kl
    """
    own, replaced, ablated = own.double(), replaced.double(), ablated.double()
    same = own.argmax(-1) == replaced.argmax(-1)
    kl = kl_div(replaced.log_softmax(-1), own.log_softmax(-1), log_target=True, reduction="batchmean")
    losses = [cross_entropy(logits, answer) for logits in (own, replaced, ablated)]
    return ReplacementMetrics(len(answer), *(float(value) for value in (same.double().mean(), kl, *losses)))


def replacement_logits(model: TranscodedModel, tokens: Tensor) -> Tensor:
    """Run the replacement model. tokens: [s, p] -> logits: [s, p, v].

    Position 0 keeps the model's own MLP outputs: transcoders are not trained on BOS, and attribution takes what is
    written there as given.

    >>> replacement_logits(model, tokens)[0, -1].argmax()
    """
    transcoder = model.transcoder
    decoder = RunningDecoder(transcoder.W_dec, transcoder.b_dec)

    def reconstruct(layer: int, x: Tensor) -> Tensor:
        a = transcoder.encode(layer, x)
        return decoder(layer, a) + transcoder.skip(layer, x.to(a))

    return _replaced(model, tokens, reconstruct)


def ablated_logits(model: TranscodedModel, tokens: Tensor) -> Tensor:
    """Run the model with every MLP output after position 0 set to 0. tokens: [s, p] -> logits: [s, p, v]."""
    return _replaced(model, tokens, lambda layer, x: torch.zeros_like(x))


def _replaced(model: TranscodedModel, tokens: Tensor, output: Callable[[int, Tensor], Tensor]) -> Tensor:
    hooks = model.transcoder.feature_input_hook, model.transcoder.feature_output_hook
    return replaced_logits(model.language_model, tokens, output, *hooks)


def replaced_logits(
    model: LanguageModel,
    tokens: Tensor,
    output: Callable[[int, Tensor], Tensor],
    input_hook: str,
    output_hook: str,
    *,
    grad: bool = False,
) -> Tensor:
    """Run the model with every MLP output after position 0 replaced. tokens: [s, p] -> logits: [s, p, v].

    output: gives that of a layer, from the layer's number and what its transcoder reads there, x: [s, p, d].
    """

    def after_first(layer: int, x: Tensor, own: Tensor) -> Tensor:
        return torch.cat([own[:, :1], output(layer, x).to(own)[:, 1:]], 1)

    return hooked_pass(model, tokens, after_first, input_hook=input_hook, output_hook=output_hook, grad=grad).logits


class RunningDecoder:
    """Decodes layer after layer: a feature writes to all its output layers when its own layer is reached.

    W_dec: L x [f, m, d], whose m counts output layers from a feature's own; b_dec: L x [d].
    """

    def __init__(self, W_dec: Sequence[Tensor], b_dec: Sequence[Tensor]) -> None:
        self._W_dec, self._b_dec = W_dec, b_dec
        self._written: dict[int, Tensor] = {}

    def __call__(self, layer: int, a: Tensor) -> Tensor:
        """Reconstruct one layer, without skip connection, once lower layers have been. a: [..., f] -> [..., d]."""
        W_dec = self._W_dec[layer]
        for m in range(W_dec.shape[1]):
            self._written[layer + m] = self._written.get(layer + m, 0) + a @ W_dec[:, m].to(a)
        return self._written.pop(layer) + self._b_dec[layer].to(a)
