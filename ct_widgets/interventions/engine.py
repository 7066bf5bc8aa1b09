"""Interventions on one prompt, one or many at once, and one intervention on many prompts.

Axes: n intervention or prompt, l layer, p position, f feature, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import torch
from torch import Tensor

from ct_widgets.errors import InterventionError
from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.forward import Stream, run_blocks, run_hooked
from ct_widgets.interventions.intervention import Changes, Intervention, resolve
from ct_widgets.interventions.plan import InterventionPlan, Method, PlanSettings, make_plan
from ct_widgets.interventions.result import InterventionResult, InterventionResults
from ct_widgets.interventions.writers import make_writer
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder


def intervene(
    model: TranscodedModel,
    prompt: str | Sequence[int] | Tensor,
    interventions: Sequence[Intervention] | Mapping[str, Sequence[Intervention]],
    *,
    method: Method = "constrained",
    **settings: Unpack[PlanSettings],
) -> InterventionResult | InterventionResults:
    """Change features of a prompt and run the model on; see `ReplacementModel.intervene`."""
    with model.language_model.lock, torch.no_grad():
        base = Baseline(model, model.language_model.tokens(prompt))
        named = interventions if isinstance(interventions, Mapping) else {"": interventions}
        planned = {
            name: resolve_and_plan(one, model.transcoder, base.n_positions, method, **settings)
            for name, one in named.items()
        }
        results: dict[str, InterventionResult] = {}
        for plan in dict.fromkeys(plan for _, plan in planned.values()):
            changes = {name: change for name, (change, its_plan) in planned.items() if its_plan == plan}
            results |= zip(changes, run(base, plan, list(changes.values())), strict=True)
    if isinstance(interventions, Mapping):
        return InterventionResults({name: results[name] for name in named})
    return results[""]


def resolve_and_plan(
    interventions: Sequence[Intervention],
    transcoder: Transcoder,
    n_positions: int,
    method: Method,
    **settings: Unpack[PlanSettings],
) -> tuple[Changes, InterventionPlan]:
    """Check interventions on prompts of `n_positions` tokens and say how they are carried out.

    Raises InterventionError for what the transcoder lacks, and for a change that writes to no layer of the range.
    """
    change = resolve(interventions, transcoder, n_positions)
    plan = make_plan(method, change.layers, transcoder.n_layers, **settings)
    for layer in change.layers:
        written = transcoder.output_layers(layer) if layer in change.sets else range(0)
        if not any(map(plan.covers, written)) and not (plan.covers(layer) and layer in change.added):
            first, last = plan.layers
            raise InterventionError(
                f"what is changed in layer {layer} writes to no layer from {first} to {last}; "
                f"start the range at {layer}"
            )
    return change, plan


def run(base: Baseline, plan: InterventionPlan, changes: Sequence[Changes]) -> list[InterventionResult]:
    """Run several changes of one prompt by one plan in one pass; a change of nothing gives the baseline itself."""
    busy = [one for one in changes if one.layers]
    inputs, logits = _pass(base, plan, busy) if busy else (iter(()), iter(()))
    unchanged = (base.run.mlp_input, base.run.logits)
    moved = iter(zip(inputs, logits, strict=True))
    results: list[InterventionResult] = []
    for one in changes:
        x, y = next(moved) if one.layers else unchanged
        results.append(InterventionResult(base, one, plan, y, x))
    return results


def activations_at(
    base: Baseline, plan: InterventionPlan, change: Changes, position: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Encode what features are at one position of many prompts, under a change and without it. -> L x [n, f] each.

    Features that the change sets have the value they were set to.
    """
    before = [base.transcoder.encode(layer, x[:, position]) for layer, x in enumerate(base.run.mlp_input)]
    after = list(before)
    stream = _run(base, plan, [change])[0] if change.layers else Stream({}, base.run.normed_final, 0)
    if position >= stream.start:
        for layer, x in stream.inputs.items():
            after[layer] = base.transcoder.encode(layer, x[:, position - stream.start])
    for layer, place in change.sets.items():
        here = place.position == position
        feature, factor, offset = place.feature[here], place.factor[here], place.offset[here]
        after[layer] = after[layer].clone()
        after[layer][:, feature] = factor * before[layer][:, feature] + offset
    return after, before


def _run(base: Baseline, plan: InterventionPlan, changes: Sequence[Changes]) -> tuple[Stream, Tensor | None]:
    """-> the stream, and logits [n, p, v] where the whole model ran."""
    n = base.n_rows(changes)
    live = base.live if plan.freeze_attention else None
    if live is None:
        return run_hooked(base, plan, make_writer(base, plan, changes), n)
    layer, start = min(one.layers[0] for one in changes), min(one.first_position for one in changes)
    writer = make_writer(base, plan, changes, start)
    return run_blocks(base, live, plan, writer, n, layer=layer, start=start), None


def _pass(base: Baseline, plan: InterventionPlan, changes: Sequence[Changes]) -> tuple[Tensor, Tensor]:
    """-> what transcoders read [n, l, p, d] and logits [n, p, v], of one prompt."""
    stream, logits = _run(base, plan, changes)
    inputs = base.run.mlp_input.repeat(len(changes), 1, 1, 1)
    for layer, x in stream.inputs.items():
        inputs[:, layer, stream.start :] = x
    if logits is None:
        logits = base.run.logits.repeat(len(changes), 1, 1)
        logits[:, stream.start :] = base.language_model.unembedding(stream.normed)
    return inputs, logits
