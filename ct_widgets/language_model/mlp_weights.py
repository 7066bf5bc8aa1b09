"""Weights of a model's own MLPs: what makes its neurons a dictionary, whatever the family.

Axes: l layer, p position, d model, f neuron.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ct_widgets.errors import ModelError
from ct_widgets.language_model.frozen_map import read_norm

_FUNCTIONS = ("act", "act_fn", "activation_fn", "activation")


@dataclass(frozen=True, eq=False)
class MLPWeights:
    """One layer's MLP: out = (function(x W_gate^T + b_gate) * (x W_in^T + b_in)) W_out + b_out with a gate, and
    function(x W_in^T + b_in) W_out + b_out without; then, in some families, an RMS norm with weight and eps.

    W_in, W_gate, W_out: [f, d], as the model keeps them; b_in, b_gate: [f]; b_out: [d]; norm_weight: [d].
    """

    W_in: Tensor
    b_in: Tensor
    W_gate: Tensor | None
    b_gate: Tensor | None
    W_out: Tensor
    b_out: Tensor
    function: Callable[[Tensor], Tensor]
    norm_weight: Tensor | None
    norm_eps: float


def read_mlp_weights(bridge: Any) -> list[MLPWeights]:
    """The MLPs of all layers. Raises ModelError for a family whose MLPs are built otherwise."""
    name = type(bridge.original_model).__name__
    try:
        return [_read(block, name) for block in bridge.blocks]
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"the MLPs of {name} are not made of neurons that can be read ({error})") from error


def _read(block: Any, name: str) -> MLPWeights:
    mlp, module = block.mlp, block.mlp.original_component
    W_out = mlp.W_out.detach()
    n_neurons, d_model = W_out.shape
    W_gate = getattr(mlp, "W_gate", None)
    norm = read_norm(block.ln2_post) if "ln2_post" in block.submodules else None
    if norm is not None and (norm.centred or norm.weight is None or getattr(mlp, "b_out", None) is not None):
        raise ModelError(f"{name}: the norm after its MLPs is not an RMS norm of a sum over neurons")
    functions: list[Any] = [getattr(module, key, None) for key in _FUNCTIONS]
    function: Any = next((found for found in functions if callable(found)), None)
    if function is None:
        raise ModelError(f"{name}: its MLP has none of {', '.join(_FUNCTIONS)}, so what its neurons compute is unknown")

    def bias(key: str, size: int) -> Tensor:
        value = getattr(mlp, key, None)
        return W_out.new_zeros(size) if value is None else value.detach()

    return MLPWeights(
        W_in=mlp.W_in.detach().T,
        b_in=bias("b_in", n_neurons),
        W_gate=None if W_gate is None else W_gate.detach().T,
        b_gate=None if W_gate is None else bias("b_gate", n_neurons),
        W_out=W_out,
        b_out=bias("b_out", d_model),
        function=function,
        norm_weight=None if norm is None else norm.weight,
        norm_eps=0.0 if norm is None else norm.eps,
    )
