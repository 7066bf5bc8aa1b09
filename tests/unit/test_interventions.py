"""Interventions against naive implementations with hooks, on every family, and against the graph's direct edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FAMILIES, UNKNOWN, random_transcoder
from torch import Tensor

from ct_widgets import Intervention
from ct_widgets.errors import InterventionError
from ct_widgets.interventions import Method
from ct_widgets.replacement_model import ReplacementModel

TOKENS = [3, 17, 5, 41, 5, 29, 58]
KNOWN = ("native ln", "native rms", *FAMILIES)
NORM = {"feature_input_hook": "mlp.hook_in", "kind": "plt", "skip": True}
MIDDLE = {"feature_input_hook": "hook_resid_mid"}
PRE = {"feature_input_hook": "hook_resid_pre", "activation": "topk", "k": 3}
CASES = [(family, NORM) for family in (*KNOWN, *UNKNOWN)]
CASES += [(family, read) for family in KNOWN for read in (MIDDLE, PRE) if family != "pythia"]
Make = Callable[[str], Any]


def model_of(make_bridge: Make, family: str, read: dict[str, Any]) -> ReplacementModel:
    return ReplacementModel(make_bridge(family), random_transcoder(3, 24, **read))


def hooks_of(model: ReplacementModel) -> list[Any]:
    points = model.language_model.bridge.hook_dict.values()
    return [hook for point in points for hook in (*point.fwd_hooks, *point.bwd_hooks)]


def some_change(model: ReplacementModel, layer: int = 0, scale: float = -1.5) -> Intervention:
    """Of the most active feature of a layer after BOS."""
    base = model.intervene(TOKENS, [])
    active = base.activations_before[layer][1:]
    position, feature = divmod(int(active.argmax()), active.shape[1])
    assert active[position, feature] > 0
    return Intervention(layer, position + 1, feature, scale=scale)


class Naive:
    """One full forward pass with hooks that say what each MLP writes; nothing shared with the package."""

    def __init__(self, model: ReplacementModel) -> None:
        self.bridge, self.t = model.language_model.bridge, model.transcoder
        self.L = self.t.n_layers
        self.plain: dict[str, Tensor] = {}
        self.logits = self.forward([(name, self.keeper(self.plain, name)) for name in self.names()])

    def names(self) -> list[str]:
        inside = [self.t.feature_input_hook, "hook_mlp_out", "attn.hook_pattern"]
        return [f"blocks.{layer}.{name}" for layer in range(self.L) for name in inside]

    @staticmethod
    def keeper(into: dict[str, Tensor], name: str) -> Any:
        def keep(x: Tensor, hook: Any) -> None:
            into[name] = x.detach().clone()

        return keep

    def forward(self, hooks: list[Any]) -> Tensor:
        with torch.no_grad(), self.bridge.hooks(fwd_hooks=hooks):
            return self.bridge(torch.tensor([TOKENS]), return_type="logits")[0]

    def at(self, layer: int, name: str) -> Tensor:
        return self.plain[f"blocks.{layer}.{name}"][0]

    def acts(self, layer: int) -> Tensor:
        return self.t.encode(layer, self.at(layer, self.t.feature_input_hook))

    def skip_change(self, layer: int, x: Tensor) -> Tensor:
        return self.t.skip(layer, x - self.at(layer, self.t.feature_input_hook))

    def decoded(self, layer: int, delta: Tensor, into: dict[int, Tensor], first: int, last: int) -> None:
        """Add delta [p, f] times the whole decoder."""
        for m, target in enumerate(self.t.output_layers(layer)):
            if first <= target <= last:
                into[target] = into.get(target, 0) + delta @ self.t.W_dec[layer][:, m]

    def run(self, write: Callable[[int, Tensor, Tensor], Tensor], *, frozen: bool) -> tuple[Tensor, list[Tensor]]:
        """write(layer, what the transcoder reads, the live MLP output) -> the output. -> logits, activations."""
        seen: dict[str, Tensor] = {}
        hooks: list[Any] = []
        for layer in range(self.L):
            read = f"blocks.{layer}.{self.t.feature_input_hook}"
            hooks.append((read, self.keeper(seen, read)))

            def out(x: Tensor, hook: Any, layer: int = layer, read: str = read) -> Tensor:
                return write(layer, seen[read][0], x[0])[None]

            hooks.append((f"blocks.{layer}.hook_mlp_out", out))
            if frozen:
                pattern = self.plain[f"blocks.{layer}.attn.hook_pattern"]
                hooks.append((f"blocks.{layer}.attn.hook_pattern", lambda x, hook, pattern=pattern: pattern))
        logits = self.forward(hooks)
        inputs = [seen[f"blocks.{layer}.{self.t.feature_input_hook}"][0] for layer in range(self.L)]
        return logits, [self.t.encode(layer, x) for layer, x in enumerate(inputs)]

    def constrained(self, change: Intervention, first: int, last: int, *, frozen: bool = True) -> Any:
        acts = self.acts(change.layer)
        delta = torch.zeros_like(acts)
        old = acts[change.position, change.feature]
        delta[change.position, change.feature] = change.scale * old - old
        extra: dict[int, Tensor] = {}
        self.decoded(change.layer, delta, extra, first, last)

        def write(layer: int, read: Tensor, live: Tensor) -> Tensor:
            if not first <= layer <= last:
                return live
            return self.at(layer, "hook_mlp_out") + extra.get(layer, 0) + self.skip_change(layer, read)

        return self.run(write, frozen=frozen)

    def iterative(self, change: Intervention, first: int, last: int) -> Any:
        extra: dict[int, Tensor] = {}

        def write(layer: int, read: Tensor, live: Tensor) -> Tensor:
            if not first <= layer <= last:
                return live
            now = self.t.encode(layer, read)
            if layer == change.layer:
                now[change.position, change.feature] = change.scale * self.acts(layer)[change.position, change.feature]
            self.decoded(layer, now - self.acts(layer), extra, first, last)
            return self.at(layer, "hook_mlp_out") + extra.get(layer, 0) + self.skip_change(layer, read)

        return self.run(write, frozen=True)

    def steered(self, change: Intervention, *, frozen: bool) -> Any:
        extra: dict[int, Tensor] = {}

        def write(layer: int, read: Tensor, live: Tensor) -> Tensor:
            if layer == change.layer:
                delta = torch.zeros_like(self.acts(layer))
                old = self.acts(layer)[change.position, change.feature]
                now = self.t.encode(layer, read)[change.position, change.feature]
                delta[change.position, change.feature] = change.scale * old - now
                self.decoded(layer, delta, extra, 0, self.L - 1)
            return live + extra.get(layer, 0)

        return self.run(write, frozen=frozen)


def agree(result: Any, expected: tuple[Tensor, list[Tensor]], change: Intervention, tolerance: float = 1e-5) -> None:
    logits, activations = expected
    assert (result.logits - result.logits_before).abs().max() > 1e-3  # something happened
    assert (result.logits - logits).abs().max() <= tolerance * logits.abs().max()
    for layer, theirs in enumerate(activations):
        ours = result.activations[layer].clone()
        if layer == change.layer:
            ours[change.position, change.feature] = theirs[change.position, change.feature]
        # A threshold may fall between two roundings of one pre-activation; nothing else may differ.
        assert (ours - theirs).abs().max() <= tolerance * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize(("family", "read"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_constrained_patching_equals_the_naive_one(make_bridge: Make, family: str, read: dict[str, Any]) -> None:
    model = model_of(make_bridge, family, read)
    naive = Naive(model)
    assert torch.equal(naive.logits, model.intervene(TOKENS, []).logits)
    for layer, ranges in ((0, [(0, 0), (0, 1)]), (1, [(1, 1), (1, 2)])):
        change = some_change(model, layer)
        for layers in ranges:
            result = model.intervene(TOKENS, [change], layers=layers)
            agree(result, naive.constrained(change, *layers), change)
            live = model.intervene(TOKENS, [change], layers=layers, freeze_attention=False)
            agree(live, naive.constrained(change, *layers, frozen=False), change)
    assert not hooks_of(model)


@pytest.mark.parametrize("read", [NORM, MIDDLE], ids=["skip", "clt"])
@pytest.mark.parametrize("family", ["native ln", "gemma2", "llama"])
def test_iterative_patching_and_steering_equal_the_naive_ones(
    make_bridge: Make, family: str, read: dict[str, Any]
) -> None:
    model = model_of(make_bridge, family, read)
    naive, change = Naive(model), some_change(model)
    for layers in ((0, 1), (0, 2)):
        result = model.intervene(TOKENS, [change], method="iterative", layers=layers)
        agree(result, naive.iterative(change, *layers), change)
    for frozen in (False, True):
        result = model.intervene(TOKENS, [change], method="open", freeze_attention=frozen)
        agree(result, naive.steered(change, frozen=frozen), change)


@pytest.mark.parametrize("family", [*KNOWN, *UNKNOWN])
@pytest.mark.parametrize("method", ["constrained", "iterative", "open"])
def test_scale_one_is_the_baseline(make_bridge: Make, family: str, method: Method) -> None:
    model = model_of(make_bridge, family, NORM)
    result = model.intervene(TOKENS, [some_change(model, scale=1.0)], method=method)
    assert (result.logits - result.logits_before).abs().max() <= 1e-6 * result.logits_before.abs().max()
    for before, after in zip(result.activations_before, result.activations, strict=True):
        assert (after - before).abs().max() <= 3e-6 * before.abs().max()
    assert torch.equal(model.intervene(TOKENS, [], method=method).logits, result.logits_before)


@pytest.mark.parametrize("family", KNOWN)
def test_a_one_layer_range_confirms_direct_edges(make_bridge: Make, family: str) -> None:
    """With norms held as the graph holds them, the change of a pre-activation is (M - 1) A[t, s], one layer up."""
    read = MIDDLE if family != "pythia" else NORM
    model = model_of(make_bridge, family, read)
    graph = model.attribute(TOKENS)
    edges = graph.edges
    scale, checked = -2.0, 0
    for layer in (0, 1):
        change = some_change(model, layer, scale)
        source = graph.row(("feature", layer, change.position, change.feature))
        result = model.intervene(TOKENS, [change], layers=(layer, layer), freeze_norms=True)
        before, after = (
            [model.transcoder.preactivation(at, x) for at, x in enumerate(inputs)]
            for inputs in (result.baseline.run.mlp_input, result.inputs)
        )
        for target, weight in edges[edges.source == source][["target", "weight"]].itertuples(index=False):
            node = graph.node_ids[int(target)]
            if node.kind == "feature" and node.layer == layer + 1:
                moved = (after[node.layer] - before[node.layer])[node.position, node.index]
                assert float(moved) == pytest.approx((scale - 1) * weight, rel=1e-4, abs=1e-5)
                checked += 1
        rows = result.nodes.query("layer > @layer")
        assert set(rows[rows.layer == layer + 1].effect) <= {"direct"}
        assert set(rows[rows.layer > layer + 1].effect) <= {"knock-on"}
    assert checked > 5


@pytest.mark.parametrize("family", KNOWN)
def test_a_range_of_all_layers_confirms_every_edge(make_bridge: Make, family: str) -> None:
    model = model_of(make_bridge, family, NORM)
    graph = model.attribute(TOKENS)
    edges, scale = graph.edges, 3.0
    change = some_change(model, 0, scale)
    source = graph.row(("feature", 0, change.position, change.feature))
    result = model.intervene(TOKENS, [change], layers=(0, 2))
    assert result.plan.freeze_norms
    unembedding = model.language_model.unembedding
    run = result.baseline.run
    checked = 0
    for target, weight in edges[edges.source == source][["target", "weight"]].itertuples(index=False):
        node = graph.node_ids[int(target)]
        if node.kind == "feature":
            now, was = (
                model.transcoder.preactivation(node.layer, x[node.layer])[node.position, node.index]
                for x in (result.inputs, run.mlp_input)
            )
        else:
            cap = unembedding.soft_cap
            raw = [torch.atanh(x[-1] / cap) * cap if cap else x[-1] for x in (result.logits, run.logits)]
            now, was = (logits[node.index] - logits.mean() for logits in raw)
        assert float(now - was) == pytest.approx((scale - 1) * weight, rel=1e-4, abs=1e-4)
        checked += 1
    assert checked > 5


def test_many_interventions_at_once_equal_one_at_a_time(tiny_model: ReplacementModel) -> None:
    named = {
        "low": [some_change(tiny_model, 0)],
        "high": [some_change(tiny_model, 2, 0.0)],
        "both": [some_change(tiny_model, 0, 2.0), some_change(tiny_model, 1, -1.0)],
        "nothing": [],
    }
    for settings in ({"layers": (0, 2)}, {"method": "iterative"}, {"method": "open"}, {}):
        together = tiny_model.intervene(TOKENS, named, **settings)
        assert list(together) == list(named)
        for name, changes in named.items():
            alone = tiny_model.intervene(TOKENS, changes, **settings)
            torch.testing.assert_close(together[name].logits, alone.logits, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(together[name].inputs, alone.inputs, rtol=1e-5, atol=1e-5)
    table = tiny_model.intervene(TOKENS, named).nodes
    assert list(table.columns[:3]) == ["intervention", "layer", "position"]
    assert set(table.intervention) == set(named)


def test_tables_say_what_happened(tiny_model: ReplacementModel) -> None:
    change = some_change(tiny_model, 1, 0.0)
    result = tiny_model.intervene(TOKENS, [change])
    nodes = result.nodes
    own = nodes.query("layer == 1 and position == @change.position and feature == @change.feature").iloc[0]
    assert (own.effect, own.after, own.fraction) == ("set", 0.0, 0.0)
    before = torch.stack(result.activations_before)
    assert len(nodes) == int(((before != 0) | (torch.stack(result.activations) != 0)).sum())
    np.testing.assert_allclose(nodes.fraction, np.where(nodes.before == 0, np.nan, nodes.after / nodes.before))
    outputs = result.outputs(5)
    assert (outputs.after.diff().dropna() <= 0).all()
    assert outputs.rank_after.iloc[0] == 1
    moved = (result.logits[-1] - result.logits_before[-1]) - (result.logits[-1] - result.logits_before[-1]).mean()
    np.testing.assert_allclose(outputs.logit_change, moved[outputs.id.tolist()], atol=1e-5)


def test_values_positions_and_directions(tiny_model: ReplacementModel) -> None:
    base = tiny_model.intervene(TOKENS, [])
    own = base.activations_before[0][2, 5]
    by_value = tiny_model.intervene(TOKENS, [Intervention(0, -5, 5, value=float(own) + 2.0)])
    row = tiny_model.transcoder.W_dec[0][5, 0]
    by_direction = tiny_model.intervene(TOKENS, [Intervention(0, 2, direction=row, value=2.0)])
    torch.testing.assert_close(by_value.logits, by_direction.logits)
    everywhere = tiny_model.intervene(TOKENS, [Intervention(0, None, 5, value=1.0)])
    assert (everywhere.activations[0][1:, 5] == 1.0).all()
    assert everywhere.activations[0][0, 5] == base.activations_before[0][0, 5]
    several = tiny_model.intervene(TOKENS, [Intervention(0, range(1, len(TOKENS)), 5, value=1.0)])
    assert torch.equal(everywhere.logits, several.logits)
    assert torch.equal(by_value.logits[:2], base.logits[:2])  # nothing before the change moves


def test_features_of_another_prompt_are_injected(tiny_model: ReplacementModel) -> None:
    other = tiny_model.attribute([3, 9, 9, 50, 2])
    rows = np.flatnonzero(other.is_kind("feature") & (other.position == 2))[:3]
    nodes = [other.node_ids[row] for row in rows]
    changes = Intervention.inject(other, nodes, 2.0, position=4)
    result = tiny_model.intervene(TOKENS, changes)
    for node, row in zip(nodes, rows, strict=True):
        assert float(result.activations[node.layer][4, node.index]) == pytest.approx(2.0 * other.activation[row])


def test_supernodes_change_as_one(tiny_model: ReplacementModel) -> None:
    graph = tiny_model.attribute(TOKENS)
    nodes = [node for node in graph.node_ids if node.kind == "feature"][:4]
    group = graph.annotated(supernodes=[("mine", nodes)]).supernodes[0]
    each = [Intervention(node.layer, node.position, node.index, scale=-1) for node in nodes]
    together = tiny_model.intervene(TOKENS, Intervention.each(group, scale=-1))
    assert torch.equal(together.logits, tiny_model.intervene(TOKENS, each).logits)
    with pytest.raises(InterventionError, match="is not a feature"):
        Intervention.each(graph.node_ids[:1], scale=0)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (Intervention(7, 1, 0, scale=0), {}, "layer 7 does not exist; there are layers 0 to 2"),
        (Intervention(0, 1, 99, scale=0), {}, "L0/99 does not exist; the layer has features 0 to 13"),
        (Intervention(0, 9, 0, scale=0), {}, "position 9 does not exist; the prompt has 7 tokens"),
        (Intervention(0, [1, 1], 0, scale=0), {}, "changed twice"),
        (Intervention(0, 1, direction=[1.0, 2.0]), {}, r"a direction has shape \(24,\), not \(2,\)"),
        (Intervention(0, 1, 0, scale=0), {"method": "hard"}, "method is 'hard'"),
        (Intervention(0, 1, 0, scale=0), {"layers": (2, 1)}, "is not a range"),
        (Intervention(2, 1, 0, scale=0), {"layers": (0, 1)}, "end below layer 2"),
        (Intervention(0, 1, direction=[0.0] * 24), {"layers": (1, 2)}, "writes to no layer from 1 to 2"),
        (Intervention(0, 1, 0, scale=0), {"method": "open", "layers": (0, 1)}, "has no layer range"),
    ],
)
def test_errors_say_what_to_do(
    tiny_model: ReplacementModel, change: Intervention, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InterventionError, match=message):
        tiny_model.intervene(TOKENS, [change], **settings)


@pytest.mark.parametrize(
    "settings",
    [{"feature": 1}, {"feature": 1, "scale": 1, "value": 1}, {"scale": 1}, {"direction": [1.0], "scale": 2}],
)
def test_interventions_that_say_too_little_or_too_much(settings: dict[str, Any]) -> None:
    with pytest.raises(InterventionError):
        Intervention(0, 1, **settings)


def test_nothing_stays_behind_after_an_interrupt(make_bridge: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(make_bridge, "gpt2", NORM)
    change = some_change(model)
    plain = model.language_model.logits(torch.tensor([TOKENS]))
    before = {name: value.clone() for name, value in model.language_model.bridge.original_model.state_dict().items()}
    calls = 0

    def interrupt(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(model.language_model.bridge.blocks[1].mlp.original_component), "forward", interrupt)
        for settings in ({}, {"freeze_attention": False}, {"method": "open"}):
            with pytest.raises(KeyboardInterrupt):
                model.intervene(TOKENS, [change], **settings)
            assert not hooks_of(model)
    assert calls == 3
    assert torch.equal(model.language_model.logits(torch.tensor([TOKENS])), plain)
    after = model.language_model.bridge.original_model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
