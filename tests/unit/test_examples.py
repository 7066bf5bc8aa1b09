"""Examples in the docstrings of the public API run, on the demo, in a folder of their own."""

from __future__ import annotations

import ast
import doctest
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as widgets
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
from ct_widgets.training import Callback
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.widgets import panels

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
    (folder / "texts.txt").write_text("\n".join(f"{prompt}{answer}" for prompt, answer in load_texts(400)))
    model.attribute("calc: 36+59=").save(folder / "addition.ctgraph")
    (folder / "labels.csv").write_text("feature,label\nL2/597,sum = _5\n")
    for name in ("features", "monday", "tuesday"):
        ct.collect_features(model, [f"{prompt}{answer}" for prompt, answer in texts], folder / name)
    for name in ("my-transcoder", "another"):
        model.transcoder.save(folder / name)
    return folder


class Names(dict[str, Any]):
    """What examples take for granted: a model, its graph, some texts; made when an example asks for it."""

    def __missing__(self, name: str) -> Any:
        if name not in MADE:
            raise KeyError(name)
        self[name] = MADE[name](self)
        return self[name]


def _graph(names: Names, prompt: str = "calc: 36+59=") -> ct.AttributionGraph:
    graph = names["model"].attribute(prompt).prune()
    rows = graph.nodes.query("kind == 'feature'").nlargest(8, "influence").index
    nodes = [graph.node_ids[row] for row in rows]
    return graph.annotated(supernodes=[("sum", nodes[:4]), ("sum = _5", nodes[4:])])


def _mlp_inputs(names: Names) -> Any:
    model = names["model"].language_model
    return model.frozen_run(model.tokens("calc: 36+59=")).mlp_input


MADE: dict[str, Callable[[Names], Any]] = {
    "model": lambda names: ct.load_demo(),
    "bridge": lambda names: names["model"].language_model.bridge,
    "transcoder": lambda names: names["model"].transcoder,
    "mlp_inputs": _mlp_inputs,
    "graph": _graph,
    "texas": lambda names: _graph(names, "Fact: the capital of Texas is").supernodes[0].members[:1],
    "ohio_graph": lambda names: _graph(names, "Fact: the capital of Ohio is"),
    "ohio": lambda names: names["ohio_graph"].supernodes[1],
    "operands": lambda names: names["model"].operand_activations(a=range(20), b=range(20)),
    "weights": lambda names: names["model"].global_weights(names["texts"], k=5),
    "vector": lambda names: np.ones(names["model"].language_model.d_model, np.float32),
}


VIEWS: dict[str, Callable[[Names], Any]] = {
    "CompareWidget": lambda names: ct.CompareWidget(names["graph"], names["ohio_graph"]),
    "GraphWidget": lambda names: ct.GraphWidget(names["graph"]),
    "OperandWidget": lambda names: ct.OperandWidget(names["model"], [(0, 205)], a=range(20), b=range(20)),
    "PerturbationWidget": lambda names: ct.PerturbationWidget(names["model"], names["graph"]),
}
"""What methods of views are called on."""


@pytest.fixture(scope="module")
def names() -> Names:
    """All public names, and those of Names."""
    texts = [f"{prompt}{answer}" for prompt, answer in load_texts(40)]
    given = {name: getattr(ct, name) for name in ct.__all__ if name != "__version__"}
    given |= {"ct": ct, "ct_widgets": ct, "np": np, "Path": Path, "atomic": atomic, "TranscodedModel": TranscodedModel}
    given |= {"encode": columns.encode, "decode": columns.decode, "FeatureName": feature_name.FeatureName}
    given |= {"texts": texts[:20], "other_texts": texts[20:], "button": widgets.Button(), "Callback": Callback}
    return Names(given, config=ct.TrainingConfig(features=16, steps=2, batch_size=64, held_out=256))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str, folder: Path, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    panels.panel_kinds()  # all of the package are registered before an example adds one that is forgotten again
    monkeypatch.setattr(panels, "_KINDS", dict(panels._KINDS))
    shown: list[str] = []
    monkeypatch.setattr("sys.displayhook", lambda value: None if value is None else shown.append(repr(value)))
    own: dict[str, Any] = {}
    if "." in name and "Widget" in name:
        own["view"] = VIEWS[name.partition(".")[0]](names)
    for example in doctest.DocTestParser().get_examples(EXAMPLES[name]):
        if doctest.SKIP in example.options:
            continue
        shown.clear()
        used = {node.id for node in ast.walk(ast.parse(example.source)) if isinstance(node, ast.Name)}
        own |= {one: names[one] for one in used - own.keys() if one in names or one in MADE}
        exec(compile(example.source, name, "single"), own)
        if example.want:
            assert "\n".join(shown) == example.want.rstrip()
