"""What a feature reads from numbers and writes to them, by its weights alone [CT25, "Operand plots"].

Axes: n number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.numbers import NUMBERS, TEMPLATE, Slot, number_tokens

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel


def output_weights(
    model: ReplacementModel, layer: int, index: int, numbers: Iterable[int] = NUMBERS, *, template: str = TEMPLATE
) -> npt.NDArray[np.float32]:
    """What a feature adds to the logits of `numbers` as the answer, by all its decoder vectors together. -> [n].

    Per unit of activation, less the mean over the vocabulary; the final norm's denominator is left out.
    """
    return model.features.directions.output(layer, index, None)[number_tokens(model, numbers, template=template)]


def embedding_weights(
    model: ReplacementModel,
    layer: int,
    index: int,
    numbers: Iterable[int] = NUMBERS,
    *,
    template: str = TEMPLATE,
    slot: Slot = "a",
) -> npt.NDArray[np.float32]:
    """What the embedding of each of `numbers`, as an operand, adds to a feature's pre-activation. -> [n].

    Embeddings reach the feature directly at their own position alone; at "=" they come through attention.
    """
    return model.features.directions.input(layer, index)[number_tokens(model, numbers, template=template, slot=slot)]
