"""One forward pass with MLPs, attention patterns, norms or embeddings replaced: for every family, and differentiable.

Axes: b sequence, l layer, p (q, k) position, h head, d model, v vocabulary.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ct_widgets.language_model.hooks import MLP_OUT, RESID_MID, Hooks, keep_at, run_with_hooks
from ct_widgets.language_model.language_model import LanguageModel


class HookedPass(NamedTuple):
    """logits: [b, p, v]; inputs: l x [b, p, d], what transcoders read; kept: activations by their hook's full name."""

    logits: Tensor
    inputs: list[Tensor]
    kept: dict[str, Tensor]


def hooked_pass(
    model: LanguageModel,
    tokens: Tensor,
    mlp_out: Callable[[int, Tensor, Tensor], Tensor],
    *,
    input_hook: str = RESID_MID,
    output_hook: str = MLP_OUT,
    patterns: Tensor | None = None,
    scales: Mapping[str, Tensor] | None = None,
    embedding: Tensor | None = None,
    keep: Iterable[str] = (),
    grad: bool = False,
) -> HookedPass:
    """Run tokens [b, p] once with the MLPs' outputs replaced, and on request attention, norms and embeddings too.

    mlp_out: called for every layer in order with its number, what its transcoder reads at `input_hook` and the
        activation at `output_hook`, each [b, p, d] in full precision; gives what takes the latter's place.
    patterns: [l, h, q, k] or [l, b, h, q, k], in place of the attention patterns.
    scales: norm name -> [l, p] or [l, b, p] ("final": [p] or [b, p]), in place of the norms' denominators.
    embedding: [p, d] or [b, p, d], in place of what enters the first block.
    keep: full names of hooks whose activations are wanted, in full precision.
    """
    inputs: list[Tensor] = []
    kept: dict[str, Tensor] = {}
    hooks: Hooks = []

    def hold(name: str, value: Tensor) -> None:
        hooks.append((name, lambda old, hook: value.to(old.dtype).expand_as(old).clone()))

    def read(activation: Tensor, hook: Any) -> None:
        inputs.append(_full(activation))

    def write(activation: Tensor, hook: Any) -> Tensor:
        layer = len(inputs) - 1
        return mlp_out(layer, inputs[layer], _full(activation)).to(activation.dtype)

    if embedding is not None:
        hold("blocks.0.hook_resid_pre", embedding)
    for layer in range(model.n_layers):
        block = f"blocks.{layer}"
        if patterns is not None:
            hold(f"{block}.attn.hook_pattern", patterns[layer])
        for norm, scale in (scales or {}).items():
            if norm != "final":
                hold(f"{block}.{norm}.hook_scale", scale[layer][..., None])
        hooks += [(f"{block}.{input_hook}", read), (f"{block}.{output_hook}", write)]
    if scales is not None:
        hold("ln_final.hook_scale", scales["final"][..., None])
    hooks += keep_at(keep, kept)
    with warnings.catch_warnings(), torch.set_grad_enabled(grad):
        # TransformerLens notes that an edited denominator is used as edited, which is the point here.
        warnings.filterwarnings("ignore", message="A forward hook edited hook_scale")
        logits = run_with_hooks(model.bridge, tokens, hooks)
        return HookedPass(_full(logits), inputs, {name: _full(value) for name, value in kept.items()})


def _full(activation: Tensor) -> Tensor:
    return activation if activation.dtype == torch.float64 else activation.float()
