"""The classifier on features whose family is known, its names, and what it makes of the embedded dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from synthetic_features import both_ways, near, samples, with_noise, within

import ct_widgets as ct
from ct_widgets.arithmetic import classify
from ct_widgets.arithmetic.families import NAMED
from ct_widgets.arithmetic.hypotheses import fit_all
from ct_widgets.demo.artifact_files import ARTIFACTS, read_json

a, b = np.meshgrid(np.arange(100), np.arange(100), indexing="ij")
s = a + b


def test_clean_features_are_told_by_family() -> None:
    told = [(sample, classify(sample.plot)) for sample in samples(3, 0.0, seed=1)]
    right = Counter(family.kind == sample.kind for sample, family in told)
    assert right[True] / len(told) >= 0.95
    modular = [
        family.modularity == sample.modularity for sample, family in told if sample.kind not in ("other", "active")
    ]
    assert np.mean(modular) >= 0.95


def test_noise_of_a_quarter_leaves_most() -> None:
    told = [classify(sample.plot).kind == sample.kind for sample in samples(2, 0.25, seed=2)]
    assert np.mean(told) >= 0.8


@pytest.mark.parametrize(
    ("plot", "kind", "name", "precision", "modularity"),
    [
        (s % 10 == 5, "sum", "sum = _5", "exact", "10"),
        (s % 100 == 95, "sum", "sum = _95", "exact", "100"),
        (s % 2 == 0, "sum", "sum even", "exact", "other"),
        (s % 5 == 3, "sum", "sum = 3 mod 5", "exact", "other"),
        (np.isin(s % 10, [4, 5, 6]), "sum", "sum = _4–6", "range", "10"),
        (np.isin(s % 10, [9, 0]), "sum", "sum = _9–0", "range", "10"),
        (s == 95, "sum", "sum = 95", "exact", "none"),
        ((s >= 90) & (s < 100), "sum", "sum = 90–99", "range", "none"),
        (near(s, 92, 6), "sum", "sum ~ 92", "fuzzy", "none"),
        (near(s, 95, 8) * (s % 2), "sum", "sum ~ 95 odd", "fuzzy", "none"),
        (near(s, 92, 2) * (a % 10 < 6), "sum", "sum ~ 92, in part", "fuzzy", "none"),
        ((a % 10 == 6) & (b % 10 == 9), "lookup", "_6 + _9", "exact", "10"),
        (near(a, 36, 5) * near(b, 60, 5), "lookup", "~36 + ~60", "fuzzy", "none"),
        (both_ways(near(a, 36, 5) * near(b, 60, 5)), "lookup", "~36 + ~60", "fuzzy", "none"),
        (both_ways(((a == 36) & (b == 59)) * 1.0), "lookup", "36 + 59", "exact", "none"),
        (within(a, 30, 10) * within(b, 50, 10), "lookup", "30–39 + 50–59", "range", "none"),
        (b == 9, "add", "add 9 to a", "exact", "none"),
        (a % 10 == 9, "add", "add _9 to b", "exact", "10"),
        (near(a, 57, 4), "add", "add ~57 to b", "fuzzy", "none"),
        ((a == 9) | (b == 9), "add", "add 9", "exact", "none"),
        (np.ones((100, 100)), "active", "mostly active", "fuzzy", "none"),
        (np.zeros((100, 100)), "other", "never active", "fuzzy", "none"),
    ],
)
def test_a_family_is_named_by_its_conditions(
    plot: np.ndarray, kind: str, name: str, precision: str, modularity: str
) -> None:
    family = classify(plot)
    assert (family.kind, family.name, family.precision, family.modularity) == (kind, name, precision, modularity)
    assert family.explained >= NAMED or kind == "other"


@pytest.mark.parametrize("density", [0.002, 0.02, 0.5])
def test_no_hypothesis_explains_noise(density: float) -> None:
    random = np.random.default_rng(0)
    plot = random.random((100, 100)) * (random.random((100, 100)) < density)
    explained = {fit.hypothesis: fit.explained for fit in fit_all(plot, range(100), range(100))}
    assert max(explained.values()) < 0.25, explained
    assert classify(plot).kind == "other"


def test_explained_variance_of_a_table_is_the_adjusted_r_squared() -> None:
    plot = with_noise((s % 10 == 5).astype(float), 0.3, np.random.default_rng(0))
    means = np.array([plot[s % 10 == digit].mean() for digit in range(10)])
    r2 = 1 - ((plot - means[s % 10]) ** 2).sum() / ((plot - plot.mean()) ** 2).sum()
    adjusted = 1 - (1 - r2) * 9999 / 9990
    assert classify(plot).evidence["sum mod 10"] == pytest.approx(adjusted)


def test_names_hold_for_other_ranges_and_for_plots_with_a_sign() -> None:
    x, y = np.meshgrid(np.arange(10, 40), np.arange(5, 25), indexing="ij")
    assert classify(x + y == 41, range(10, 40), range(5, 25)).name == "sum = 41"
    assert classify(-(x % 10 == 3).astype(float), range(10, 40), range(5, 25)).name == "add _3 to b"


@pytest.mark.parametrize("density", [0.2, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 7), (8, 3)], ids=str)
def test_plots_of_any_shape_have_an_answer(shape: tuple[int, int], density: float) -> None:
    random = np.random.default_rng(0)
    plot = random.random(shape) * (random.random(shape) < density)
    family = classify(plot, random.integers(0, 200, shape[0]), random.integers(0, 200, shape[1]))
    assert np.isfinite(family.explained)
    assert family.explained <= 1


def test_the_embedded_dictionary_has_families() -> None:
    table = ct.load_demo().operand_activations().families.query("n_active >= 10")
    named = table.query("kind != 'other'")
    assert named["explained"].min() >= NAMED
    assert len(named) >= 0.75 * len(table)
    card = read_json(ARTIFACTS / "metrics.json")["families"]
    assert len(table) == pytest.approx(card["features"], rel=0.02)
    assert len(named) / len(table) == pytest.approx(card["named"], abs=0.02)
    by_layer = named.groupby("layer")["kind"].agg(lambda kinds: kinds.mode()[0])
    assert by_layer.to_dict() == {0: "lookup", 1: "lookup", 2: "sum", 3: "sum"}
