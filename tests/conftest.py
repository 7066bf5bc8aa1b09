"""Tiny random models of every family, and transcoders that fit them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ct_widgets.language_model import load_bridge, native_bridge
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoders import Transcoder

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "golden"

# Layers, heads, widths, vocabulary and context all differ, so that a swapped axis cannot pass.
_SIZES = {"num_hidden_layers": 3, "hidden_size": 24, "intermediate_size": 40, "vocab_size": 60}
_GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 10, "max_position_embeddings": 32}
_GEMMA = _GROUPED | {"query_pre_attn_scalar": 10, "sliding_window": 4}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"n_layer": 3, "n_embd": 24, "n_head": 4, "n_inner": 40, "n_positions": 32, "vocab_size": 60}),
    "llama": ("Llama", _SIZES | _GROUPED),
    "mistral": ("Mistral", _SIZES | _GROUPED | {"sliding_window": 4}),
    "qwen3": ("Qwen3", _SIZES | _GROUPED),
    "gemma2": ("Gemma2", _SIZES | _GEMMA | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0}),
    "gemma3": ("Gemma3Text", _SIZES | _GEMMA),
    "pythia": ("GPTNeoX", _SIZES | {"num_attention_heads": 4, "max_position_embeddings": 32, "rotary_pct": 0.5}),
}
# What the sweep does not know: scaled residuals and logits, norms after the parts only, one norm for both parts.
UNKNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "granite": ("Granite", _SIZES | _GROUPED | {"residual_multiplier": 0.7, "logits_scaling": 2.0}),
    "olmo2": ("Olmo2", _SIZES | _GROUPED),
    "cohere": ("Cohere", _SIZES | _GROUPED | {"logit_scale": 0.25}),
    "phi": ("Phi", _SIZES | {"num_attention_heads": 4, "max_position_embeddings": 32}),
}
NATIVE = {
    "n_layers": 3,
    "d_model": 24,
    "n_heads": 4,
    "d_head": 6,
    "d_mlp": 40,
    "n_ctx": 32,
    "d_vocab": 60,
    "act_fn": "gelu",
    "positional_embedding_type": "standard",
}


def stir(module: torch.nn.Module, seed: int) -> None:
    """Move norms and biases away from 1 and 0, and weights away from being small, so that every term counts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                parameter.add_(0.3 * noise)
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)


def tiny_bridge(family: str, folder: Path, seed: int = 0) -> Any:
    """A random bridge of one family, through the family's own Hugging Face class where it has one."""
    if family.startswith("native"):
        bridge = native_bridge(NATIVE | {"normalization_type": family.removeprefix("native ").upper(), "seed": seed})
        stir(bridge.original_model, seed)
        return bridge
    import transformers

    prefix, settings = (FAMILIES | UNKNOWN)[family]
    config = getattr(transformers, f"{prefix}Config")(**settings, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    config._attn_implementation = "eager"
    model_class = "Gemma3ForCausalLM" if family == "gemma3" else f"{prefix}ForCausalLM"
    if family == "gpt2":
        model_class = "GPT2LMHeadModel"
    model = getattr(transformers, model_class)(config).float().eval()
    stir(model, seed)
    directory = folder / f"{family}-{seed}"
    model.save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).write_bytes((GOLDEN / "gpt2-clt" / "model" / name).read_bytes())
    return load_bridge(directory)


READS_AND_WRITES = {"feature_input_hook": "hook_resid_mid", "feature_output_hook": "hook_mlp_out"}
"""The hook points of transcoders that read before the norm."""


def random_transcoder(
    n_layers: int, d_model: int, n_features: int = 14, *, seed: int = 0, kind: str = "clt", **settings: Any
) -> Transcoder:
    """A random transcoder; `settings` are fields of Transcoder, and `skip=True` adds a skip connection."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    written = [n_layers - layer if kind == "clt" else 1 for layer in range(n_layers)]
    if settings.get("activation", "jumprelu") == "jumprelu" and "threshold" not in settings:
        settings["threshold"] = [random(n_features).abs() * 0.3 for _ in written]
    if settings.pop("skip", False):
        settings["W_skip"] = [random(d_model, d_model, scale=0.5 / d_model**0.5) for _ in written]
    return Transcoder(
        kind=kind,  # type: ignore[arg-type]
        W_enc=[random(n_features, d_model, scale=d_model**-0.5) for _ in written],
        W_dec=[random(n_features, m, d_model, scale=0.2) for m in written],
        b_enc=[random(n_features, scale=0.2) for _ in written],
        b_dec=[random(d_model, scale=0.2) for _ in written],
        **({"activation": "jumprelu", **READS_AND_WRITES} | settings),
    )


@pytest.fixture(scope="session")
def make_bridge(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Bridges by family, each built once."""
    folder = tmp_path_factory.mktemp("models")
    built: dict[str, Any] = {}

    def make(family: str) -> Any:
        if family not in built:
            built[family] = tiny_bridge(family, folder)
        return built[family]

    return make


@pytest.fixture(scope="session")
def tiny_model(make_bridge: Callable[[str], Any]) -> ReplacementModel:
    """A small replacement model for tests that do not care which."""
    return ReplacementModel(make_bridge("native ln"), random_transcoder(3, 24))
