"""The model's own forward pass, frozen and differentiable: exact for any family, by autograd.

Attention patterns and norm denominators are replaced by the recorded ones and every MLP output by a leaf (plus the
live skip connection), which leaves a linear function of the leaves. It is the oracle of the sweep, and what runs for
families that the sweep does not know. Axes: l layer, p position, d model.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ct_widgets.language_model import FrozenRun, LanguageModel
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class FrozenForward:
    """One differentiable pass of the frozen model.

    inputs: [l, p, d], what transcoders read, and normed: [p, d], what the unembedding reads, depend linearly on the
    leaves mlp_write: [l, p, d] and embedding: [p, d].
    """

    inputs: Tensor
    normed: Tensor
    mlp_write: Tensor
    embedding: Tensor


def frozen_forward(
    model: LanguageModel, transcoder: Transcoder, run: FrozenRun, embedding: Tensor, mlp_write: Tensor
) -> FrozenForward:
    """Run the model with everything frozen but the path from `embedding` [p, d] and `mlp_write` [l, p, d]."""
    embedding = embedding.detach().clone().requires_grad_()
    mlp_write = mlp_write.detach().clone().requires_grad_()
    with (
        torch.enable_grad(),
        _frozen(model, transcoder, run, embedding, mlp_write) as kept,
        warnings.catch_warnings(),
    ):
        # TransformerLens notes that an edited denominator is used as edited, which is the point here.
        warnings.filterwarnings("ignore", message="A forward hook edited hook_scale")
        model.bridge(run.tokens[None], return_type="logits")
        inputs = torch.stack([kept[layer] for layer in range(model.n_layers)])
    return FrozenForward(inputs, kept[model.n_layers], mlp_write, embedding)


@contextmanager
def _frozen(
    model: LanguageModel, transcoder: Transcoder, run: FrozenRun, embedding: Tensor, mlp_write: Tensor
) -> Generator[dict[int, Tensor]]:
    """Hooks that freeze one forward pass; yields the dictionary it fills with inputs and, at n_layers, `normed`."""
    kept: dict[int, Tensor] = {}
    hooks: list[tuple[str, Any]] = []

    def replace(name: str, value: Tensor) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> Tensor:
            return value.to(activation.dtype).reshape(activation.shape).clone()

        hooks.append((name, hook_fn))

    def keep(name: str, key: int) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> None:
            kept[key] = activation[0].float() if activation.dtype != torch.float64 else activation[0]

        hooks.append((name, hook_fn))

    def write(layer: int) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> Tensor:
            return (mlp_write[layer] + transcoder.skip(layer, kept[layer]))[None].to(activation.dtype)

        hooks.append((f"blocks.{layer}.hook_mlp_out", hook_fn))

    replace("blocks.0.hook_resid_pre", embedding + run.position_embedding)
    for layer in range(run.n_layers):
        block = f"blocks.{layer}"
        replace(f"{block}.attn.hook_pattern", run.pattern[layer])
        for norm in run.scales.keys() - {"final"}:
            replace(f"{block}.{norm}.hook_scale", run.scales[norm][layer])
        keep(f"{block}.{run.input_hook}", layer)
        write(layer)
    replace("ln_final.hook_scale", run.scales["final"])
    keep("ln_final.hook_out", run.n_layers)
    with model.bridge.hooks(fwd_hooks=hooks):
        yield kept
