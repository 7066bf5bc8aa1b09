"""The model run once more under a change, from the first layer and position that change.

Two ways to the same numbers: `run_blocks` calls the blocks as functions, for frozen attention and a known family;
`run_hooked` runs the whole model with hooks, for live attention and every family.
Axes: n intervention, l layer, p position, d model, v vocabulary.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.live_blocks import LiveModel
from ct_widgets.interventions.plan import Plan
from ct_widgets.interventions.writers import Writer


class Stream(NamedTuple):
    """A changed run. inputs: layer -> [n, p, d], what transcoders read; normed: [n, p, d], what the unembedding reads.

    Positions begin at `start`; layers that are not in `inputs`, and positions before `start`, are as they were.
    """

    inputs: Mapping[int, Tensor]
    normed: Tensor
    start: int


def run_blocks(
    base: Baseline,
    live: LiveModel,
    plan: Plan,
    writer: Writer,
    n: int,
    *,
    layer: int = 0,
    start: int = 0,
    proceed: Callable[[], None] = lambda: None,
) -> Stream:
    """Run from `layer` on at the positions from `start` on. `proceed` is called before every layer and may raise."""
    run, window = base.run, slice(start, None)
    x = run.resid_pre[layer, window].expand(n, -1, -1)

    def scale(name: str, at: int) -> Tensor | None:
        return run.scales[name][at, window] if plan.freeze_norms and name in run.scales else None

    inputs: dict[int, Tensor] = {}
    for at in range(layer, base.n_layers):
        proceed()
        block = live.blocks[at]
        earlier = base.values_of(live, at)[:start]
        attention = block.attention(x, run.pattern[at], earlier, scale("ln1", at), scale("ln1_post", at))
        middle = x + attention
        seen = x if block.parallel else middle
        ln2 = scale("ln2", at)
        read = inputs[at] = block.read(run.input_hook, x, middle, ln2)

        def own_mlp(seen: Tensor = seen, at: int = at, ln2: Tensor | None = ln2) -> Tensor:
            return live.blocks[at].mlp(seen, ln2, scale("ln2_post", at))

        x = middle + writer.write(at, read, own_mlp)
    return Stream(inputs, live.final(x, run.scales["final"][window] if plan.freeze_norms else None), start)


def run_hooked(base: Baseline, plan: Plan, writer: Writer, n: int) -> tuple[Stream, Tensor]:
    """Run the whole model with hooks, which are gone afterwards whatever happens. -> the stream, logits [n, p, v]."""
    run, bridge = base.run, base.model.bridge
    inputs: dict[int, Tensor] = {}
    normed: list[Tensor] = []
    hooks: list[tuple[str, Any]] = []

    def hold(name: str, value: Tensor) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> Tensor:
            return value.to(activation.dtype).reshape(1, *activation.shape[1:]).expand_as(activation).clone()

        hooks.append((name, hook_fn))

    def keep(layer: int) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> None:
            inputs[layer] = _full(activation)

        hooks.append((f"blocks.{layer}.{run.input_hook}", hook_fn))

    def replace(layer: int) -> None:
        def hook_fn(activation: Tensor, hook: Any) -> Tensor:
            return writer.write(layer, inputs[layer], lambda: _full(activation)).to(activation.dtype)

        hooks.append((f"blocks.{layer}.hook_mlp_out", hook_fn))

    def keep_normed(activation: Tensor, hook: Any) -> None:
        normed.append(_full(activation))

    for layer in range(base.n_layers):
        if plan.freeze_attention:
            hold(f"blocks.{layer}.attn.hook_pattern", run.pattern[layer])
        if plan.freeze_norms:
            for norm in run.scales.keys() - {"final"}:
                hold(f"blocks.{layer}.{norm}.hook_scale", run.scales[norm][layer])
        keep(layer)
        replace(layer)
    if plan.freeze_norms:
        hold("ln_final.hook_scale", run.scales["final"])
    hooks.append(("ln_final.hook_out", keep_normed))
    with warnings.catch_warnings(), bridge.hooks(fwd_hooks=hooks):
        # TransformerLens notes that an edited denominator is used as edited, which is the point here.
        warnings.filterwarnings("ignore", message="A forward hook edited hook_scale")
        logits: Tensor = bridge(run.tokens.expand(n, -1), return_type="logits")
    return Stream(inputs, normed[-1], 0), _full(logits)


def _full(activation: Tensor) -> Tensor:
    return activation if activation.dtype == torch.float64 else activation.float()
