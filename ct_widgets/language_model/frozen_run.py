"""Everything that a forward pass leaves behind and that attribution and interventions hold fixed.

Axes: n prompt, l layer, p (q, k) position, h head, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ct_widgets.errors import ModelError
from ct_widgets.language_model.frozen_map import FrozenMap, full_precision
from ct_widgets.language_model.hooks import Hooks, keep_at, run_with_hooks
from ct_widgets.linear import is_unwatched_linear, onednn_layout

# Where a transcoder may read, as TransformerLens names it -> what it sees: the residual stream before ("pre") or after
# attention ("mid"), or ln2's output with ("norm") or without its weight and bias ("normalized").
READ_POINTS: dict[str, str] = {
    "hook_resid_pre": "pre",
    "hook_resid_mid": "mid",
    "ln2.hook_in": "mid",
    "ln2.hook_normalized": "normalized",
    "ln2.hook_out": "norm",
    "mlp.hook_in": "norm",
    "hook_mlp_in": "mid",
}

_UNEMBED_IN, _UNEMBED_OUT = "unembed.hook_in", "unembed.hook_out"


@dataclass(frozen=True, eq=False)
class FrozenRun:
    """Immutable record of one prompt, or of n prompts of one length, where n comes before p (pattern: before h).

    tokens: [p]; pattern: [l, h, q, k]; scales: norm name -> [l, p] ("final": [p]); embedding, position_embedding:
    [p, d]; resid_pre, attn_out, mlp_out: [l, p, d]; mlp_input: [l, p, d], read at `input_hook`; resid_final,
    normed_final: [p, d], before and after the final norm; logits: [p, v], or [1, v] of the last position.
    """

    tokens: Tensor
    pattern: Tensor
    scales: Mapping[str, Tensor]
    embedding: Tensor
    position_embedding: Tensor
    resid_pre: Tensor
    attn_out: Tensor
    mlp_out: Tensor
    mlp_input: Tensor
    resid_final: Tensor
    normed_final: Tensor
    logits: Tensor
    input_hook: str

    @property
    def n_positions(self) -> int:
        """Length of the prompt in tokens."""
        return self.tokens.shape[-1]

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.mlp_out.shape[0]

    def post_scale(self, layer: int) -> Tensor | None:
        """Denominator of the norm after attention. -> [p], or None for families without one."""
        scales = self.scales.get("ln1_post")
        return None if scales is None else scales[layer]

    def weighted_pattern(self, layer: int) -> Tensor:
        """Attention pattern divided by the denominators of the norms around it. -> [h, q, k]."""
        pattern = self.pattern[layer] / self.scales["ln1"][layer][..., None, None, :]
        post = self.post_scale(layer)
        return pattern if post is None else pattern / post[..., None, :, None]

    def attend(self, frozen_map: FrozenMap, layer: int, x: Tensor) -> Tensor:
        """Compute what the frozen attention of a layer adds to a residual x: [p, d] -> [p, d]."""
        scale, post_scale = self.scales["ln1"][layer], self.post_scale(layer)
        return frozen_map.attention[layer](x, self.pattern[layer], scale, post_scale)

    def reads_before_attention(self, frozen_map: FrozenMap) -> bool:
        """Whether the transcoder's input does not see its own layer's attention."""
        return frozen_map.parallel or READ_POINTS[self.input_hook] == "pre"

    def read(
        self,
        frozen_map: FrozenMap,
        layer: int,
        x: Tensor,
        positions: Tensor | slice = slice(None),
        *,
        affine: bool = False,
    ) -> Tensor:
        """Read what the transcoder sees of a residual x: [..., p, d], where row i is at `positions[i]`.

        `affine` keeps the norm's bias.
        """
        point = READ_POINTS[self.input_hook]
        if point in ("pre", "mid"):
            return x
        norm, scale = frozen_map.ln2[layer], self.scales["ln2"][layer][..., positions]
        if point == "normalized":
            return (x - x.mean(-1, keepdim=True) if norm.centred else x) / scale[..., None]
        return norm(x, scale) if affine else norm.linear(x, scale)

    def pull_back_read(self, frozen_map: FrozenMap, layer: int, g: Tensor, positions: Tensor | slice) -> Tensor:
        """Transpose of `read`, where row i of g is at `positions[i]`. g: [..., p, d] -> [..., p, d]."""
        point = READ_POINTS[self.input_hook]
        if point in ("pre", "mid"):
            return g
        norm, scale = frozen_map.ln2[layer], self.scales["ln2"][layer][..., positions]
        if point == "normalized":
            g = g / scale[..., None]
            return g - g.mean(-1, keepdim=True) if norm.centred else g
        return norm.pull_back(g, scale)

    def normed(self, frozen_map: FrozenMap, resid_final: Tensor) -> Tensor:
        """Output of the frozen final norm. resid_final: [p, d] -> [p, d]."""
        return frozen_map.final_norm(resid_final, self.scales["final"])

    def disagreement(self, frozen_map: FrozenMap) -> float:
        """Largest relative error when the frozen linear map recomputes this run: the proof that it knows the family.

        Checks the residual stream's bookkeeping, attention, the transcoder's input and the final norm.
        """
        layers = range(self.n_layers)
        attn_out = torch.stack([self.attend(frozen_map, layer, self.resid_pre[layer]) for layer in layers])
        read = self.resid_pre if self.reads_before_attention(frozen_map) else self.resid_pre + self.attn_out
        mlp_input = torch.stack([self.read(frozen_map, layer, read[layer], affine=True) for layer in layers])
        following = torch.cat([self.resid_pre[1:], self.resid_final[None]])
        errors = (
            _relative_errors((self.embedding + self.position_embedding)[None], self.resid_pre[:1]),
            _relative_errors((self.resid_pre + self.attn_out + self.mlp_out)[None], following[None]),
            _relative_errors(attn_out, self.attn_out),
            _relative_errors(mlp_input, self.mlp_input),
            _relative_errors(self.normed(frozen_map, self.resid_final)[None], self.normed_final[None]),
        )
        return float(torch.cat(errors).max())


def record(bridge: Any, tokens: Tensor, input_hook: str, *, only_last_logits: bool = False) -> FrozenRun:
    """Run `tokens` [p] or [n, p] once and keep what `FrozenRun` holds. No hook stays behind, whatever happens."""
    if input_hook not in READ_POINTS:
        raise ModelError(f"transcoder reads {input_hook!r}; supported read points: {', '.join(READ_POINTS)}")
    n_layers, known = int(bridge.cfg.n_layers), bridge.hook_dict
    norms = [name for name in bridge.blocks[0].submodules if f"blocks.0.{name}.hook_scale" in known]
    per_layer = {
        "pattern": "attn.hook_pattern",
        "resid_pre": "hook_resid_pre",
        "attn_out": "hook_attn_out",
        "mlp_out": "hook_mlp_out",
        "mlp_input": input_hook,
    } | {name: f"{name}.hook_scale" for name in norms}
    single = {f"final.{name}": f"ln_final.hook_{name}" for name in ("scale", "in", "out")}
    has_positions = getattr(bridge, "pos_embed", None) is not None and "pos_embed.hook_out" in known
    if has_positions:
        single["position_embedding"] = "pos_embed.hook_out"
    names = {f"{key}.{layer}": f"blocks.{layer}.{hook}" for key, hook in per_layer.items() for layer in range(n_layers)}
    names |= single
    rows = tokens.reshape(-1, tokens.shape[-1])
    logits, kept = run_and_keep(bridge, rows, names.values(), only_last_logits=only_last_logits)

    def full(value: Tensor) -> Tensor:
        return full_precision(value if tokens.ndim == 2 else value[0])

    def stack(key: str) -> Tensor:
        return torch.stack([full(kept[names[f"{key}.{layer}"]]) for layer in range(n_layers)])

    resid_pre = stack("resid_pre")
    position = torch.zeros_like(resid_pre[0])
    if has_positions:
        position = position + kept["pos_embed.hook_out"].reshape(-1, *resid_pre.shape[-2:])[0]
    scales = {name: stack(name)[..., 0] for name in norms}
    scales["final"] = full(kept["ln_final.hook_scale"])[..., 0]
    return FrozenRun(
        tokens=tokens,
        pattern=stack("pattern"),
        scales=scales,
        embedding=resid_pre[0] - position,
        position_embedding=position,
        resid_pre=resid_pre,
        attn_out=stack("attn_out"),
        mlp_out=stack("mlp_out"),
        mlp_input=stack("mlp_input"),
        resid_final=full(kept["ln_final.hook_in"]),
        normed_final=full(kept["ln_final.hook_out"]),
        logits=full(logits),
        input_hook=input_hook,
    )


def run_and_keep(
    bridge: Any, tokens: Tensor, names: Iterable[str], *, only_last_logits: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run tokens [b, p] once without gradients. -> logits [b, p, v] and the activations at `names`.

    With `only_last_logits`, which spares a large vocabulary's other products, logits are [b, 1, v].
    """
    kept: dict[str, Tensor] = {}
    hooks = keep_at(names, kept)
    if only_last_logits and {_UNEMBED_IN, _UNEMBED_OUT} <= bridge.hook_dict.keys():
        hooks += _last_position_hooks(bridge, bridge.hook_dict)
    with torch.no_grad():
        logits = run_with_hooks(bridge, tokens, hooks)
    return logits[:, -1:] if only_last_logits else logits, {name: value.detach() for name, value in kept.items()}


def _last_position_hooks(bridge: Any, known: Mapping[str, Any]) -> Hooks:
    """Hooks that send the last position alone through the unembedding, by the faster library where nobody watches."""
    component = bridge.unembed.original_component
    faster = is_unwatched_linear(component, known[_UNEMBED_IN], known[_UNEMBED_OUT])

    def narrow(activation: Tensor, hook: Any) -> Tensor:
        last = activation[:, -1:]
        return onednn_layout(last, component) if faster else last

    def back(activation: Tensor, hook: Any) -> Tensor | None:
        return activation.to_dense() if activation.is_mkldnn else None

    return [(_UNEMBED_IN, narrow), (_UNEMBED_OUT, back)]


def relative_error(value: Tensor, expected: Tensor) -> float:
    """Largest difference, as a share of the largest value expected."""
    return float(_relative_errors(value[None], expected[None]))


def _relative_errors(value: Tensor, expected: Tensor) -> Tensor:
    """Compute the relative error of each of n tensors. value, expected: [n, ...] -> [n]."""
    difference = (value - expected).abs().flatten(1).amax(1)
    return difference / expected.abs().flatten(1).amax(1).clamp_min(1e-12)
