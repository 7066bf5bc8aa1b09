"""How a model calculates: what its features do over all pairs of operands [CT25, "Addition"].

Names are imported when first used: values and families of features need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.lazy import lazy

if TYPE_CHECKING:
    from ct_widgets.arithmetic.collect import operand_activations as operand_activations
    from ct_widgets.arithmetic.families import Family as Family
    from ct_widgets.arithmetic.families import classify as classify
    from ct_widgets.arithmetic.figures import (
        embedding_weight_plot as embedding_weight_plot,
    )
    from ct_widgets.arithmetic.figures import (
        operand_plot as operand_plot,
    )
    from ct_widgets.arithmetic.figures import (
        output_weight_plot as output_weight_plot,
    )
    from ct_widgets.arithmetic.numbers import number_tokens as number_tokens
    from ct_widgets.arithmetic.operands import OperandActivations as OperandActivations
    from ct_widgets.arithmetic.weights import embedding_weights as embedding_weights
    from ct_widgets.arithmetic.weights import output_weights as output_weights

_NAMES = {
    "collect": ("operand_activations",),
    "families": ("Family", "classify"),
    "figures": ("embedding_weight_plot", "operand_plot", "output_weight_plot"),
    "numbers": ("number_tokens",),
    "operands": ("OperandActivations",),
    "weights": ("embedding_weights", "output_weights"),
}

__all__ = [name for names in _NAMES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__, __dir__ = lazy(__name__, _NAMES)
