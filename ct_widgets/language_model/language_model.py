"""A TransformerBridge with its tokenizer: prompts in, frozen runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ct_widgets.errors import ModelError, PromptError, TargetError
from ct_widgets.language_model.frozen_map import FrozenMap, Unembedding, read_frozen_map, read_norm, read_unembedding
from ct_widgets.language_model.frozen_run import FrozenRun, record, relative_error, run_and_keep
from ct_widgets.language_model.hooks import MLP_OUT, NORMED, RESID_MID
from ct_widgets.language_model.live_blocks import LiveModel, read_live_model
from ct_widgets.language_model.locks import model_lock
from ct_widgets.language_model.mlp_weights import MLPWeights, read_mlp_weights
from ct_widgets.language_model.norm import Norm


class LanguageModel:
    """Takes the user's `TransformerBridge` as it is and never changes it: no compatibility mode, no weight processing.

    >>> model = LanguageModel(bridge)
    >>> run = model.frozen_run(model.tokens("calc: 36+59="))
    """

    def __init__(self, bridge: Any) -> None:
        if not hasattr(bridge, "hook_dict") or not hasattr(bridge, "original_model"):
            raise ModelError(
                f"expected a TransformerBridge of TransformerLens >= 4, got {type(bridge).__name__}; "
                "build one with TransformerBridge.boot_transformers(name)"
            )
        self.bridge = bridge
        cfg = bridge.cfg
        self.n_layers = int(cfg.n_layers)
        self.d_model = int(cfg.d_model)
        self.n_ctx = int(cfg.n_ctx)
        self.d_vocab = int(cfg.d_vocab)
        self.name = str(getattr(cfg, "model_name", "") or type(bridge.original_model).__name__)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next(self.module.parameters()).device

    @property
    def module(self) -> nn.Module:
        """The model itself, as it was before TransformerLens wrapped it."""
        return self.bridge.original_model

    @property
    def lock(self) -> threading.RLock:
        """Held by whatever runs the model for a user: hooks belong to no thread. One for all who share a bridge."""
        return model_lock(self.bridge)

    @property
    def tokenizer(self) -> Any:
        """The bridge's tokenizer, or None."""
        return self.bridge.tokenizer

    @cached_property
    def bos_id(self) -> int | None:
        """Token id that the model expects before every text, or None."""
        if self.tokenizer is None:
            return None
        first = int(self.bridge.to_tokens("a", truncate=False)[0, 0])
        return first if first == self.tokenizer.bos_token_id else None

    @property
    def eos_id(self) -> int | None:
        """Token id that ends a text, or None."""
        return None if self.tokenizer is None else self.tokenizer.eos_token_id

    @property
    def special_ids(self) -> list[int]:
        """Token ids that stand for no text, such as BOS."""
        return [] if self.tokenizer is None else self.tokenizer.all_special_ids

    def writes_to_stream(self, hook: str) -> bool:
        """Whether what a transcoder writes at `hook` enters the residual stream in place of the MLP's output."""
        # A norm may stand between the MLP and the residual stream, as in Gemma-2.
        return hook == MLP_OUT or (hook == "mlp.hook_out" and "ln2_post" not in self.bridge.blocks[0].submodules)

    def hook_names(self, hook: str) -> list[str]:
        """Full names of a block's hook point in every layer, as `activations` takes them. -> [l]."""
        return [f"blocks.{layer}.{hook}" for layer in range(self.n_layers)]

    @cached_property
    def final_norm(self) -> Norm:
        """The norm before the unembedding."""
        return read_norm(self.bridge.ln_final)

    def mlp_norm(self, layer: int) -> Norm:
        """Read the norm before a layer's MLP."""
        return read_norm(self.bridge.blocks[layer].ln2)

    @cached_property
    def embeddings(self) -> Tensor:
        """Embeddings of all tokens as they enter the first block, without positions. -> [v, d]."""
        W_E: Tensor = self.bridge.W_E.detach().float()
        hook = "embed.hook_out"
        if hook not in self.bridge.hook_dict:
            return W_E
        # Some families scale them; all tokens alike, so that one token tells.
        probe = torch.zeros(1, 1, dtype=torch.long, device=self.device)
        entering = self.activations(probe, [hook])[hook][0, 0].float()
        return W_E * (entering @ W_E[0] / W_E[0].square().sum())

    def live_model(self) -> LiveModel | None:
        """Read the model's blocks as functions; None for a family that only hooks can change."""
        try:
            return read_live_model(self.bridge, parallel=self.frozen_map.parallel)
        except (ModelError, AttributeError, KeyError, ValueError):
            return None

    @cached_property
    def frozen_map(self) -> FrozenMap:
        """Weights of the frozen linear map, read once. Raises ModelError for an architecture it does not know."""
        return read_frozen_map(self.bridge)

    @cached_property
    def unembedding(self) -> Unembedding:
        """The map from the final norm's output to logits, read once and checked against the model itself.

        Some families scale their logits by a constant, which is measured. Raises ModelError if that does not explain
        the logits.
        """
        unembedding = read_unembedding(self.bridge)
        logits, kept = run_and_keep(self.bridge, torch.zeros(1, 1, dtype=torch.long, device=self.device), [NORMED])
        linear = unembedding(kept[NORMED].float())
        if relative_error(linear, logits) <= self.tolerance:
            return unembedding
        scaled = replace(unembedding, scale=float((linear * logits).sum() / linear.square().sum()))
        if unembedding.soft_cap or relative_error(scaled(kept[NORMED].float()), logits) > self.tolerance:
            raise ModelError(f"{self.name}: its logits are not those of its unembedding; this family cannot be traced")
        return scaled

    @cached_property
    def mlp_weights(self) -> list[MLPWeights]:
        """Weights of every layer's MLP. Raises ModelError for MLPs that are not made of neurons."""
        return read_mlp_weights(self.bridge)

    @property
    def tolerance(self) -> float:
        """Largest relative error that rounding explains: a missing term is far above it."""
        full = next(self.module.parameters()).dtype in (torch.float32, torch.float64)
        return 1e-3 if full else 3e-2

    def explicit_map(self, run: FrozenRun) -> FrozenMap | None:
        """Return the frozen linear map if it reproduces `run`, and so knows the family; None otherwise."""
        try:
            return self.frozen_map if run.disagreement(self.frozen_map) <= self.tolerance else None
        except (ModelError, AttributeError, KeyError, ValueError):
            # A bridge of an unknown family may lack the parts that the map is read from.
            return None

    def tokens(self, prompt: str | Sequence[int] | Tensor) -> Tensor:
        """Token ids [p] of a prompt. Text gets one BOS where the model expects one; ids are taken as they are.

        Raises PromptError for an empty prompt, one longer than the context, and unknown tokens or ids.
        """
        if isinstance(prompt, str):
            ids = self._tokenize(prompt)
        else:
            ids = torch.as_tensor(prompt).detach().to(torch.long).flatten()
        if not len(ids):
            raise PromptError("the prompt is empty; give at least one token")
        if len(ids) > self.n_ctx:
            raise PromptError(f"the prompt has {len(ids)} tokens, {self.name} reads at most {self.n_ctx}; shorten it")
        outside = ids[(ids < 0) | (ids >= self.d_vocab)]
        if len(outside):
            raise PromptError(f"token id {int(outside[0])} does not exist; {self.name} has ids 0 to {self.d_vocab - 1}")
        return ids.to(self.device)

    def _tokenize(self, prompt: str) -> Tensor:
        tokenizer = self.tokenizer
        if tokenizer is None:
            raise PromptError(f"{self.name} has no tokenizer; pass token ids, or give the bridge a tokenizer")
        if not prompt.strip():
            raise PromptError("the prompt is empty; write at least one word")
        ids: Tensor = self.bridge.to_tokens(prompt, truncate=False)[0].cpu()
        bos, unknown = tokenizer.bos_token_id, tokenizer.unk_token_id
        if bos is not None and len(ids) > 1 and ids[0] == bos and ids[1] == bos:
            ids = ids[1:]  # the text already spelled its BOS
        if unknown is not None and unknown != bos and bool((ids == unknown).any()):
            raise PromptError(
                f"{self._unknown_pieces(prompt, unknown)} not in the vocabulary of {self.name}; reword the prompt"
            )
        if not len(ids) or (len(ids) == 1 and ids[0] == bos):
            raise PromptError(f"no part of {prompt!r} is in the vocabulary of {self.name}; reword the prompt")
        return ids

    def _unknown_pieces(self, prompt: str, unknown: int) -> str:
        """The pieces of the text behind unknown tokens, quoted."""
        encoded = self.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        spans = [span for span, i in zip(encoded["offset_mapping"], encoded["input_ids"], strict=True) if i == unknown]
        pieces = list(dict.fromkeys(repr(prompt[a:b]) for a, b in spans))
        return f"{', '.join(pieces)} {'is' if len(pieces) == 1 else 'are'}" if pieces else "part of the prompt is"

    def single_token(self, text: str) -> int:
        """Return the id of a text that is one token, leading space included; raises TargetError otherwise."""
        tokenizer = self.tokenizer
        if tokenizer is None:
            raise TargetError(f"{self.name} has no tokenizer; name the target {text!r} by its token id")
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return ids[0]
        if len(ids) <= 1:
            raise TargetError(f"{text!r} is not in the vocabulary of {self.name}")
        spaced: list[int] = tokenizer.encode(f" {text}", add_special_tokens=False)
        hint = f"did you mean {f' {text}'!r}?" if len(spaced) == 1 else "name one token, or a token id"
        raise TargetError(f"{text!r} is {len(ids)} tokens of {self.name}: {self.str_tokens(ids)}; {hint}")

    def str_tokens(self, ids: Iterable[int] | Tensor) -> list[str]:
        """Printed form of each token id, e.g. for labels below a graph. Ids without text print as `<id>`."""
        tokenizer = self.tokenizer
        values: list[int] = ids.tolist() if isinstance(ids, Tensor) else [int(i) for i in ids]
        if tokenizer is None:
            return [f"<{i}>" for i in values]
        return [str(tokenizer.decode([i])) or f"<{i}>" for i in values]

    def run(self, tokens: Tensor, hook_names: Iterable[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Run a batch once, nothing frozen. tokens: [b, p] -> logits [b, p, v], activations by full hook name."""
        return run_and_keep(self.bridge, tokens, hook_names)

    def logits(self, tokens: Tensor) -> Tensor:
        """Compute next-token logits of a batch, nothing frozen. tokens: [b, p] -> [b, p, v]."""
        return run_and_keep(self.bridge, tokens, ())[0]

    def activations(self, tokens: Tensor, hook_names: Iterable[str]) -> dict[str, Tensor]:
        """Read activations at full hook names (see `hook_names`) of a batch. tokens: [b, p] -> each [b, p, ...]."""
        return run_and_keep(self.bridge, tokens, hook_names)[1]

    def frozen_run(self, tokens: Tensor, input_hook: str = RESID_MID, *, only_last_logits: bool = False) -> FrozenRun:
        """Run a prompt [p], or several [n, p], once and keep what attribution freezes.

        input_hook: where the transcoder reads; only_last_logits: logits of the last position alone.
        """
        return record(self.bridge, tokens, input_hook, only_last_logits=only_last_logits)
