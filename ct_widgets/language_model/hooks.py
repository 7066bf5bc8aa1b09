"""The one place where a model runs: under hooks that are gone afterwards, whatever happens.

Axes: b sequence, p position, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from ct_widgets.errors import ModelError

RESID_MID, MLP_IN, MLP_OUT = "hook_resid_mid", "mlp.hook_in", "hook_mlp_out"
"""Where most transcoders read, what the MLP itself reads, and where its output enters the residual stream."""
NORMED = "ln_final.hook_out"
"""Full name of what the unembedding reads."""

Hooks = list[tuple[str, Callable[[Tensor, Any], Tensor | None]]]


def run_with_hooks(bridge: Any, tokens: Tensor, hooks: Hooks) -> Tensor:
    """Run tokens [b, p] under hooks that are gone afterwards. -> logits [b, p, v].

    Raises ModelError for a hook point that this family does not have.
    """
    known = bridge.hook_dict
    unknown = [name for name, _ in hooks if name not in known]
    if unknown:
        raise ModelError(
            f"{type(bridge.original_model).__name__} has no hook {unknown[0]!r}; "
            "this family cannot be traced, or the transcoder was made for another one"
        )
    with bridge.hooks(fwd_hooks=hooks):
        return bridge(tokens, return_type="logits")


def keep_at(names: Iterable[str], kept: dict[str, Tensor]) -> Hooks:
    """Hooks that put the activations at `names` into `kept`."""

    def named(name: str) -> Callable[[Tensor, Any], None]:
        def hook_fn(activation: Tensor, hook: Any) -> None:
            kept[name] = activation

        return hook_fn

    return [(name, named(name)) for name in names]
