"""Three ways to a row (definition, fast path, autograd), closed sums, and second derivatives that are zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from conftest import FAMILIES, UNKNOWN, random_transcoder
from scipy.sparse import csr_array

from ct_widgets.attribution import LocalReplacementModel, replace_mlps
from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.fast import FastRows
from ct_widgets.attribution.frozen_forward import frozen_forward
from ct_widgets.attribution.memory_plan import MemoryPlan
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.reference import AutogradRows
from ct_widgets.attribution.row_computer import RowComputer
from ct_widgets.attribution.rows import Rows, Targets
from ct_widgets.attribution.sweep import sweep
from ct_widgets.attribution.targets import logit_targets
from ct_widgets.language_model import LanguageModel
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoded_model import TranscodedModel

TOKENS = [3, 17, 5, 41, 5, 29, 58]
NATIVE = ("native ln", "native rms")
READS = {
    "mid": {"feature_input_hook": "hook_resid_mid"},
    "after the norm, with a skip": {"feature_input_hook": "mlp.hook_in", "kind": "plt", "skip": True},
    "before the block": {"feature_input_hook": "hook_resid_pre", "activation": "topk", "k": 3},
    "before the norm's weight, ReLU": {"feature_input_hook": "ln2.hook_normalized", "activation": "relu", "skip": True},
}


# A parallel block has no middle of its residual stream.
CASES = [(family, read) for family in (*NATIVE, *FAMILIES) for read in READS if (family, read) != ("pythia", "mid")]


class Case(NamedTuple):
    model: TranscodedModel

    @property
    def language_model(self) -> LanguageModel:
        return self.model.language_model

    def replaced(self, *, ignore_bos: bool = True) -> tuple[LocalReplacementModel, FeatureWrites]:
        return replace_mlps(self.model, torch.tensor(TOKENS), ignore_bos=ignore_bos)

    def local(self, *, ignore_bos: bool = True) -> LocalReplacementModel:
        return self.replaced(ignore_bos=ignore_bos)[0]


def make_case(make_bridge: Callable[[str], Any], family: str, read: str) -> Case:
    return Case(TranscodedModel(make_bridge(family), random_transcoder(3, 24, **READS[read])))


@pytest.fixture(scope="module", params=CASES, ids=" / ".join)
def case(request: pytest.FixtureRequest, make_bridge: Callable[[str], Any]) -> Case:
    """Every family with every place that a transcoder may read."""
    return make_case(make_bridge, *request.param)


@pytest.fixture(params=[*NATIVE, *FAMILIES])
def of_family(request: pytest.FixtureRequest, make_bridge: Callable[[str], Any]) -> Case:
    """Every family once."""
    return make_case(make_bridge, request.param, "after the norm, with a skip")


def relative(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value - expected).abs().max() / expected.abs().max())


def test_local_replacement_model_reproduces_the_logits(case: Case, ignore_bos: bool) -> None:
    local = case.local(ignore_bos=ignore_bos)
    assert len(local.features) > 20
    logits = case.language_model.logits(local.run.tokens[None])[0]
    assert float((local.logits() - logits).abs().max()) < 1e-4
    torch.testing.assert_close(local.run.logits, logits[-1:])  # all that attribution asks the model for


class SweepRows(RowComputer):
    """All rows by the definition."""

    def __init__(self, targets: Targets, writes: FeatureWrites, plan: MemoryPlan) -> None:
        super().__init__(targets, plan)
        self._writes = writes

    def _rows_of(self, numbers: Ints) -> Rows:
        return sweep(self._local, self._writes, self._targets.block(numbers))


class Computed(NamedTuple):
    rows: np.ndarray
    influence: np.ndarray


def compute(case: Case, ignore_bos: bool, way: str, plan: MemoryPlan) -> Computed:
    """All rows of the prompt in one way, and the influence that they give every node."""
    local, writes = case.replaced(ignore_bos=ignore_bos)
    targets = Targets(local, logit_targets(local))
    if way == "autograd":
        computer: RowComputer = AutogradRows(targets, writes)
    else:
        computer = {"sweep": SweepRows, "fast": FastRows}[way](targets, writes, plan)
    done = np.concatenate(list(computer.all_rows()))
    assert computer.has_logits
    assert sorted(done.tolist()) == list(range(len(local.features)))
    share = np.zeros(computer.store.n)
    share[targets.nodes.logit] = targets.logits.probability.numpy()
    influence = computer.store.influence(share)
    indptr, source, weight = computer.store.take(np.ones(computer.store.n, dtype=bool))
    return Computed(csr_array((weight, source, indptr), shape=(computer.store.n,) * 2).toarray(), influence)


@pytest.fixture(scope="module", params=[True, False], ids=["without BOS", "with BOS"])
def ignore_bos(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def oracles(case: Case, ignore_bos: bool) -> dict[str, Computed]:
    plan = MemoryPlan(None, 2**22)
    return {way: compute(case, ignore_bos, way, plan) for way in ("autograd", "sweep")}


def assert_same_rows(found: Computed, expected: Computed) -> None:
    np.testing.assert_allclose(found.influence, expected.influence, rtol=1e-3, atol=1e-5)
    largest = np.abs(expected.rows).max(axis=1)
    error = np.abs(found.rows - expected.rows)
    assert error.max() < 1e-5 * largest.max()
    assert (error.max(axis=1) <= 1e-5 * largest).all()


def test_rows_by_definition_equal_autograd(oracles: dict[str, Computed]) -> None:
    assert_same_rows(oracles["sweep"], oracles["autograd"])


@pytest.mark.parametrize(
    "plan",
    [*(MemoryPlan(cut, 2**22) for cut in (None, 0, 1, 2)), MemoryPlan(None, 2**12, True, torch.device("cpu"))],
    ids=["no cut layer", "cut layer 0", "cut layer 1", "cut layer 2", "padded, in blocks"],
)
def test_fast_rows_equal_both_oracles_wherever_sources_and_targets_meet(
    case: Case, ignore_bos: bool, oracles: dict[str, Computed], plan: MemoryPlan
) -> None:
    found = compute(case, ignore_bos, "fast", plan)
    assert_same_rows(found, oracles["autograd"])
    assert_same_rows(found, oracles["sweep"])


def test_logit_rows_explain_the_centred_logits(of_family: Case) -> None:
    """The direction read at the final norm's output is the gradient of logit - mean(logits), before any soft-cap."""
    local = of_family.local()
    targets = logit_targets(local)
    unembedding = replace(of_family.language_model.unembedding, soft_cap=0.0)
    normed = local.run.normed_final[-1].clone().requires_grad_()
    logits = unembedding(normed)
    for k, token in enumerate(targets.index):
        value = logits[token] - logits.mean()
        assert float(targets.value[k]) == pytest.approx(float(value.detach()), rel=1e-4, abs=1e-5)
        (gradient,) = torch.autograd.grad(value, normed, retain_graph=True)
        assert relative(targets.direction[k], gradient) < 1e-5


@pytest.mark.parametrize("family", UNKNOWN)
def test_unknown_families_run_by_autograd_with_a_notice(make_bridge: Callable[[str], Any], family: str) -> None:
    case = make_case(make_bridge, family, "after the norm, with a skip")
    local = case.local()
    assert local.explicit_map is None
    assert float((local.logits() - case.language_model.logits(local.run.tokens[None])[0]).abs().max()) < 1e-4
    model = ReplacementModel(case.language_model, case.model.transcoder)
    with pytest.warns(UserWarning, match="its rows come from autograd"):
        graph = model.attribute(TOKENS)
    assert graph.provenance["by_autograd"] is True
    n = graph.n_nodes
    total = csr_array((graph.weight, graph.source, graph.indptr), shape=(n, n)).sum(axis=1)
    closes = np.isfinite(graph.preactivation)
    assert np.abs((graph.preactivation - graph.bias - total)[closes]).max() < 1e-4
    assert (graph.kind == 1).sum() > 20
    with pytest.warns(UserWarning, match="its rows come from autograd"):
        few = model.attribute(TOKENS, max_feature_nodes=10)
    assert (few.kind == 1).sum() == 10


def test_rows_and_biases_sum_to_preactivations(case: Case, ignore_bos: bool) -> None:
    model = ReplacementModel(case.language_model, case.model.transcoder)
    graph = model.attribute(TOKENS, ignore_bos=ignore_bos)
    n = len(graph.kind)
    total = csr_array((graph.weight, graph.source, graph.indptr), shape=(n, n)).sum(axis=1)
    closes = np.isfinite(graph.preactivation)
    kinds = np.asarray(graph.kind)
    assert (closes == ((kinds == 1) | (kinds == 3))).all()
    residual = (graph.preactivation - graph.bias - total)[closes]
    assert np.abs(residual).max() < 1e-4 * np.abs(graph.preactivation[closes]).max()
    assert (graph.source < np.repeat(np.arange(n), np.diff(graph.indptr))).all()
    at_bos = (np.asarray(graph.position) == 0) & ((kinds == 1) | (kinds == 2))
    assert at_bos.any() != ignore_bos


def test_second_derivatives_are_zero(of_family: Case) -> None:
    """Gradients do not depend on where they are taken: with the hooks frozen, the model is linear in its leaves."""
    local = of_family.local()
    run = local.run
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(run.embedding.shape, generator=generator)
    gradients: list[tuple[torch.Tensor, ...]] = []
    for scale in (1.0, -2.0):
        noise = torch.randn(run.mlp_out.shape, generator=generator)
        forward = frozen_forward(of_family.model, run, scale * run.embedding + noise[0], scale * run.mlp_out + noise)
        value = ((forward.inputs[-1] + forward.normed) * probe).sum()
        gradients.append(torch.autograd.grad(value, (forward.embedding, forward.mlp_write)))
    for first, second in zip(*gradients, strict=True):
        assert first.abs().max() > 0
        assert relative(second, first) < 1e-5


def test_no_hook_stays_behind_even_after_an_interrupt(of_family: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = of_family.language_model.bridge

    def hooks() -> list[Any]:
        return [hook for point in bridge.hook_dict.values() for hook in (*point.fwd_hooks, *point.bwd_hooks)]

    def interrupt(*args: Any, **settings: Any) -> None:
        assert hooks()
        raise KeyboardInterrupt

    of_family.local()
    assert not hooks()
    monkeypatch.setattr(bridge.original_model, "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        of_family.local()
    assert not hooks()
