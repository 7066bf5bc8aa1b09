"""Interventions on one prompt, one or many at once.

Axes: n intervention, l layer, p position, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ct_widgets.errors import InterventionError
from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.forward import Stream, run_blocks, run_hooked
from ct_widgets.interventions.intervention import Changes, Intervention, resolve
from ct_widgets.interventions.plan import Plan, make_plan
from ct_widgets.interventions.result import InterventionResult, InterventionResults
from ct_widgets.interventions.writers import make_writer
from ct_widgets.language_model import LanguageModel
from ct_widgets.transcoders import Transcoder

Layers = tuple[int, int] | range | None


def intervene(
    model: LanguageModel,
    transcoder: Transcoder,
    prompt: str | Sequence[int] | Tensor,
    interventions: Sequence[Intervention] | Mapping[str, Sequence[Intervention]],
    *,
    method: str = "constrained",
    layers: Layers = None,
    freeze_attention: bool | None = None,
    freeze_norms: bool | None = None,
) -> InterventionResult | InterventionResults:
    """See `ReplacementModel.intervene`."""
    with model.lock, torch.no_grad():
        base = Baseline(model, transcoder, model.tokens(prompt))
        named = interventions if isinstance(interventions, Mapping) else {"": interventions}
        changes = {name: resolve(one, transcoder, base.n_positions) for name, one in named.items()}
        plans = {
            name: make_plan(method, layers, freeze_attention, freeze_norms, change.layers, base.n_layers)
            for name, change in changes.items()
        }
        for name, change in changes.items():
            check_range(plans[name], change, transcoder)
        results: dict[str, InterventionResult] = {}
        for plan in dict.fromkeys(plans.values()):
            names = [name for name in named if plans[name] == plan]
            results |= zip(names, run(base, plan, [changes[name] for name in names]), strict=True)
    if isinstance(interventions, Mapping):
        return InterventionResults({name: results[name] for name in named})
    return results[""]


def check_range(plan: Plan, change: Changes, transcoder: Transcoder) -> None:
    """Raise InterventionError for a change that writes to no layer of the plan's range."""
    for layer in change.layers:
        written = transcoder.output_layers(layer) if layer in change.sets else range(0)
        if not any(map(plan.covers, written)) and not (plan.covers(layer) and layer in change.pushes):
            first, last = plan.layers
            raise InterventionError(
                f"what is changed in layer {layer} writes to no layer from {first} to {last}; "
                f"start the range at {layer}"
            )


def run(base: Baseline, plan: Plan, changes: Sequence[Changes]) -> list[InterventionResult]:
    """Several changes by one plan in one pass; a change of nothing gives the baseline itself."""
    busy = [one for one in changes if one.layers]
    inputs, logits = _pass(base, plan, busy) if busy else (iter(()), iter(()))
    unchanged = (base.run.mlp_input, base.run.logits)
    moved = iter(zip(inputs, logits, strict=True))
    results: list[InterventionResult] = []
    for one in changes:
        x, y = next(moved) if one.layers else unchanged
        results.append(InterventionResult(base, one, plan, y, x))
    return results


def _pass(base: Baseline, plan: Plan, changes: Sequence[Changes]) -> tuple[Tensor, Tensor]:
    """-> what transcoders read [n, l, p, d] and logits [n, p, v]."""
    n = len(changes)
    live = base.live if plan.freeze_attention else None
    if live is None:
        stream, logits = run_hooked(base, plan, make_writer(base, plan, changes), n)
        return _whole(base, stream, n), logits
    layer, start = min(one.layers[0] for one in changes), min(one.first_position for one in changes)
    writer = make_writer(base, plan, changes, start)
    stream = run_blocks(base, live, plan, writer, n, layer=layer, start=start)
    logits = base.run.logits.repeat(n, 1, 1)
    logits[:, start:] = base.model.unembedding(stream.normed)
    return _whole(base, stream, n), logits


def _whole(base: Baseline, stream: Stream, n: int) -> Tensor:
    inputs = base.run.mlp_input.repeat(n, 1, 1, 1)
    for layer, x in stream.inputs.items():
        inputs[:, layer, stream.start :] = x
    return inputs
