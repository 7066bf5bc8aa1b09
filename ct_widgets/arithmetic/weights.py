"""Weights between numbers and a feature: what it reads from them and adds to their logits [CT25, "Operand plots"].

Axes: n number.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.numbers import NUMBERS, TEMPLATE, Slot, number_tokens
from ct_widgets.features.catalog import WithFeatures


def output_weights(
    model: WithFeatures, layer: int, index: int, numbers: Iterable[int] = NUMBERS, *, template: str = TEMPLATE
) -> npt.NDArray[np.float32]:
    """Compute what a feature adds to the logits of `numbers` as the answer, by all its decoder vectors. -> [n].

    Per unit of activation, less the mean over the vocabulary; the final norm's denominator is left out.
    Raises PromptError for numbers that are not a single token.

    >>> output_weights(model, 2, 517)[95]
    """
    tokens = number_tokens(model.language_model, numbers, template=template)
    return model.features.directions.output(layer, index, None)[tokens]


def embedding_weights(
    model: WithFeatures,
    layer: int,
    index: int,
    numbers: Iterable[int] = NUMBERS,
    *,
    template: str = TEMPLATE,
    slot: Slot = "a",
) -> npt.NDArray[np.float32]:
    """Compute what the embedding of each of `numbers`, as an operand, adds to a feature's pre-activation. -> [n].

    Embeddings reach the feature directly at their own position alone; at "=" they come through attention.
    Raises PromptError for numbers that are not a single token.

    >>> embedding_weights(model, 0, 12, slot="b")
    """
    tokens = number_tokens(model.language_model, numbers, template=template, slot=slot)
    return model.features.directions.input(layer, index)[tokens]
