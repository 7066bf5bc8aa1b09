"""Sessions: the same numbers as `intervene`, the newest request wins, and nothing stays behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FAMILIES, random_transcoder

from ct_widgets import AttributionGraph, Intervention
from ct_widgets.errors import InterventionError
from ct_widgets.interventions import PerturbationSession, PerturbationSettings, gil, predict
from ct_widgets.replacement_model import ReplacementModel

TOKENS = [3, 17, 5, 41, 5, 29, 58]


@pytest.fixture(scope="module")
def graph(tiny_model: ReplacementModel) -> AttributionGraph:
    return tiny_model.attribute(TOKENS)


def boxes_of(graph: AttributionGraph) -> dict[str, list[Any]]:
    """Two or three features of each layer."""
    found = [node for node in graph.node_ids if node.kind == "feature" and node.position > 2]
    return {f"L{layer}": [node for node in found if node.layer == layer][: 2 + layer % 2] for layer in range(3)}


@pytest.fixture
def session(tiny_model: ReplacementModel, graph: AttributionGraph) -> PerturbationSession:
    return tiny_model.perturbation(graph, boxes_of(graph))


SETTINGS = [
    PerturbationSettings(),
    PerturbationSettings(last_layer=0),
    PerturbationSettings(last_layer=2),
    PerturbationSettings("iterative"),
    PerturbationSettings("iterative", last_layer=1),
    PerturbationSettings("open"),
    PerturbationSettings("constrained", freeze_attention=False),
]


def by_hand(
    model: ReplacementModel, session: PerturbationSession, strengths: dict[str, float], settings: PerturbationSettings
) -> tuple[torch.Tensor, dict[str, float]]:
    changes = [
        one for name, scale in strengths.items() if scale != 1 for one in Intervention.each(session.groups[name], scale)
    ]
    plan = session.plan(settings, strengths)
    layers = None if plan.method == "open" else plan.layers
    result = model.intervene(
        TOKENS, changes, method=plan.method, layers=layers, freeze_attention=settings.freeze_attention
    )
    assert result.plan == plan
    activity = {
        name: sum(float(result.activations[n.layer][n.position, n.index]) for n in nodes)
        / sum(float(result.activations_before[n.layer][n.position, n.index]) for n in nodes)
        for name, nodes in session.groups.items()
    }
    return result.logits[-1], activity


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_session_gives_what_intervene_gives(
    tiny_model: ReplacementModel, session: PerturbationSession, settings: PerturbationSettings
) -> None:
    for strengths in ({"L0": -1.0}, {"L1": 2.0, "L2": 1.0}, {"L0": 0.5, "L1": -2.0, "L2": 0.0}, {}):
        ours = session.run(strengths, settings)
        logits, activity = by_hand(tiny_model, session, strengths, settings)
        torch.testing.assert_close(ours.logits, logits, rtol=1e-5, atol=1e-5)
        assert ours.activity == pytest.approx(activity, rel=1e-4, abs=1e-5)
    assert torch.equal(session.run({"L0": 1.0}, settings).logits, session.base.run.logits[-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_sessions_of_every_family(make_bridge: Callable[[str], Any], family: str) -> None:
    model = ReplacementModel(
        make_bridge(family), random_transcoder(3, 24, feature_input_hook="mlp.hook_in", kind="plt", skip=True)
    )
    graph = model.attribute(TOKENS)
    session = model.perturbation(graph, boxes_of(graph))
    ours = session.run({"L1": -1.0})
    logits, activity = by_hand(model, session, {"L1": -1.0}, PerturbationSettings())
    torch.testing.assert_close(ours.logits, logits, rtol=1e-5, atol=1e-5)
    assert ours.activity == pytest.approx(activity, rel=1e-4, abs=1e-5)


def test_features_of_topk_transcoders_are_followed(make_bridge: Callable[[str], Any]) -> None:
    model = ReplacementModel(make_bridge("gpt2"), random_transcoder(3, 24, activation="topk", k=4))
    graph = model.attribute(TOKENS)
    session = model.perturbation(graph, boxes_of(graph))
    _, activity = by_hand(model, session, {"L0": -1.0}, PerturbationSettings())
    assert session.run({"L0": -1.0}).activity == pytest.approx(activity, rel=1e-4, abs=1e-5)


def test_a_curve_is_many_runs(session: PerturbationSession) -> None:
    values = np.linspace(-2, 2, 9).tolist()
    for settings in SETTINGS:
        curve = session.curve("L1", values, {"L0": 0.5}, settings)
        for value, one in zip(values, curve, strict=True):
            alone = session.run({"L0": 0.5, "L1": value}, settings)
            torch.testing.assert_close(one.logits, alone.logits, rtol=1e-5, atol=1e-5)
            assert one.activity == pytest.approx(alone.activity, rel=1e-4, abs=1e-5)


def test_direct_effects_come_from_the_graph_alone(
    graph: AttributionGraph, session: PerturbationSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a forward pass")

    monkeypatch.setattr(session.base.language_model.module, "forward", forbidden)
    n = graph.n_nodes
    matrix = np.zeros((n, n))
    for target, source, weight in graph.edges[["target", "source", "weight"]].itertuples(index=False):
        matrix[target, source] = weight
    rows = [graph.row(node) for node in session.groups["L0"]]
    prediction = session.predict({"L0": -1.0})
    expected = matrix[:, rows].sum(axis=1) * -2.0
    others = np.setdiff1d(np.arange(n), rows)
    np.testing.assert_allclose(prediction.direct[others], expected[others], atol=1e-5)
    # All paths: the closed form of the linear system, with the set nodes held.
    relative = np.zeros(n)
    relative[rows] = -2.0
    features = graph.is_kind("feature")
    slope = np.where(features, 1 / np.where(features, graph.activation, 1), 0)
    propagate = slope[:, None] * matrix
    propagate[rows] = 0
    reached = np.linalg.solve(np.eye(n) - propagate, relative)
    total = predict(graph, dict.fromkeys(rows, -1.0)).total
    np.testing.assert_allclose(total[others], (matrix @ reached)[others], rtol=1e-4, atol=1e-4)


def test_predicted_activity_is_measured_where_all_is_held(session: PerturbationSession) -> None:
    """A range over all layers holds MLPs, attention and norms, so that every effect is direct."""
    held, strengths = PerturbationSettings(last_layer=2), {"L0": 1.1}
    predicted = session.predicted_activity(strengths, held)
    assert predicted == pytest.approx(session.run(strengths, held).activity, rel=1e-4, abs=1e-5)
    assert predicted["L0"] == 1.1
    assert predicted["L1"] != pytest.approx(1.0, abs=1e-4)
    below = session.predicted_activity({"L0": -50.0, "L1": 50.0}, held)
    assert below["L2"] >= 0


def test_the_last_value_wins_and_stale_work_stops(session: PerturbationSession) -> None:
    answers: dict[int, Any] = {}
    lock = session.base.language_model.lock
    values = np.linspace(-2, 2, 20).tolist()

    def ask(i: int) -> None:
        answers[i] = session.update({"L0": values[i]})

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
    with lock:
        for thread in threads:
            newest = session._newest
            thread.start()
            while session._newest == newest:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert [i for i, answer in answers.items() if answer is not None] == [19]
    torch.testing.assert_close(answers[19].logits, session.run({"L0": values[19]}).logits)


def test_a_run_under_way_stops_at_its_next_layer(session: PerturbationSession, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = session.base.live.blocks
    seen: list[int] = []
    read = type(blocks[0]).read

    def reading(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(next(i for i, block in enumerate(blocks) if block is self))
        if seen[-1] == 1:
            session._newest += 1  # a newer request, while this one is in layer 1
        return read(self, *args, **kwargs)

    monkeypatch.setattr(type(blocks[0]), "read", reading)
    assert session.update({"L0": -1.0}) is None
    assert seen == [0, 1]


def test_200_rapid_changes_leave_the_model_as_it_was(
    tiny_model: ReplacementModel, session: PerturbationSession
) -> None:
    ids = torch.tensor([TOKENS])
    plain = tiny_model.language_model.logits(ids)
    weights = {name: value.clone() for name, value in tiny_model.language_model.bridge.state_dict().items()}
    rng = np.random.default_rng(0)
    failures: list[BaseException] = []

    def drag(settings: PerturbationSettings) -> None:
        try:
            for value in rng.uniform(-2, 2, 50):
                session.update({"L0": float(value), "L2": -float(value)}, settings)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [
        threading.Thread(target=drag, args=(one,)) for one in (SETTINGS[0], SETTINGS[3], SETTINGS[5], SETTINGS[6])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert torch.equal(tiny_model.language_model.logits(ids), plain)
    after = tiny_model.language_model.bridge.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in weights.items())
    points = tiny_model.language_model.bridge.hook_dict.values()
    assert not [hook for point in points for hook in (*point.fwd_hooks, *point.bwd_hooks)]


def test_an_exception_leaves_nothing_behind(session: PerturbationSession, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = gil._interval.waiting
    with monkeypatch.context() as patched:
        patched.setattr(type(session.base.live.blocks[0]), "attention", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            session.update({"L0": -1.0})
    assert gil._interval.waiting == waiting
    assert session.base.language_model.lock.acquire(blocking=False)
    session.base.language_model.lock.release()
    assert session.update({"L0": -1.0}) is not None


def test_a_request_beside_a_cell_begins_a_series(session: PerturbationSession) -> None:
    thread = threading.Thread(target=session.update, args=({"L0": -1.0},))
    thread.start()
    thread.join()
    assert gil._series.thread is not None
    assert gil._series.thread.is_alive()


def test_errors_say_what_to_do(tiny_model: ReplacementModel, graph: AttributionGraph) -> None:
    boxes = boxes_of(graph)
    with pytest.raises(InterventionError, match="is in 'L0' and in 'again'"):
        tiny_model.perturbation(graph, boxes | {"again": boxes["L0"][:1]})
    with pytest.raises(InterventionError, match="no group 'other' with features; there are 'L0', 'L1', 'L2'"):
        tiny_model.perturbation(graph, boxes).run({"other": 0.0})
