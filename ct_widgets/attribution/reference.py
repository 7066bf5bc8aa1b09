"""The same rows by autograd on the model itself: the oracle of the sweep, and what runs for families it does not know.

The model's own forward pass runs with attention patterns and norm denominators replaced by the recorded ones and
every MLP output replaced by a leaf, which leaves a linear function of the leaves; its gradients are the graph's rows.
Axes: t target, s source, p position, l (m) layer, d model.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.sweep import Rows, Targets
from ct_widgets.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class FrozenForward:
    """One differentiable pass of the frozen model.

    inputs: [l, p, d] and resid_final: [p, d] depend linearly on the leaves mlp_write: [l, p, d] and embedding: [p, d].
    """

    inputs: Tensor
    resid_final: Tensor
    mlp_write: Tensor
    embedding: Tensor


def frozen_forward(
    model: LanguageModel, local: LocalReplacementModel, embedding: Tensor, mlp_write: Tensor
) -> FrozenForward:
    """Run the model with everything frozen but the path from `embedding` [p, d] and `mlp_write` [l, p, d]."""
    embedding = embedding.detach().clone().requires_grad_()
    mlp_write = mlp_write.detach().clone().requires_grad_()
    with torch.enable_grad(), _frozen(model, local, embedding, mlp_write) as kept, warnings.catch_warnings():
        # TransformerLens notes that an edited denominator is used as edited, which is the point here.
        warnings.filterwarnings("ignore", message="A forward hook edited hook_scale")
        model.bridge(local.run.tokens[None], return_type="logits")
    inputs = torch.stack([kept[layer] for layer in range(model.n_layers)])
    return FrozenForward(inputs, kept[model.n_layers], mlp_write, embedding)


@contextmanager
def _frozen(
    model: LanguageModel, local: LocalReplacementModel, embedding: Tensor, mlp_write: Tensor
) -> Generator[dict[int, Tensor]]:
    """Hooks that freeze one forward pass; yields the dictionary it fills with inputs and the final residual."""
    run = local.run
    kept: dict[int, Tensor] = {}
    hooks: list[tuple[str, Any]] = []

    def replace(name: str, value: Tensor) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> Tensor:
            return value.to(activation.dtype).reshape(activation.shape).clone()

        hooks.append((name, hook_fn))

    def keep(name: str, key: int) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> None:
            kept[key] = activation[0]

        hooks.append((name, hook_fn))

    def write(layer: int) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> Tensor:
            return (mlp_write[layer] + local.transcoder.skip(layer, kept[layer]))[None].to(activation.dtype)

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
    keep("ln_final.hook_in", run.n_layers)
    with model.bridge.hooks(fwd_hooks=hooks):
        yield kept


def reference_rows(
    model: LanguageModel, local: LocalReplacementModel, targets: Targets, read: Tensor
) -> Iterator[tuple[Rows, Tensor]]:
    """Rows of `targets` by autograd, one at a time, each with its edges from embeddings [1, p].

    read: [t, d], what each target reads at its hook point. `targets.vector` is not used: pulling `read` back through
    the norm is autograd's part here.
    """
    forward = frozen_forward(model, local, local.run.embedding, local.constant + local.writes.total() + local.error)
    for layer, position, vector in zip(targets.layer.tolist(), targets.position.tolist(), read, strict=True):
        source = forward.resid_final if layer == local.run.n_layers else forward.inputs[layer]
        value = source[position] @ vector
        to_mlp, to_embedding = torch.autograd.grad(
            value, (forward.mlp_write, forward.embedding), retain_graph=True, materialize_grads=True
        )
        embedding = (local.run.embedding * to_embedding).sum(-1)
        yield _read(local, to_mlp, position), embedding[None, : position + 1]


def _read(local: LocalReplacementModel, to_mlp: Tensor, position: int) -> Rows:
    """Gradients with respect to the MLP outputs, times what each source writes. to_mlp: [l, p, d]."""
    n_layers, end = local.run.n_layers, position + 1
    feature = to_mlp.new_zeros(local.features.starts[end][0])
    for m in range(n_layers):
        for k in range(end):
            feature[local.writes.columns(m, k)] += local.writes.at(m, k) @ to_mlp[m, k]
    return Rows(feature[None], (local.error * to_mlp).sum(-1)[None, :, :end])
