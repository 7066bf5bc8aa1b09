"""One prompt held ready for perturbation: a drag of a slider is one short run of the layers that change.

The newest request wins: a request that waits while a newer one comes is dropped, and one that runs stops at its next
layer. Axes: n request, b group, c feature of a group, l layer, p position, d model, v vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ct_widgets.errors import InterventionError
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.forward import Stream, run_blocks, run_hooked
from ct_widgets.interventions.gil import expect_requests, short_switch_interval
from ct_widgets.interventions.intervention import Changes, Intervention, Sets, resolve
from ct_widgets.interventions.plan import InterventionPlan, make_plan
from ct_widgets.interventions.prediction import Prediction, predict
from ct_widgets.interventions.result import outputs_table
from ct_widgets.interventions.settings import PerturbationSettings as Settings
from ct_widgets.interventions.writers import Clamped, Writer, direct_writes, make_writer
from ct_widgets.language_model import LanguageModel
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders.activation import activate

if TYPE_CHECKING:
    import pandas as pd

Strengths = Mapping[str, float]
"""Steering factor of each group: what its activations are multiplied by."""


@dataclass(frozen=True, eq=False)
class Perturbed:
    """The model under one setting of the steering factors, at the last position.

    activity: the sum of a group's activations as a fraction of what it was; logits: [v].
    """

    strengths: Strengths
    plan: InterventionPlan
    activity: Mapping[str, float]
    logits: Tensor = field(repr=False)
    logits_before: Tensor = field(repr=False)
    model: LanguageModel = field(repr=False)

    def outputs(self, k: int = 10) -> pd.DataFrame:
        """Table the top next tokens, as `InterventionResult.outputs` does."""
        return outputs_table(self.model, self.logits_before, self.logits, k)

    def probabilities(self, tokens: Sequence[str]) -> list[float]:
        """Return the probability of each token; TargetError for one that the model does not have."""
        return self.logits.double().softmax(-1)[[self.model.single_token(token) for token in tokens]].tolist()

    def answer(self, k: int = 8) -> dict[str, Any]:
        """Return all that a view shows of this, as JSON."""
        before, after = self.logits_before.double(), self.logits.double()
        ids = list(dict.fromkeys([*before.topk(min(k, len(before))).indices.tolist(), int(after.argmax())]))
        ids += [i for i in after.topk(min(k, len(after))).indices.tolist() if i not in ids]
        columns = (
            ids,
            self.model.str_tokens(ids),
            *(p.softmax(-1)[ids].tolist() for p in (before, after)),
            *((p[None] > p[ids][:, None]).sum(-1).tolist() for p in (before, after)),
        )
        return {
            "strengths": dict(self.strengths),
            "layers": list(self.plan.layers),
            "method": self.plan.method,
            "frozen_attention": self.plan.freeze_attention,
            "activity": {name: value if math.isfinite(value) else None for name, value in self.activity.items()},
            "outputs": [list(row) for row in zip(*columns, strict=True)],
        }


class _Watched(NamedTuple):
    """Features of one layer whose activation is followed: encoder rows [c, d], biases, thresholds and places [c]."""

    group: Tensor
    position: Tensor
    feature: Tensor
    W_enc: Tensor
    b_enc: Tensor
    threshold: Tensor | None


class _StaleError(Exception):
    """A newer request came."""


class PerturbationSession:
    """Runs one prompt again and again with groups of features at other steering factors.

    groups: names and features that are changed as one; no feature may be in two of them.

    >>> session = model.perturbation(graph, {"sum": graph.supernodes[0].members})
    >>> session.run({"sum": -1.0}).activity
    """

    def __init__(
        self,
        model: TranscodedModel,
        graph: AttributionGraph,
        groups: Mapping[str, Sequence[NodeId]],
    ) -> None:
        self.graph = graph
        self.groups = {name: tuple(node for node in nodes if node.kind == "feature") for name, nodes in groups.items()}
        self._lock = model.language_model.lock
        self._tickets = count()
        self._newest = -1
        ids = graph.token_ids.tolist()
        with self._lock, torch.no_grad():
            tokens = model.language_model.tokens(graph.prompt if min(ids, default=-1) < 0 else ids)
            self.base = Baseline(model, tokens)
            self._changes = {name: self._resolve(nodes) for name, nodes in self.groups.items() if nodes}
            self._check_overlap()
            self._watched = self._watch()
            self._activity_before = self._activity(dict(enumerate(self.base.run.mlp_input)), 0, 1)[0]
        self._units: dict[str, Tensor] = {}

    def _resolve(self, nodes: Sequence[NodeId]) -> Changes:
        return resolve(Intervention.each(nodes, scale=1.0), self.base.transcoder, self.base.n_positions)

    def _check_overlap(self) -> None:
        home: dict[NodeId, str] = {}
        for name, nodes in self.groups.items():
            for node in nodes:
                if node in home:
                    raise InterventionError(
                        f"{node} is in {home[node]!r} and in {name!r}; a feature has one factor, "
                        "so take it out of one of them"
                    )
                home[node] = name

    def plan(self, settings: Settings, named: Iterable[str]) -> InterventionPlan:
        """Plan how `settings` are carried out when these groups are named, at whatever factor."""
        layers = sorted({layer for name in named for layer in self._changes[name].layers})
        last = settings.last_layer
        if settings.method == "open":
            span = None
        elif last is None:
            span = (0, layers[-1] if layers and settings.method == "constrained" else self.base.n_layers - 1)
        else:
            span = (0, max([last, *layers]))
        return make_plan(
            settings.method, layers, self.base.n_layers, layers=span, freeze_attention=settings.freeze_attention
        )

    def run(self, strengths: Strengths, settings: Settings | None = None) -> Perturbed:
        """Run the model with groups at `strengths` times their activations; groups that are not named keep theirs.

        A group that is named with factor 1 changes nothing by itself, but counts for the range of layers.
        """
        with self._lock:
            return self._run([strengths], settings or Settings())[0]

    def update(self, strengths: Strengths, settings: Settings | None = None) -> Perturbed | None:
        """`run` for whoever asks faster than answers come: None where a newer request came meanwhile."""
        ticket = self._newest = next(self._tickets)
        expect_requests()

        def proceed() -> None:
            if self._newest != ticket:
                raise _StaleError

        with self._lock:
            try:
                proceed()
                return self._run([strengths], settings or Settings(), proceed)[0]
            except _StaleError:
                return None

    def curve(
        self, name: str, values: Sequence[float], strengths: Strengths, settings: Settings | None = None
    ) -> list[Perturbed]:
        """`run` for every factor of one group with the others as they are, in one pass."""
        with self._lock:
            return self._run([{**strengths, name: value} for value in values], settings or Settings())

    def predict(self, strengths: Strengths, settings: Settings | None = None) -> Prediction:
        """Predict the change from the graph alone, without a forward pass."""
        moved = self._moved(strengths)
        plan = self.plan(settings or Settings(), strengths)
        scales = {self.graph.row(node): scale for name, scale in moved.items() for node in self.groups[name]}
        return predict(self.graph, scales, clamped_to=plan.layers[1] if plan.method == "constrained" else -1)

    def predicted_activity(self, strengths: Strengths, settings: Settings | None = None) -> dict[str, float]:
        """Predict every group's activity from the graph, as a fraction of what it was; features do not fall below 0."""
        change, moved = self.predict(strengths, settings).total, self._moved(strengths)
        predicted: dict[str, float] = {}
        for name in self._changes:
            rows = [self.graph.row(node) for node in self.groups[name]]
            before = self.graph.activation[rows].astype(float)
            after = (before + change[rows]).clip(min=0).sum()
            predicted[name] = moved.get(name, float(after / before.sum()) if before.any() else math.nan)
        return predicted

    def _moved(self, strengths: Strengths) -> dict[str, float]:
        for name in strengths:
            if name not in self._changes:
                known = ", ".join(map(repr, self._changes)) or "none"
                raise InterventionError(f"there is no group {name!r} with features; there are {known}")
        return {name: float(scale) for name, scale in strengths.items() if scale != 1.0}

    def _run(self, requests: Sequence[Strengths], settings: Settings, proceed: Any = lambda: None) -> list[Perturbed]:
        moved = [self._moved(one) for one in requests]
        plan = self.plan(settings, dict.fromkeys(name for one in requests for name in one))
        names = list(dict.fromkeys(name for one in moved for name in one))
        before = self.base.run.logits[-1]
        with torch.no_grad(), short_switch_interval():
            if names:
                logits, activity = self._pass(moved, names, plan, proceed)
            else:
                logits, activity = before.expand(len(moved), -1), self._activity_before.expand(len(moved), -1)
        return [
            Perturbed(dict(one), plan, self._named(activity[n]) | moved[n], logits[n], before, self.base.language_model)
            for n, one in enumerate(requests)
        ]

    def _named(self, activity: Tensor) -> dict[str, float]:
        fraction = torch.where(self._activity_before == 0, torch.nan, activity / self._activity_before)
        return dict(zip(self._changes, fraction.tolist(), strict=True))

    def _pass(
        self, moved: list[dict[str, float]], names: list[str], plan: InterventionPlan, proceed: Any
    ) -> tuple[Tensor, Tensor]:
        """-> logits of the last position [n, v], activity of every group [n, b]."""
        base, n = self.base, len(moved)
        live = base.live if plan.freeze_attention else None
        start = min(self._changes[name].first_position for name in names) if live else 0
        layer = min(self._changes[name].layers[0] for name in names) if live else 0
        writer = self._writer(moved, names, plan, start)
        if live is None:
            stream, logits = run_hooked(base, plan, writer, n)
            return logits[:, -1], self._activity(stream.inputs, 0, n)
        stream: Stream = run_blocks(base, live, plan, writer, n, layer=layer, start=start, proceed=proceed)
        return base.language_model.unembedding(stream.normed[:, -1]), self._activity(stream.inputs, start, n)

    def _writer(self, moved: list[dict[str, float]], names: list[str], plan: InterventionPlan, start: int) -> Writer:
        if plan.method != "constrained":
            return make_writer(self.base, plan, [self._scaled(one) for one in moved], start)
        # What a group writes is linear in its factor, so the decoder is read once per group.
        units = torch.stack([self._unit(name) for name in names])
        change = units.new_tensor([[one.get(name, 1.0) - 1.0 for name in names] for one in moved])
        writes = torch.tensordot(change, units[:, :, start:], dims=1)
        return Clamped(self.base, plan, writes, start)

    def _unit(self, name: str) -> Tensor:
        """Compute what one more times its activation lets a group write. -> [l, p, d]."""
        if name not in self._units:
            everywhere = InterventionPlan("constrained", (0, self.base.n_layers - 1), True, True)
            twice = _with_factor(self._changes[name], 2.0)
            self._units[name] = direct_writes(self.base, everywhere, [twice])[0]
        return self._units[name]

    def _scaled(self, moved: dict[str, float]) -> Changes:
        sets: dict[int, list[Sets]] = {}
        for name, scale in moved.items():
            for layer, place in _with_factor(self._changes[name], scale).sets.items():
                sets.setdefault(layer, []).append(place)
        return Changes({layer: Sets(*map(torch.cat, zip(*places, strict=True))) for layer, places in sets.items()}, {})

    def _watch(self) -> dict[int, _Watched]:
        watched: dict[int, _Watched] = {}
        t = self.base.transcoder
        for layer in range(self.base.n_layers):
            places = [(b, one.sets[layer]) for b, one in enumerate(self._changes.values()) if layer in one.sets]
            if places:
                position = torch.cat([place.position for _, place in places])
                feature = torch.cat([place.feature for _, place in places])
                group = torch.cat([torch.full_like(place.position, b) for b, place in places])
                W_enc = t.encoder_vectors(layer, feature)
                threshold = None if t.threshold is None else t.threshold[layer][feature].to(W_enc.dtype)
                b_enc = t.b_enc[layer][feature].to(W_enc.dtype)
                watched[layer] = _Watched(group, position, feature, W_enc, b_enc, threshold)
        return watched

    def _activity(self, inputs: Mapping[int, Tensor], start: int, n: int) -> Tensor:
        """Sum the activations of every group. inputs: layer -> [n, p, d] from `start`; others as before. -> [n, b]."""
        base = self.base
        total = base.run.mlp_input.new_zeros(n, len(self._changes))
        for layer, (group, position, feature, W_enc, b_enc, threshold) in self._watched.items():
            own = base.activations(layer)[position, feature].expand(n, -1)
            if layer in inputs:
                x = inputs[layer].view(n, -1, base.transcoder.d_model)
                here = x[:, (position - start).clamp_min(0)]
                if base.transcoder.activation in ("relu", "jumprelu"):  # what a feature is, it is by itself
                    now = activate((here * W_enc).sum(-1) + b_enc, base.transcoder.activation, threshold, None)
                else:
                    now = base.transcoder.encode(layer, here).gather(-1, feature.expand(n, -1)[..., None])[..., 0]
                own = torch.where(position >= start, now, own)
            total.index_add_(1, group, own)
        return total


def _with_factor(change: Changes, factor: float) -> Changes:
    """Set the features of a change to `factor` times their activation."""
    factors = {layer: torch.full_like(place.factor, factor) for layer, place in change.sets.items()}
    return Changes({layer: place._replace(factor=factors[layer]) for layer, place in change.sets.items()}, {})
