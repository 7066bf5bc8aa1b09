"""The same intervention on many prompts at once, with hooks, by the methods of `ct_widgets.interventions.Plan`.

Every prompt runs twice: as it is, and under the change, which is relative to its own activations.
Axes: n prompt, l layer, p position, f feature, c changed feature, d model.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.interventions import Intervention
from ct_widgets.interventions.intervene import check_range
from ct_widgets.interventions.intervention import resolve
from ct_widgets.interventions.plan import make_plan
from ct_widgets.language_model.frozen_map import full_precision

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel


class ChangedRuns:
    """Interventions on prompts of `length` tokens, resolved and checked once."""

    def __init__(
        self,
        model: ReplacementModel,
        interventions: Sequence[Intervention],
        length: int,
        method: str,
        layers: tuple[int, int] | range | None,
    ) -> None:
        self._model, self._transcoder = model.language_model, model.transcoder
        self._n_layers = self._model.n_layers
        self._changes = resolve(interventions, self._transcoder, length)
        self._plan = make_plan(method, layers, None, None, self._changes.layers, self._n_layers)
        check_range(self._plan, self._changes, self._transcoder)
        self._norms = [
            f"{norm}.hook_scale"
            for norm in self._model.bridge.blocks[0].submodules
            if f"blocks.0.{norm}.hook_scale" in self._model.bridge.hook_dict
        ]

    def activations(self, tokens: npt.NDArray[np.int64], at: int) -> tuple[list[Tensor], list[Tensor]]:
        """Activations at a position of prompts [n, p], under the change and before it. -> L x [n, f] each."""
        batch = torch.from_numpy(tokens).to(self._model.device)
        kept = self._model.activations(batch, self._kept_names())
        before = [full_precision(kept[name]) for name in self._names(self._transcoder.feature_input_hook)]
        after = self._run(batch, kept, before)
        encode = self._transcoder.encode
        unchanged = [encode(layer, x[:, at]) for layer, x in enumerate(before)]
        changed = [encode(layer, x[:, at]) for layer, x in enumerate(after)]
        for layer, (position, feature, factor, offset) in self._changes.sets.items():
            here = feature[position == at]
            own = unchanged[layer][:, here]
            changed[layer][:, here] = factor[position == at] * own + offset[position == at]
        return changed, unchanged

    def _names(self, hook: str) -> list[str]:
        return [f"blocks.{layer}.{hook}" for layer in range(self._n_layers)]

    def _held(self) -> list[str]:
        """What the plan holds at the values of the unchanged run."""
        frozen = self._names("attn.hook_pattern") if self._plan.freeze_attention else []
        return frozen + [name for norm in self._norms if self._plan.freeze_norms for name in self._names(norm)]

    def _kept_names(self) -> list[str]:
        return [*self._names(self._transcoder.feature_input_hook), *self._names("hook_mlp_out"), *self._held()]

    def _run(self, batch: Tensor, kept: dict[str, Tensor], before: list[Tensor]) -> list[Tensor]:
        """What transcoders read under the change. -> L x [n, p, d]."""
        read: dict[int, Tensor] = {}
        pending = torch.zeros(self._n_layers, *before[0].shape, dtype=before[0].dtype, device=batch.device)
        hooks: list[tuple[str, Any]] = [(name, _holder(kept[name])) for name in self._held()]
        for layer, (reads, writes) in enumerate(
            zip(self._names(self._transcoder.feature_input_hook), self._names("hook_mlp_out"), strict=True)
        ):

            def keep(activation: Tensor, hook: Any, layer: int = layer) -> None:
                read[layer] = full_precision(activation)

            def write(activation: Tensor, hook: Any, layer: int = layer, name: str = writes) -> Tensor:
                self._add_writes(layer, read[layer], before[layer], pending)
                output = full_precision(activation)
                if self._plan.method != "open" and self._plan.covers(layer):
                    # A skip connection is linear and no node, so it goes on reading.
                    output = full_precision(kept[name]) + self._transcoder.skip(layer, read[layer] - before[layer])
                return (output + pending[layer] if self._plan.covers(layer) else output).to(activation.dtype)

            hooks += [(reads, keep), (writes, write)]
        with warnings.catch_warnings(), self._model.bridge.hooks(fwd_hooks=hooks):
            # TransformerLens notes that an edited denominator is used as edited, which is the point here.
            warnings.filterwarnings("ignore", message="A forward hook edited hook_scale")
            self._model.bridge(batch, return_type="logits")
        return [read[layer] for layer in range(self._n_layers)]

    def _add_writes(self, layer: int, read: Tensor, before: Tensor, pending: Tensor) -> None:
        """Add to `pending` [l, n, p, d] what changed features of a layer write, beyond what they write already."""
        if layer in self._changes.pushes:
            pushes = self._changes.pushes[layer]
            pending[layer].index_add_(1, pushes.position, pushes.vector.expand(len(read), -1, -1).to(pending))
        if self._plan.method == "iterative" and self._plan.covers(layer):
            self._add_cascade(layer, read, before, pending)
        elif layer in self._changes.sets:
            position, feature, factor, offset = self._changes.sets[layer]
            vectors = self._transcoder.decoder_vectors(layer, feature)
            for c in range(len(position)):
                own = self._transcoder.encode(layer, before[:, position[c]])[:, feature[c]]
                # Open-ended: a feature is set against what it has become, since the MLP under it writes that already.
                live = self._plan.method == "open"
                now = self._transcoder.encode(layer, read[:, position[c]])[:, feature[c]] if live else own
                delta = factor[c] * own + offset[c] - now
                for m, target in enumerate(self._transcoder.output_layers(layer)):
                    pending[target][:, position[c]] += delta[:, None] * vectors[c, m]

    def _add_cascade(self, layer: int, read: Tensor, before: Tensor, pending: Tensor) -> None:
        """The same for all features of a layer, encoded again under the change."""
        own, now = self._transcoder.encode(layer, before), self._transcoder.encode(layer, read)
        if layer in self._changes.sets:
            position, feature, factor, offset = self._changes.sets[layer]
            now[:, position, feature] = factor * own[:, position, feature] + offset
        delta = now - own
        moved = delta.flatten(0, 1).any(0).nonzero()[:, 0]
        vectors = self._transcoder.decoder_vectors(layer, moved)
        for m, target in enumerate(self._transcoder.output_layers(layer)):
            pending[target] += delta[:, :, moved] @ vectors[:, m]


def _holder(value: Tensor) -> Callable[[Tensor, Any], Tensor]:
    def hook_fn(activation: Tensor, hook: Any) -> Tensor:
        return value.to(activation.dtype)

    return hook_fn
