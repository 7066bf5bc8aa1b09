"""Examples in the docstrings of the public API run, on the demo, in a folder of their own."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ct_widgets as ct
from ct_widgets import atomic, columns, feature_name
from ct_widgets.arithmetic import OperandActivations
from ct_widgets.demo import load_texts
from ct_widgets.evaluation import Evaluation, Validation
from ct_widgets.features import Feature, Features
from ct_widgets.global_weights import GlobalWeights
from ct_widgets.interventions import PerturbationSession
from ct_widgets.transcoded_model import TranscodedModel

RESULTS = (
    Evaluation,
    Feature,
    Features,
    GlobalWeights,
    OperandActivations,
    PerturbationSession,
    TranscodedModel,
    Validation,
)
"""Classes that nobody imports by name, but everybody gets from the public API."""

MODULES = (ct, atomic, columns, feature_name)


def documented() -> Iterator[tuple[str, str]]:
    """Name and docstring of everything public that has an example."""
    values = [getattr(ct, name) for name in ct.__all__ if name != "__version__"]
    objects: dict[str, Any] = {module.__name__: module for module in MODULES}
    for value in (*values, *RESULTS):
        objects[value.__qualname__] = value
        if inspect.isclass(value):
            members = inspect.getmembers(
                value, lambda member: inspect.isroutine(member) or isinstance(member, property)
            )
            objects |= {f"{value.__qualname__}.{name}": member for name, member in members if not name.startswith("_")}
    for name, value in objects.items():
        text = inspect.getdoc(value)
        if text and ">>>" in text and getattr(value, "__module__", "ct_widgets").startswith("ct_widgets"):
            yield name, text


EXAMPLES = dict(documented())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples open."""
    folder = tmp_path_factory.mktemp("examples")
    model = ct.load_demo()
    texts = load_texts(40)
    (folder / "texts.txt").write_text("\n".join(f"{prompt}{answer}" for prompt, answer in texts))
    model.attribute("calc: 36+59=").save(folder / "addition.ctgraph")
    (folder / "labels.csv").write_text("feature,label\nL2/517,sum = _5\n")
    for name in ("features", "monday", "tuesday"):
        ct.collect_features(model, [f"{prompt}{answer}" for prompt, answer in texts], folder / name)
    for name in ("my-transcoder", "another"):
        model.transcoder.save(folder / name)
    return folder


@pytest.fixture(scope="module")
def names(folder: Path) -> dict[str, Any]:
    """What examples take for granted: a model, its graph, some texts."""
    model = ct.load_demo()
    graph = model.attribute("calc: 36+59=").prune()
    features = graph.nodes.query("kind == 'feature'").nlargest(8, "influence").index
    graph = graph.annotated(supernodes=[("sum = _5", [graph.node_ids[row] for row in features])])
    texts = [f"{prompt}{answer}" for prompt, answer in load_texts(40)]
    public = {name: getattr(ct, name) for name in ct.__all__ if name != "__version__"}
    return public | {
        "ct": ct,
        "ct_widgets": ct,
        "np": np,
        "Path": Path,
        "atomic": atomic,
        "encode": columns.encode,
        "decode": columns.decode,
        "FeatureName": feature_name.FeatureName,
        "TranscodedModel": TranscodedModel,
        "model": model,
        "bridge": model.language_model.bridge,
        "transcoder": model.transcoder,
        "graph": graph,
        "view": ct.GraphWidget(graph),
        "texts": texts[:20],
        "other_texts": texts[20:],
        "operands": model.operand_activations(a=range(20), b=range(20)),
        "vector": np.ones(model.language_model.d_model, np.float32),
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str, folder: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    namespace, shown = dict(names), list[str]()
    monkeypatch.setattr("sys.displayhook", lambda value: None if value is None else shown.append(repr(value)))
    for example in doctest.DocTestParser().get_examples(EXAMPLES[name]):
        if doctest.SKIP in example.options:
            continue
        shown.clear()
        exec(compile(example.source, name, "single"), namespace)
        if example.want:
            assert "\n".join(shown) == example.want.rstrip()
