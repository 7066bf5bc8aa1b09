"""Operand activations of a model: the prompts of all pairs in batches, and what every layer's features do.

Axes: n prompt, l layer, p position, f feature, c active cell, d model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.arithmetic.numbers import NUMBERS, TEMPLATE, prompt_tokens
from ct_widgets.arithmetic.operands import OperandActivations, columns
from ct_widgets.errors import PromptError
from ct_widgets.interventions import Baseline, Intervention, Method, activations_at, resolve_and_plan
from ct_widgets.language_model.frozen_map import full_precision
from ct_widgets.language_model.prefixes import shared_prefixes
from ct_widgets.progress import Progress, progress_bar
from ct_widgets.transcoded_model import TranscodedModel

_BATCH = 1000
"""Prompts that are run together."""

_FEWEST = 1000
"""From so many prompts on, prefixes are shared."""

Int64 = npt.NDArray[np.int64]
Activations = list[Tensor]
"""Of one batch, at one position: L x [n, f]."""


def operand_activations(
    model: TranscodedModel,
    template: str = TEMPLATE,
    a: Iterable[int] = NUMBERS,
    b: Iterable[int] = NUMBERS,
    position: int = -1,
    *,
    interventions: Sequence[Intervention] = (),
    method: Method = "constrained",
    layers: tuple[int, int] | range | None = None,
    progress: bool | None = None,
) -> OperandActivations:
    """Run all pairs of operands in a template; see `ReplacementModel.operand_activations`."""
    a, b = tuple(map(int, a)), tuple(map(int, b))
    tokens = prompt_tokens(model.language_model, template, a, b)
    n, length = tokens.shape
    if not -length <= position < length:
        raise PromptError(f"position {position} does not exist; prompts of {template!r} have {length} tokens")
    at = position % length
    t = model.transcoder
    n_features = tuple(t.n_features(layer) for layer in range(t.n_layers))

    def value(cells: _Cells, before: OperandActivations | None) -> OperandActivations:
        printed = tuple(model.language_model.str_tokens(tokens[0]))
        return OperandActivations(template, a, b, position, printed, n_features, **cells.columns(), before=before)

    with (
        model.language_model.lock,
        torch.no_grad(),
        progress_bar("operands", n, unit="prompt", show=progress) as bar,
    ):
        if not interventions:
            return value(_collect(tokens, _reader(model, tokens, at), n_features, bar)[0], None)
        change, plan = resolve_and_plan(interventions, t, length, method, layers=layers)

        def changed(batch: Int64) -> tuple[Activations, Activations]:
            base = Baseline(model, torch.from_numpy(batch).to(model.language_model.device))
            return activations_at(base, plan, change, at)

        after, before = _collect(tokens, changed, n_features, bar)
        return value(after, value(before, None))


def _reader(model: TranscodedModel, tokens: Int64, at: int) -> Callable[[Int64], tuple[Activations]]:
    """Read activations at one position of prompts [n, p]; what follows that position has no part in them."""
    t, language_model = model.transcoder, model.language_model
    upto = slice(0, at + 1)
    hooks = language_model.hook_names(t.feature_input_hook)
    shared = None
    if len(tokens) >= _FEWEST:
        shared = shared_prefixes(language_model, tokens[:, upto], t.feature_input_hook)

    def read(batch: Int64) -> tuple[Activations]:
        if shared is not None:
            inputs = shared.inputs(batch[:, upto])
        else:
            kept = language_model.activations(torch.from_numpy(batch).to(language_model.device), hooks)
            inputs = [full_precision(kept[hook][:, at]) for hook in hooks]
        return ([t.encode(layer, x) for layer, x in enumerate(inputs)],)

    return read


class _Cells(NamedTuple):
    """Active cells as they come, in parts: number of the feature through all layers, pair, and value, each [c]."""

    n_features: tuple[int, ...]
    parts: list[tuple[Int64, Int64, npt.NDArray[np.float32]]]

    def add(self, activations: Activations, begin: int) -> None:
        """Note what is active in a batch whose first prompt has the number `begin`."""
        first = 0
        for layer, active in enumerate(activations):
            prompt, feature = active.nonzero(as_tuple=True)
            value = active[prompt, feature].float()
            self.parts.append(((feature + first).cpu().numpy(), (prompt + begin).cpu().numpy(), value.cpu().numpy()))
            first += self.n_features[layer]

    def columns(self) -> dict[str, Any]:
        """The columns of OperandActivations."""
        feature, cell, value = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        order = np.lexsort((cell, feature))
        return columns(feature[order], cell[order], value[order], self.n_features)


def _collect(
    tokens: Int64, read: Callable[[Int64], tuple[Activations, ...]], n_features: tuple[int, ...], bar: Progress
) -> list[_Cells]:
    """Cells of all that `read` gives for batches of prompts."""
    found: list[_Cells] = []
    for begin in range(0, len(tokens), _BATCH):
        batch = tokens[begin : begin + _BATCH]
        for i, activations in enumerate(read(batch)):
            if i == len(found):
                found.append(_Cells(n_features, []))
            found[i].add(activations, begin)
        bar.advance(len(batch))
    return found
