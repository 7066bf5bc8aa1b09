"""TrainingWidget over a real run: what it shows, how it steers, and what it keeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

import ct_widgets as ct
from ct_widgets.errors import TrainingError, WidgetError
from ct_widgets.training import Callback, Step, TrainingConfig, train_transcoder
from ct_widgets.widgets.training_state import MOST_POINTS, Curve

TEXTS = [f"calc: {a}+{b}={a + b}" for a in range(20, 60) for b in range(10, 50, 2) if a + b < 100]
CONFIG = TrainingConfig(features=64, steps=24, batch_size=128, buffer=1024, held_out=256, evaluate_every=8)


@pytest.fixture(scope="module")
def model() -> ct.ReplacementModel:
    return ct.load_demo()


class At(Callback):
    """Does something after a step."""

    def __init__(self, number: int, what: object) -> None:
        self.number, self.what = number, what

    def stepped(self, number: int, step: Step) -> None:
        if number == self.number:
            self.what()  # pyright: ignore


def test_a_curve_keeps_its_mean_and_its_length() -> None:
    curve = Curve()
    values = [float(i % 7) for i in range(5000)]
    for i, value in enumerate(values):
        curve.add(i, value)
    curve.add(5000, float("nan"))
    points = curve.points()
    assert len(points) <= MOST_POINTS
    assert points[-1][0] == 4999
    assert [tokens for tokens, _ in points] == sorted(tokens for tokens, _ in points)
    assert abs(sum(v for _, v in points) / len(points) - sum(values) / len(values)) < 0.05


def test_few_values_stay_as_they_are() -> None:
    curve = Curve()
    for i in range(10):
        curve.add(i, 2.0**i)
    assert curve.points() == [[i, 2.0**i] for i in range(10)]


def test_a_run_from_start_to_end(model: ct.ReplacementModel) -> None:
    view = ct.TrainingWidget()
    assert view.status == "waiting"
    training = train_transcoder(model, TEXTS, CONFIG, callbacks=[view], progress=False)
    state = view.get_state()
    assert view.status == "finished"
    assert state["_run"]["tokens"] == state["_run"]["total"] == CONFIG.steps * CONFIG.batch_size
    lines = state["_curves"]
    steps = [CONFIG.batch_size * (i + 1) for i in range(CONFIG.steps)]
    assert [tokens for tokens, _ in lines["loss"]] == steps
    assert lines["loss"] == [[n, pytest.approx(s.loss, rel=1e-4)] for n, s in zip(steps, training.history, strict=True)]
    assert [tokens for tokens, _ in lines["held out, overall"]] == [steps[i] for i in (7, 15, 23)]
    assert lines["same top-1 as model"][-1][1] == pytest.approx(training.evaluations[-1].top1_agreement, rel=1e-4)
    *layers, everything = state["_run"]["layers"]
    assert [row[0] for row in layers] == ["0", "1", "2", "3"]
    assert everything[2] == pytest.approx(sum(row[2] for row in layers), rel=1e-3)
    names = [card["feature"] for card in state["_cards"]]
    assert [name.split("/")[0] for name in names] == ["L0", "L2", "L3"]
    top = state["_cards"][0]["sections"][0]["examples"]
    assert top, "the card has examples from held-out text"


def test_cards_tell_the_truth(model: ct.ReplacementModel) -> None:
    """The maximum on a card is the largest activation of that feature on the held-out tokens."""
    view = ct.TrainingWidget()
    training = train_transcoder(model, TEXTS, CONFIG, callbacks=[view], progress=False)
    held_out = TEXTS[: len(TEXTS) // 10]
    for card in view.get_state()["_cards"]:
        layer, index = map(int, card["feature"].removeprefix("L").split("/"))
        best = 0.0
        for text in held_out:
            run = model.language_model.frozen_run(model.language_model.tokens(text), CONFIG.input_hook)
            best = max(best, float(training.transcoder.encode(layer, run.mlp_input[layer])[1:, index].max()))
            if card["maximum"] == pytest.approx(best, rel=1e-4):
                break
        assert card["maximum"] == pytest.approx(best, rel=1e-4)


def test_pause_resume_and_stop(model: ct.ReplacementModel) -> None:
    view = ct.TrainingWidget()
    seen: list[str] = []

    def hold() -> None:
        view.command = "pause"
        seen.append(view.status)
        threading.Timer(0.3, lambda: setattr(view, "command", "resume")).start()

    def end() -> None:
        seen.append(view.status)
        view.command = "stop"

    training = train_transcoder(model, TEXTS, CONFIG, callbacks=[view, At(5, hold), At(9, end)], progress=False)
    assert seen == ["paused", "running"]
    assert len(training.history) == 9
    assert not training.finished
    assert view.status == "stopped"
    assert view.command == ""


def test_a_failure_is_shown(model: ct.ReplacementModel) -> None:
    view = ct.TrainingWidget()

    def break_off() -> None:
        raise TrainingError("the weights diverged")

    with pytest.raises(TrainingError, match="diverged"):
        train_transcoder(model, TEXTS, CONFIG, callbacks=[view, At(3, break_off)], progress=False)
    assert view.status == "failed"
    assert "diverged" in view.get_state()["_run"]["message"]


def test_the_picture_is_svg_at_every_stage(model: ct.ReplacementModel) -> None:
    view = ct.TrainingWidget()

    def pictures() -> Iterator[str]:
        yield view._repr_mimebundle_()[0]["image/svg+xml"]  # pyright: ignore
        train_transcoder(model, TEXTS, CONFIG, callbacks=[view], progress=False, name="<b>& mine")
        yield view._repr_mimebundle_()[0]["image/svg+xml"]  # pyright: ignore

    before, after = (ElementTree.fromstring(picture) for picture in pictures())
    assert len(after.findall(".//{*}path")) > len(before.findall(".//{*}path"))
    assert any("<b>& mine" in (text.text or "") for text in after.iter("{http://www.w3.org/2000/svg}text"))


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(WidgetError, match="command"):
        ct.TrainingWidget().command = "faster"
