"""`attribute` as a user meets it: targets, budgets, several prompts, interrupts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import GOLDEN, NATIVE, random_transcoder
from scipy.sparse import csr_array

from ct_widgets.attribution import attribute, replace_mlps
from ct_widgets.attribution.memory_plan import choose_cut, target_blocks
from ct_widgets.attribution.tuning import CPU
from ct_widgets.errors import GraphError, PromptError, TargetError
from ct_widgets.graph import AttributionGraph
from ct_widgets.language_model import native_bridge
from ct_widgets.progress import Progress
from ct_widgets.replacement_model import ReplacementModel

TOKENS = [3, 17, 5, 41, 5, 29, 58]


def matrix(graph: AttributionGraph) -> np.ndarray:
    n = graph.n_nodes
    return csr_array((graph.weight, graph.source, graph.indptr), shape=(n, n)).toarray()


def features(graph: AttributionGraph) -> set[Any]:
    return {node for node in graph.node_ids if node.kind == "feature"}


@pytest.fixture(scope="module")
def full(tiny_model: ReplacementModel) -> AttributionGraph:
    return tiny_model.attribute(TOKENS)


def test_a_prompt_gives_the_same_graph_again(tiny_model: ReplacementModel, full: AttributionGraph) -> None:
    again = tiny_model.attribute(torch.tensor(TOKENS))
    np.testing.assert_array_equal(again.weight, full.weight)
    np.testing.assert_array_equal(again.source, full.source)


def test_what_the_model_keeps_can_still_be_differentiated(tiny_model: ReplacementModel) -> None:
    tiny_model.attribute(TOKENS)
    tiny_model.attribute(TOKENS, max_feature_nodes=3)
    model, transcoder = tiny_model.language_model, tiny_model.transcoder
    kept = [w for layer in model.frozen_map.attention for w in (layer.W_V, layer.W_O, layer.value_rows)]
    kept += [model.unembedding.W_U, model.unembedding.mean, *transcoder.W_enc, *transcoder.b_dec]
    assert not any(weights.is_inference() for weights in kept)
    assert not torch.is_inference_mode_enabled()


def test_memory_and_threads_change_nothing(tiny_model: ReplacementModel, full: AttributionGraph) -> None:
    threads = torch.get_num_threads()
    try:
        for n, memory in ((1, 5 * 2**20), (2, 2**40)):
            torch.set_num_threads(n)
            other = matrix(tiny_model.attribute(TOKENS, max_memory=memory))
            assert np.abs(other - matrix(full)).max() < 1e-5 * np.abs(full.weight).max()
    finally:
        torch.set_num_threads(threads)


# Three targets of the whole prompt at once, at most.
SMALL_BLOCKS = replace(CPU, smallest_block=1, largest_block=3 * len(TOKENS) * 24)


@pytest.mark.parametrize("max_memory", [4 * 2**30, 5 * 2**20])
def test_small_blocks_give_the_same_rows(
    tiny_model: ReplacementModel, full: AttributionGraph, max_memory: float
) -> None:
    other = matrix(attribute(tiny_model, TOKENS, max_memory=max_memory, tuning=SMALL_BLOCKS))
    assert np.abs(other - matrix(full)).max() < 1e-5 * np.abs(full.weight).max()


def test_small_blocks_give_the_same_rows_of_the_most_influential(tiny_model: ReplacementModel) -> None:
    some = attribute(tiny_model, TOKENS, max_feature_nodes=40, tuning=SMALL_BLOCKS)
    again = tiny_model.attribute(TOKENS, max_feature_nodes=40)
    assert some.node_ids == again.node_ids
    assert np.abs(matrix(some) - matrix(again)).max() < 1e-5 * np.abs(again.weight).max()


def test_logit_targets_by_default_reach_the_share(full: AttributionGraph, tiny_model: ReplacementModel) -> None:
    probability = tiny_model.language_model.logits(torch.tensor([TOKENS]))[0, -1].softmax(-1).sort(descending=True)
    n = int((full.kind == 3).sum())
    assert full.index[full.kind == 3].tolist() == probability.indices[:n].tolist()
    assert n == 10 or float(probability.values[: n - 1].sum()) < 0.95 <= float(probability.values[:n].sum())


def test_named_targets_differences_and_directions(tiny_model: ReplacementModel, full: AttributionGraph) -> None:
    model = tiny_model.language_model
    a, b = full.index[full.kind == 3][:2].tolist()
    direction = model.unembedding.W_U[:, a] - model.unembedding.W_U[:, b]
    graph = tiny_model.attribute(TOKENS, targets=[b, (a, b), direction])
    logits = np.flatnonzero(graph.kind == 3)
    assert [graph.node_token[row] for row in logits] == ["direction 2", f"<{a}> − <{b}>", f"<{b}>"]
    assert graph.index[logits].tolist() == [model.d_vocab + 2, model.d_vocab + 1, b]
    rows, full_rows = matrix(graph)[logits], matrix(full)
    row_of = dict(zip(full.node_ids, full_rows, strict=True))
    row_a, row_b = (row_of["logit", 3, len(TOKENS) - 1, i] for i in (a, b))
    n = graph.n_nodes - 3
    np.testing.assert_allclose(rows[2, :n], row_b[:n], atol=1e-5)
    np.testing.assert_allclose(rows[1, :n], (row_a - row_b)[:n], atol=1e-5)
    np.testing.assert_allclose(rows[0, :n], rows[1, :n], atol=1e-5)
    values = model.logits(torch.tensor([TOKENS]))[0, -1]
    assert graph.preactivation[logits[1]] == pytest.approx(float(values[a] - values[b]), rel=1e-4)
    residual = graph.preactivation[logits] - graph.bias[logits] - rows.sum(1)
    assert np.abs(residual).max() < 1e-4


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "give a list of tokens"),
        ("95", "give a list of tokens"),
        ([60], "target 60 is not a token id; .* has ids 0 to 59"),
        ([3, 3], "names a token twice"),
        ([(1, 2, 3)], "a difference is a pair"),
        ([torch.zeros(7)], r"has shape \(7,\); expected \[24\]"),
        (["word"], "has no tokenizer"),
    ],
)
def test_targets_that_do_not_exist_are_refused(tiny_model: ReplacementModel, targets: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        tiny_model.attribute(TOKENS, targets=targets)


def test_a_budget_of_no_features_is_refused(tiny_model: ReplacementModel) -> None:
    with pytest.raises(GraphError, match="max_feature_nodes is 0; give at least 1"):
        tiny_model.attribute(TOKENS, max_feature_nodes=0)


def test_the_rows_of_a_prompt_of_one_token_close(tiny_model: ReplacementModel) -> None:
    graph = tiny_model.attribute([7])
    assert features(graph) == set()  # only position 0, which has no features
    logits = graph.kind == 3
    residual = graph.preactivation - graph.bias - matrix(graph).sum(1)
    assert np.abs(residual[logits]).max() < 1e-4
    assert features(tiny_model.attribute([7], ignore_bos=False))
    with pytest.raises(PromptError, match="the prompt is empty"):
        tiny_model.attribute([])


def test_rows_close_without_active_features(tiny_model: ReplacementModel) -> None:
    silent = random_transcoder(3, 24, threshold=[torch.full((14,), 1e6)] * 3)
    graph = ReplacementModel(tiny_model.language_model.bridge, silent).attribute(TOKENS)
    assert features(graph) == set()
    logits = graph.kind == 3
    assert np.abs((graph.preactivation - graph.bias - matrix(graph).sum(1))[logits]).max() < 1e-4


@pytest.mark.parametrize("budget", [5, 30, 60])
def test_adaptive_rows_are_rows_of_the_full_graph(
    tiny_model: ReplacementModel, full: AttributionGraph, budget: int
) -> None:
    graph = tiny_model.attribute(TOKENS, max_feature_nodes=budget)
    kept = features(graph)
    assert len(kept) == budget < len(features(full))
    place = np.array([full.row(node) for node in graph.node_ids])
    expected = matrix(full)[np.ix_(place, place)]
    np.testing.assert_allclose(matrix(graph), expected, atol=1e-5 * np.abs(expected).max())
    # Rows know what the whole row was, so shares are not inflated by what was left out.
    np.testing.assert_allclose(graph.row_total, full.row_total[place], rtol=1e-4, atol=1e-6)


def test_adaptive_mode_finds_what_pruning_the_full_graph_keeps() -> None:
    for seed in range(4):
        bridge = native_bridge(NATIVE | {"seed": seed, "normalization_type": "LN"})
        model = ReplacementModel(bridge, random_transcoder(3, 24, 24, seed=seed))
        full = model.attribute(TOKENS)
        by_influence = sorted(zip(full.influence, full.node_ids, strict=True), reverse=True)
        best = [node for _, node in by_influence if node.kind == "feature"]
        budget = len(best) * 2 // 3
        adaptive = model.attribute(TOKENS, max_feature_nodes=budget)
        assert len(set(best[:budget]) & features(adaptive)) >= 0.9 * budget
        for threshold in (0.5, 0.6, 0.8):
            pruned = features(full.prune(threshold))
            assert 0 < len(pruned) < budget / 3
            assert features(adaptive.prune(threshold)) == pruned
            # Hardly more rows than the pruned graph has are enough to find its features.
            few = max(map(best.index, pruned)) * 6 // 5 + 2
            assert pruned <= features(model.attribute(TOKENS, max_feature_nodes=few))


def test_several_prompts_give_a_graph_each() -> None:
    model = ReplacementModel.from_pretrained(GOLDEN / "gpt2-clt" / "model", GOLDEN / "gpt2-clt" / "transcoder")
    prompts = ["t1 t2 t3", "t4 t5"]
    graphs = model.attribute(prompts)
    assert [graph.prompt for graph in graphs] == prompts
    np.testing.assert_array_equal(graphs[1].weight, model.attribute(prompts[1]).weight)


class Interrupting(Progress):
    """A bar during which someone presses Ctrl-C, after some blocks of rows."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = blocks

    def advance(self, n: int = 1) -> None:
        if self.blocks == 0:
            raise KeyboardInterrupt
        self.blocks -= 1


# Calls that cost nothing make sources meet targets at a layer above the lowest.
HIGH_CUT = replace(CPU, block_call=0)


def test_interrupt_gives_control_back_or_the_graph_so_far(tiny_model: ReplacementModel, full: AttributionGraph) -> None:
    with pytest.raises(KeyboardInterrupt):
        attribute(tiny_model, TOKENS, max_feature_nodes=60, progress=Interrupting(2))
    partial: dict[str, Any] = {"max_feature_nodes": 60, "on_interrupt": "partial", "tuning": SMALL_BLOCKS}
    graph = attribute(tiny_model, TOKENS, progress=Interrupting(2), **partial)
    assert graph.provenance["partial"] is True
    assert 0 < len(features(graph)) < 60
    place = np.array([full.row(node) for node in graph.node_ids])
    np.testing.assert_allclose(matrix(graph), matrix(full)[np.ix_(place, place)], atol=1e-5)


def test_interrupt_before_the_rows_of_the_logits_leaves_nothing_to_give_back(tiny_model: ReplacementModel) -> None:
    with pytest.raises(KeyboardInterrupt):
        attribute(tiny_model, TOKENS, on_interrupt="partial", progress=Interrupting(0), tuning=HIGH_CUT)


def test_cut_layer_follows_cost_and_memory(tiny_model: ReplacementModel) -> None:
    local, _ = replace_mlps(tiny_model, torch.tensor(TOKENS))
    assert not choose_cut(local, 0)
    assert choose_cut(local, 2**40) == 0  # so small that the calls for streams cost more than they save
    assert choose_cut(local, 2**40, HIGH_CUT)


def test_blocks_hold_every_target_within_memory_and_padding() -> None:
    position = np.repeat(np.arange(40), 30)
    parts = target_blocks(position, d=768, largest=2**22, padding=2**8)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(len(position)))
    for part in parts:
        width = int(position[part].max()) + 1
        assert (part.stop - part.start) * width * 768 <= 2**22
        assert (width - 1 - position[part]).sum() <= 2**8
    assert target_blocks(position[:0], d=768, largest=2**22, padding=2**8) == []


def test_what_no_budget_can_hold_is_refused_before_it_is_made(tiny_model: ReplacementModel) -> None:
    with pytest.raises(GraphError, match=r"active features of this prompt write take .* more than max_memory"):
        tiny_model.attribute(TOKENS, max_memory=1000)
    with pytest.raises(GraphError, match=r"the rows of 20 features of this prompt take .*; raise max_memory"):
        tiny_model.attribute(TOKENS, max_feature_nodes=20, max_memory=2**20)
