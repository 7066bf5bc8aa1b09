"""The store that comes with the embedded model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ct_widgets.demo import load_demo
from ct_widgets.demo.artifact_files import ARTIFACTS, load_features, save_features
from ct_widgets.demo.corpus import statements
from ct_widgets.demo.make_artifacts import SEED
from ct_widgets.features import FeatureStore
from ct_widgets.replacement_model import ReplacementModel


@pytest.fixture(scope="module")
def demo() -> ReplacementModel:
    return load_demo()


def test_it_is_of_this_transcoder_and_saw_every_statement(demo: ReplacementModel) -> None:
    store = demo.features.store
    assert store is not None
    assert store.n_features == demo.features.n_features
    assert store.facts["n_texts"] == len(statements(SEED))
    dead = float((store.column("count") == 0).mean())
    assert dead < 0.4
    assert np.all(store.column("count") <= store.n_tokens)


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in (ARTIFACTS / "features").iterdir()) < 4_500_000


def test_its_examples_are_what_the_transcoder_does(demo: ReplacementModel) -> None:
    """Activations of some examples, computed anew from their text."""
    rng = np.random.default_rng(0)
    store = demo.features.store
    assert store is not None
    alive = np.flatnonzero(store.column("count") > 20)
    checked = 0
    for g in rng.choice(alive, 12, replace=False):
        layer, index = store.place(int(g))
        record = store[layer, index]
        hook = f"blocks.{layer}.{demo.transcoder.feature_input_hook}"
        for example in record.top[:3]:
            if len(example.tokens) > example.peak + 1 + 15 or example.position != example.peak:
                continue  # a window that does not start with its text
            tokens = demo.language_model.tokens(example.tokens.tolist())
            x = demo.language_model.activations(tokens[None], [hook])[hook][0]
            a = demo.transcoder.encode(layer, x)[:, index].numpy()
            a[0] = 0  # BOS does not count
            np.testing.assert_allclose(example.activation, a, rtol=2e-3, atol=1e-3)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("word", ["basketball", "Austin", "est", "95"])
def test_the_tutorials_words_are_found(demo: ReplacementModel, word: str) -> None:
    table = demo.features.search(word, 5)
    assert len(table) == 5
    assert table["score"].iloc[0] > 0


def test_it_is_made_beside_the_model(tmp_path: Path) -> None:
    out = shutil.copytree(ARTIFACTS, tmp_path / "artifacts")
    made = save_features(out, SEED, texts=300)
    assert made.facts["n_texts"] == 300
    assert made.path == out / "features"
    read = load_features(out)
    assert read is not None
    assert read.n_tokens == made.n_tokens
    assert load_features(tmp_path) is None


def test_labels_of_users_stay_out_of_the_package(demo: ReplacementModel) -> None:
    demo.features["L0/0"].label = "mine"
    assert demo.features["L0/0"].label == "mine"
    assert FeatureStore(ARTIFACTS / "features").labels.get("L0/0") is None
    assert [path.name for path in Path(ARTIFACTS / "features").iterdir()] == ["features.safetensors"]
