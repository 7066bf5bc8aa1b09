"""Examples of the demo's features: a store of what they do on every statement of the corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ct_widgets.demo.artifact_files import load_bridge
from ct_widgets.demo.corpus import statements
from ct_widgets.features import FeatureStore, collect_features
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoders import Transcoder

_FEATURES = "features"

# A statement is short: windows hold all of it, and few examples tell what is to be told.
_EXAMPLES, _WINDOW = 8, 15


def save_features(out: Path, seed: int, *, texts: int | None = None) -> FeatureStore:
    """Write the store of the model and transcoder in `out` beside them, in place of an older one.

    Statements come in random order, all of them or the first `texts`.
    """
    model = ReplacementModel(load_bridge(out), Transcoder.load(out / "clt"))
    world = statements(seed)
    order = np.random.default_rng([seed, 3]).permutation(len(world))[:texts]
    shutil.rmtree(out / _FEATURES, ignore_errors=True)
    return collect_features(
        model,
        [f"{world[i].prompt} {world[i].answer}" for i in order],
        out / _FEATURES,
        top=_EXAMPLES,
        sample=_EXAMPLES,
        before=_WINDOW,
        after=_WINDOW,
    )


def load_features(directory: Path) -> FeatureStore | None:
    """The store, if there is one. Labels that a user gives are not written into the package."""
    path = directory / _FEATURES
    return FeatureStore(path, keep_labels=False) if path.is_dir() else None
