"""The Python side of GlobalWeightsWidget: steps, the way back, what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import features_samples as samples
import pytest
from features_samples import corpus, gather

from ct_widgets import GlobalWeightsWidget
from ct_widgets.errors import WidgetError
from ct_widgets.global_weights import GlobalWeights
from ct_widgets.replacement_model import ReplacementModel


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> GlobalWeights:
    plain = samples.model("clt")
    store = gather(tmp_path_factory.mktemp("walk") / "store", "clt")
    store.labels["L0/1"] = '<b onclick="x()">label</b> \x07'
    model = ReplacementModel(plain.language_model.bridge, plain.transcoder, store)
    return model.global_weights(corpus(), k=6, progress=False)


def step(view: GlobalWeightsWidget) -> dict[str, Any]:
    return json.loads(json.dumps(view.get_state("_walk")["_walk"], allow_nan=False))


def test_a_step_shows_the_strongest_of_both_sides(weights: GlobalWeights) -> None:
    view = weights.show("L1/3", k=4)
    assert (view.by, view.trail, repr(view)) == ("twera", ["L1/3"], "<GlobalWeightsWidget at L1/3, by twera>")
    shown = step(view)
    assert shown["card"]["feature"] == "L1/3"
    for side, end in (("inputs", "source"), ("outputs", "target")):
        table = getattr(weights, side)("L1/3", 4)
        rows = shown[side]["rows"]
        assert [row["feature"] for row in rows] == table[end].tolist()
        assert [row["twera"] for row in rows] == pytest.approx(table["twera"].tolist(), rel=1e-3)
        assert [row["interference"] for row in rows] == table["interference"].tolist()
        assert shown[side]["kept"] >= len(rows) > 0
        assert all(row["example"]["pieces"] for row in rows)
    view.by = "virtual"
    assert [row["feature"] for row in step(view)["inputs"]["rows"]] == weights.inputs("L1/3", 4, by="virtual")[
        "source"
    ].tolist()
    assert view.trail == ["L1/3"]


def test_the_trail_leads_back(weights: GlobalWeights) -> None:
    view = GlobalWeightsWidget(weights, (1, 3))
    for feature in ("L0/1", "L2/5", "L1/7"):
        view.set_state({"feature": feature})
    assert view.trail == ["L1/3", "L0/1", "L2/5", "L1/7"]
    view.feature = "L0/1"
    assert view.trail == ["L1/3", "L0/1"]
    assert step(view)["inputs"] == {"rows": [], "kept": 0, "missing": ""}


def test_one_message_of_the_browser_gives_one_step(weights: GlobalWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    view = weights.show("L1/3")
    asked: list[tuple[str, str]] = []
    walk = GlobalWeights.walk
    monkeypatch.setattr(GlobalWeights, "walk", lambda self, *a: (asked.append(a[:2]), walk(self, *a))[1])
    view.set_state({"feature": "L2/0", "by": "era"})
    assert asked == [("L2/0", "era")]


def test_it_begins_at_the_strongest_connection(weights: GlobalWeights) -> None:
    strongest = weights.pairs.iloc[weights.pairs["twera"].abs().argmax()]
    assert weights.show().feature == strongest["target"]


def test_what_is_missing(weights: GlobalWeights) -> None:
    bare = samples.model("clt").global_weights(targets=["L2/0"])
    view = bare.show()
    assert (view.by, view.get_state("_rankings")["_rankings"]) == ("virtual", ["virtual"])
    view.feature = "L1/3"
    assert "L1/3 is not among the 1 targets" in step(view)["inputs"]["missing"]
    assert step(view)["outputs"]["rows"][0]["example"] is None
    with pytest.raises(WidgetError, match=r"model.global_weights\(texts\)"):
        view.by = "era"
    with pytest.raises(WidgetError, match="'size' is not one of"):
        view.by = "size"
    with pytest.raises(WidgetError, match="L2/99 does not exist"):
        weights.show("L2/99")


def test_the_still_picture_is_svg_and_nothing_else(weights: GlobalWeights, tmp_path: Path) -> None:
    view = weights.show("L1/3", by="virtual")
    data, _ = view._repr_mimebundle_()
    picture = data["image/svg+xml"]
    texts = [node.text or "" for node in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert "inputs and outputs of L1/3 by virtual weight" in texts
    assert step(view)["inputs"]["rows"][0]["feature"] in texts
    assert "<b onclick" not in weights.show("L0/1")._repr_mimebundle_()[0]["image/svg+xml"]
    ElementTree.fromstring(weights.show("L0/1")._repr_mimebundle_()[0]["image/svg+xml"])
