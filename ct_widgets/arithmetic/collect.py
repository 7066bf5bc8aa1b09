"""Operand activations of a model: the prompts of all pairs in batches, and what every layer's features do.

Axes: n prompt, l layer, p position, f feature, d model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ct_widgets.arithmetic.numbers import NUMBERS, TEMPLATE, prompt_tokens
from ct_widgets.arithmetic.operands import OperandActivations, columns
from ct_widgets.errors import PromptError
from ct_widgets.interventions import Intervention
from ct_widgets.progress import progress as progress_bar

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel

_BATCH_TOKENS = 4096


def operand_activations(
    model: ReplacementModel,
    template: str = TEMPLATE,
    a: Iterable[int] = NUMBERS,
    b: Iterable[int] = NUMBERS,
    position: int = -1,
    *,
    interventions: Sequence[Intervention] = (),
    method: str = "constrained",
    progress: bool | None = None,
) -> OperandActivations:
    """See `ReplacementModel.operand_activations`."""
    a, b = tuple(map(int, a)), tuple(map(int, b))
    tokens = prompt_tokens(model.language_model, template, a, b)
    n, length = tokens.shape
    if not -length <= position < length:
        raise PromptError(f"position {position} does not exist; prompts of {template!r} have {length} tokens")
    t = model.transcoder
    n_features = tuple(t.n_features(layer) for layer in range(t.n_layers))
    hooks = [f"blocks.{layer}.{t.feature_input_hook}" for layer in range(t.n_layers)]
    found = []
    first = np.cumsum([0, *n_features])
    with progress_bar(n, "operands", unit="prompt", show=progress) as bar, torch.no_grad():
        for begin in range(0, n, max(1, _BATCH_TOKENS // length)):
            batch = torch.from_numpy(tokens[begin : begin + max(1, _BATCH_TOKENS // length)]).to(
                model.language_model.device
            )
            inputs = model.language_model.activations(batch, hooks)
            for layer, hook in enumerate(hooks):
                active = t.encode(layer, inputs[hook][:, position])
                row, feature = active.nonzero(as_tuple=True)
                found.append(
                    (
                        (feature + first[layer]).cpu().numpy(),
                        (row + begin).cpu().numpy(),
                        active[row, feature].float().cpu().numpy(),
                    )
                )
            bar.advance(len(batch))
    feature, cell, value = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((cell, feature))
    return OperandActivations(
        template=template,
        a=a,
        b=b,
        position=position,
        tokens=tuple(model.language_model.str_tokens(tokens[0])),
        n_features=n_features,
        **columns(feature[order], cell[order], value[order], n_features),
    )
