"""The only door to TransformerLens: building bridges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ct_widgets.errors import ModelError


def load_bridge(
    model: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Any:
    """A bridge to a Hugging Face model: a hub name, or a local directory with config, weights and tokenizer."""
    from transformer_lens.model_bridge import TransformerBridge

    if not isinstance(model, str) and not model.is_dir():
        raise ModelError(f"{model} is not a directory; give a directory with config.json, or a hub name as text")
    return TransformerBridge.boot_transformers(str(model), device=device, dtype=dtype or torch.float32)


def native_bridge(config: Mapping[str, Any], tokenizer: Any = None, state: Mapping[str, Tensor] | None = None) -> Any:
    """A bridge around a small TransformerLens-native model built from `config`.

    `state` are the weights by the names that `native_state` gives; without it they are random by `config["seed"]`.
    Raises ModelError when the weights do not fit the configuration.
    """
    from transformer_lens.model_bridge import TransformerBridge

    boot: Any = TransformerBridge  # its constructors are attached at import, where type checkers do not see them
    bridge = boot.boot_native(dict(config), tokenizer=tokenizer)
    if state is not None:
        own = native_state(bridge)
        wrong = [n for n in own | dict(state) if n not in own or n not in state or own[n].shape != state[n].shape]
        if wrong:
            given = tuple(state[wrong[0]].shape) if wrong[0] in state else "nothing"
            asked = tuple(own[wrong[0]].shape) if wrong[0] in own else "nothing"
            raise ModelError(f"weight {wrong[0]}: the file has {given}, the configuration asks for {asked}")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])
    bridge.original_model.eval()
    return bridge


def native_state(bridge: Any) -> dict[str, Tensor]:
    """Weights of a native bridge by name, without the wrapper's own part of the names; they share its memory."""
    state = bridge.original_model.state_dict()
    return {name.replace("._original_component", ""): value.detach() for name, value in state.items()}
