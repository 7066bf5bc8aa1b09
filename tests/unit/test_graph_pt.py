"""circuit-tracer's `.pt` graphs: both layouts read right, against its own export of the same graph; nothing is run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from graph_samples import DATA

from ct_widgets.errors import FileFormatError
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.graph_json import node_records

NEW, OLD = DATA / "pt" / "new.pt", DATA / "pt" / "old.pt"


class Letters:
    """Stands for a tokenizer."""

    def decode(self, token_ids: list[int]) -> str:
        return "".join(chr(ord("A") + token) for token in token_ids)


def named_edges(graph: AttributionGraph) -> list[tuple[str, str, float]]:
    """Edges by circuit-tracer's names, two of which mean an error or a feature."""
    names = [record["node_id"] for record in node_records(graph)]
    return sorted((names[edge.source], names[edge.target], edge.weight) for edge in graph.edges.itertuples())


@pytest.mark.parametrize("through", ["pt", "ctgraph"])
def test_it_is_the_graph_that_circuit_tracer_exports(tmp_path: Path, through: str) -> None:
    graph = AttributionGraph.load(NEW)
    if through == "ctgraph":
        graph = AttributionGraph.load(graph.save(tmp_path / "graph.ctgraph"))
    theirs = AttributionGraph.load(DATA / "pt" / "graph.json")
    ours = graph.prune(0.9, 0.98)
    collide = {NodeId("feature", 0, 3, 2), NodeId("error", 2, 3, -1)}
    assert collide <= set(graph.node_ids)
    assert ours.node_ids == theirs.node_ids
    assert named_edges(ours) == named_edges(theirs)
    np.testing.assert_array_equal(ours.activation, theirs.activation)
    np.testing.assert_array_equal(ours.probability, theirs.probability)
    inner = ~ours.is_kind("logit")
    np.testing.assert_allclose(ours.cumulative_influence[inner], theirs.cumulative_influence[inner], rtol=1e-5)
    assert (ours.prompt, ours.n_layers, ours.token_ids.tolist()) == (theirs.prompt, 3, [0, 17, 27, 23])
    logits = [graph.node_token[row] for row in np.flatnonzero(graph.is_kind("logit"))]
    assert logits == ["x - y", "ab", "c"]
    assert graph.tokens == ("#0", "#17", "#27", "#23")
    assert graph.provenance == {"model": "tiny", "transcoder": "tiny-clt", "made_by": "circuit-tracer"}


def test_the_layout_of_files_before_0_4() -> None:
    new, old = AttributionGraph.load(NEW), AttributionGraph.load(OLD)
    same = ("kind", "layer", "position", "activation", "probability", "source", "weight", "indptr", "token_ids")
    for name in same:
        np.testing.assert_array_equal(getattr(new, name), getattr(old, name), err_msg=name)
    assert old.node_ids[-3:] == (("logit", 3, 3, 12), ("logit", 3, 3, 41), ("logit", 3, 3, 8))
    assert old.node_token[-3:] == ("#12", "#41", "#8")
    assert old.provenance["transcoder"] == "tiny-0 + tiny-1"


def test_a_tokenizer_gives_the_text() -> None:
    assert AttributionGraph.load(NEW, tokenizer=Letters()).tokens == ("A", "R", "\\", "X")
    old = AttributionGraph.load(OLD, tokenizer=Letters())
    assert old.node_token[-3:] == ("M", "j", "I")
    with pytest.raises(FileFormatError, match="leave the tokenizer out"):
        AttributionGraph.load(DATA / "pt" / "graph.json", tokenizer=Letters())


class UnifiedConfig:
    """Stands for circuit-tracer's configuration when a test saves files as circuit-tracer does."""

    __module__ = "circuit_tracer.utils.tl_nnsight_mapping"

    def __init__(self, n_layers: int) -> None:
        self.n_layers = n_layers


class LogitTarget(NamedTuple):
    token_str: str
    vocab_idx: int


LogitTarget.__module__ = "circuit_tracer.attribution.targets"


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Save the content of the new file with changes, by a stand-in of circuit-tracer; None leaves a part out."""
    for stand_in in (UnifiedConfig, LogitTarget):
        home = stand_in.__module__
        for module in ("circuit_tracer", home.rpartition(".")[0], home):
            monkeypatch.setitem(sys.modules, module, ModuleType(module))
        setattr(sys.modules[home], stand_in.__name__, stand_in)

    def make(**changes: Any) -> Path:
        saved = torch.load(NEW, weights_only=False) | changes
        path = tmp_path / "saved.pt"
        torch.save({key: part for key, part in saved.items() if part is not None}, path)
        return path

    return make


def test_large_graphs_in_bfloat16(save: Callable[..., Path]) -> None:
    exact = AttributionGraph.load(NEW)
    dense = torch.load(save(), weights_only=False)["adjacency_matrix"]
    rounded = AttributionGraph.load(save(adjacency_matrix=dense.bfloat16()))
    np.testing.assert_allclose(rounded.weight, exact.weight, rtol=1e-2)
    assert rounded.weight.dtype == np.float32


def test_activations_of_the_selected_features_alone(save: Callable[..., Path]) -> None:
    graph = AttributionGraph.load(NEW)
    saved = save(activation_values=torch.tensor([0.25, 0.5, 1.0, 1.25, 1.5, 1.75]))
    np.testing.assert_array_equal(AttributionGraph.load(saved).activation, graph.activation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cfg": None, "input_string": None}, "it lacks input_string, cfg"),
        ({"logit_targets": None}, "it lacks logit_targets"),
        ({"cfg": UnifiedConfig(4)}, r"29 nodes, and an adjacency matrix of shape \(25, 25\)"),
        ({"cfg": {"n_layers": 3}}, "damaged"),
        ({"selected_features": torch.tensor([0, 1, 3, 4, 5, 99])}, "damaged"),
        ({"logit_probabilities": torch.tensor([0.5, float("nan"), 0.1])}, "every logit needs a probability"),
        ({"active_features": torch.full((8, 3), 7), "adjacency_matrix": torch.zeros(25, 25)}, "positions must lie"),
        ({"adjacency_matrix": torch.ones(25, 25)}, "sources must come before their targets"),
    ],
)
def test_a_broken_file_is_refused(save: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    path = save(**changes)
    with pytest.raises(FileFormatError, match=message) as caught:
        AttributionGraph.load(path)
    assert str(path) in str(caught.value)


class Hostile:
    """Runs a command when a careless reader unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("part", ["cfg", "input_string", "logit_targets", "extra"])
def test_hostile_files_run_nothing(save: Callable[..., Path], tmp_path: Path, part: str) -> None:
    mark = tmp_path / "hacked"
    path = save(**{part: Hostile(mark)})
    with pytest.raises(FileFormatError, match=r"nothing of it was run .*posix\.system"):
        AttributionGraph.load(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the file does run its command where nobody is careful"


def test_a_bare_pickle_and_what_is_no_file_of_torch_run_nothing(tmp_path: Path) -> None:
    path, mark = tmp_path / "graph.pt", tmp_path / "hacked"
    for data in (
        pickle.dumps(Hostile(mark)),
        pickle.dumps(Hostile(mark), protocol=0),
        b"",
        b"PK",
        NEW.read_bytes()[:2000],
    ):
        path.write_bytes(data)
        with pytest.raises(FileFormatError):
            AttributionGraph.load(path)
        assert not mark.exists()


def test_a_hostile_state_of_an_allowed_class_runs_nothing(save: Callable[..., Path], tmp_path: Path) -> None:
    config = UnifiedConfig(3)
    config.model_name = Hostile(tmp_path / "hacked")  # type: ignore[attr-defined]
    with pytest.raises(FileFormatError, match="nothing of it was run"):
        AttributionGraph.load(save(cfg=config))
    assert not (tmp_path / "hacked").exists()


def test_only_this_reader_needs_torch() -> None:
    code = (
        "import sys; from ct_widgets.graph import AttributionGraph as G; before = 'torch' in sys.modules;"
        f"graph = G.load({str(NEW)!r}); print(before, 'torch' in sys.modules, graph.n_nodes)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "25"]
