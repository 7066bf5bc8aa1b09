"""Labels by a language model, against a stub server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import features_samples as samples
import pytest
from endpoint_stub import Stub, running_stub
from features_samples import gather

from ct_widgets.errors import FeatureError
from ct_widgets.features import Features, FeatureStore, Labeller


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as server:
        yield server


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return Features(samples.model("clt"), gather(tmp_path / "store", "clt"))


def test_prompt_and_answer_stay_with_the_label(stub: Stub, features: Features) -> None:
    labels = Labeller(stub.url, "judge", key="secret").label(features, ["L1/3", (2, 4)])
    assert list(labels) == ["L1/3", "L2/4"]
    ((path, headers, body), _) = stub.asked
    assert (path, headers["Authorization"], body["model"]) == ("/v1/chat/completions", "Bearer secret", "judge")
    prompt = body["messages"][0]["content"]
    record = features[1, 3].record
    assert record is not None
    for example in record.top:
        assert f"<<{features.vocabulary.text(int(example.tokens[example.peak]))}>>" in prompt
    assert "(10)" in prompt
    assert features[1, 3].promoted()["token"][0] in prompt
    assert features.store is not None
    kept = FeatureStore(features.store.path).labels.entry("L1/3")
    assert kept is not None
    assert (kept.text, kept.origin, kept.model) == ("Digits of a sum", "model", "judge")
    assert (kept.prompt, kept.answer) == (prompt, stub.answer["choices"][0]["message"]["content"])
    assert features.card("L1/3")["label"] == {"text": "Digits of a sum", "origin": "model", "model": "judge"}


def test_labels_of_people_stay(stub: Stub, features: Features) -> None:
    features["L1/3"].label = "mine"
    labels = Labeller(stub.url, "judge").label(features, ["L1/3", "L1/4"])
    assert list(labels) == ["L1/4"]
    assert features["L1/3"].label == "mine"
    assert "Authorization" not in stub.asked[0][1]


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (401, {"error": "no key"}, "answered 401: .*no key"),
        (302, {}, "answered 302"),
        (200, b"<html>", "OpenAI-compatible"),
        (200, {"choices": []}, "OpenAI-compatible"),
        (200, {"choices": [{"message": {"content": None}}]}, "without text"),
        (200, {"choices": [{"message": {"content": ' "" \n'}}]}, "gave no label of L1/3"),
    ],
)
def test_other_answers_are_errors(stub: Stub, features: Features, status: int, answer: Any, message: str) -> None:
    stub.status, stub.answer = status, answer
    with pytest.raises(FeatureError, match=message):
        Labeller(stub.url, "judge", key="secret").label(features, ["L1/3"])
    assert len(stub.asked) == 1
    assert features["L1/3"].label == ""


def test_wrong_uses(features: Features) -> None:
    with pytest.raises(FeatureError, match="is not an endpoint"):
        Labeller("file:///etc/passwd", "judge")
    with pytest.raises(FeatureError, match="gave no answer"):
        Labeller("http://127.0.0.1:9/v1", "judge", timeout=2).label(features, ["L1/3"])
    with pytest.raises(FeatureError, match="this model has none"):
        Labeller("http://127.0.0.1:9/v1", "judge").label(Features(samples.model("clt")), ["L1/3"])
