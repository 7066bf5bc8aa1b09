"""One call, its report, its figures and its page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import random_transcoder
from graph_samples import fetched_by

from ct_widgets.errors import PromptError
from ct_widgets.evaluation import Evaluation
from ct_widgets.replacement_model import ReplacementModel

DRAW = np.random.default_rng(0)
TEXTS = [DRAW.integers(1, 60, size=n).tolist() for n in (7, 5, 9, 6, 8, 4)]
HOSTILE = '</script><img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def model(make_bridge: Callable[[str], Any]) -> ReplacementModel:
    return ReplacementModel(make_bridge("native ln"), random_transcoder(3, 24))


@pytest.fixture(scope="module")
def found(model: ReplacementModel) -> Evaluation:
    other = random_transcoder(3, 24, kind="plt", seed=1)
    return model.evaluate(TEXTS, prompts=TEXTS[:2], beside={HOSTILE: other}, progress=False)


def test_every_dictionary_is_in_every_table(found: Evaluation) -> None:
    names = ["CLT", HOSTILE]
    assert found.summary.index[:2].tolist() == names
    assert found.summary.index[-1] == "neurons"
    for name, table in found.tables.items():
        assert set(names) <= set(table["dictionary"]), name
        assert any(dictionary.startswith("neurons") for dictionary in table["dictionary"]), name
    assert set(found.graphs["prompt"]) == set(found.correlations["prompt"])


def test_the_summary_says_what_the_tables_say(found: Evaluation) -> None:
    row, tables = found.summary.loc["CLT"], found.tables
    own = tables["dictionaries"].query("dictionary == 'CLT' and size == 0").iloc[0]
    assert row["L0"] == own["l0"]
    assert row["normalised MSE"] == own["normalised_mse"]
    assert row["CE recovered"] == own["recovered"]
    assert row["top-1 agreement"] == own["top1_agreement"]
    assert row["completeness"] == tables["graphs"].query("dictionary == 'CLT'")["completeness"].mean()
    ranks = tables["correlations"].query("dictionary == 'CLT' and what == 'influence' and above == 0")
    assert row["influence"] == ranks["correlation"].mean()
    whole = found.summary.loc["neurons"]
    assert whole["normalised MSE"] < 1e-9
    assert np.isnan(whole["replacement"])  # no graph of all neurons


def test_neurons_are_as_many_as_features_or_as_exact(found: Evaluation) -> None:
    points = found.dictionaries.query("dictionary == 'neurons'")
    own = found.summary.loc["CLT"]
    compared = [name for name in found.summary.index if name.startswith("neurons, L0")]
    as_sparse = found.summary.loc[compared[0]]
    distance = np.abs(np.log(points["l0"] / own["L0"]))
    assert as_sparse["L0"] == points["l0"][distance.idxmin()]
    # A row of the summary is found by the point's own size, not by the L0 that its name shows.
    assert {found.points[name][0] for name in compared} == {"neurons"}
    assert found.points["CLT"] == ("CLT", 0.0)
    at = points[points["size"] == found.points[compared[0]][1]].iloc[0]
    assert as_sparse["normalised MSE"] == at["normalised_mse"]
    as_exact = points[points["normalised_mse"] <= own["normalised MSE"]]["l0"].min()
    assert as_exact in found.summary.loc[compared, "L0"].tolist()


def test_figures_draw_the_tables(found: Evaluation) -> None:
    figure = found.figures["L0 against normalised MSE"]
    drawn = {trace.name: trace for trace in figure.data}
    curve = found.dictionaries.query("dictionary == 'CLT'").sort_values("l0")
    assert list(drawn["CLT"].x) == list(curve["l0"])
    assert list(drawn["CLT"].y) == list(curve["normalised_mse"])
    paths = found.figures["path lengths"].data[0]
    assert list(paths.y) == list(found.paths.query("dictionary == 'CLT'")["P_k"])
    assert all("<img" not in str(figure.to_dict()) for figure in found.figures.values())


def test_the_page_needs_nothing_and_runs_nothing_of_what_it_shows(found: Evaluation, tmp_path: Path) -> None:
    page = found.to_html(tmp_path / "report.html").read_text()
    assert fetched_by(page) == []
    assert "&lt;/script&gt;&lt;img" in page
    assert page.count("</script>") == page.count("<script")
    assert "normalised MSE" in page
    shown = found._repr_html_()
    assert "<img" not in shown
    assert "CLT" in shown


def test_without_prompts_some_texts_are_taken(model: ReplacementModel) -> None:
    found = model.evaluate(TEXTS[:3], neurons=False, sparsity_curve=False, progress=False)
    assert found.graphs["tokens"].tolist() == [len(ids) - 1 for ids in TEXTS[:3]]
    assert found.summary.index.tolist() == ["CLT"]
    assert len(found.dictionaries) == 1


def test_names_of_dictionaries_are_not_taken_twice(model: ReplacementModel) -> None:
    with pytest.raises(PromptError, match="'CLT' is already the name"):
        model.evaluate(TEXTS, beside={"CLT": model.transcoder})


def test_an_evaluation_needs_a_prompt(model: ReplacementModel) -> None:
    with pytest.raises(PromptError, match="prompts is empty"):
        model.evaluate(TEXTS, prompts=[])
