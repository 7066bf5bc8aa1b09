"""The command line: files it writes, and one line for whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from graph_samples import DATA, random_graph

import ct_widgets
from ct_widgets import cli
from ct_widgets.graph import AttributionGraph


class StubModel:
    """Stands for a replacement model; says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def attribute(self, prompt: str) -> AttributionGraph:
        self.asked.append(prompt)
        return random_graph()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> StubModel:
    stub = StubModel()
    monkeypatch.setattr(ct_widgets, "load_demo", lambda: stub, raising=False)
    return stub


@pytest.mark.parametrize("suffix", ["ctgraph", "json"])
def test_trace_writes_a_graph(
    tmp_path: Path, model: StubModel, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"graph.{suffix}"
    assert cli.main(["trace", "calc: 36+59=", "--out", str(out)]) == 0
    assert model.asked == ["calc: 36+59="]
    assert AttributionGraph.load(out).node_ids == random_graph().node_ids
    line = capsys.readouterr().out
    assert line.startswith(f"{out}: 43 nodes, ")
    assert "next" not in line
    assert "' out0' 0." in line


def test_trace_takes_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Other:
        @staticmethod
        def from_pretrained(model: str, transcoder: str) -> StubModel:
            asked.append((model, transcoder))
            return StubModel()

    monkeypatch.setattr(ct_widgets, "ReplacementModel", Other, raising=False)
    out = tmp_path / "graph.ctgraph"
    assert cli.main(["trace", "a", "--out", str(out), "--model", "org/m", "--transcoder", "org/t"]) == 0
    assert asked == [("org/m", "org/t")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trace", "a"], "--out"),
        (["trace", "a", "--out", "graph.pt"], "expected a file that ends in .ctgraph, .json, .html"),
        (["trace", "a", "--out", "g.json", "--model", "gpt2"], "--model and --transcoder go together"),
        (["evaluate"], "--out"),
        (["evaluate", "--out", "report.pdf"], "expected a file that ends in .html"),
        (["evaluate", "--out", "r.html", "--beside", "plt"], "NAME=DIRECTORY"),
        (["evaluate", "--out", "r.html", "--model", "gpt2", "--transcoder", "t"], "give a file of texts"),
        (["draw"], "invalid choice: 'draw'"),
        ([], "COMMAND"),
    ],
)
def test_wrong_use_exits_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == cli.WRONG_USE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"{", "not JSON, or truncated"), (b"[]", "it lacks metadata")],
)
def test_a_bad_file_is_one_line(
    tmp_path: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.json"
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["info", str(path)]) == cli.FAILED
    err = capsys.readouterr().err
    assert err.startswith("ct-widgets: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_missing_directory_is_found_before_the_work(
    tmp_path: Path, model: StubModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["trace", "a", "--out", str(tmp_path / "no" / "graph.ctgraph")]) == cli.FAILED
    assert "does not exist" in capsys.readouterr().err
    assert model.asked == []


def test_texts_that_are_not_there_are_found_before_the_work(
    tmp_path: Path, model: StubModel, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(tmp_path / "texts.txt"), "--out", str(tmp_path / "report.html")]
    assert cli.main(arguments) == cli.FAILED
    assert "no such file" in capsys.readouterr().err
    assert model.asked == []


@pytest.mark.slow
def test_evaluate_with_the_embedded_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, out = tmp_path / "texts.txt", tmp_path / "report.html"
    texts.write_text("calc: 36+59=95\ncalc: 2+3=5\n")
    assert cli.main(["evaluate", str(texts), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Evaluation of ct-widgets-demo" in printed
    assert "neurons" in printed
    assert "calc:36+59=" in out.read_text()  # tokens, as the text was cut


def test_info_says_what_is_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = random_graph()
    assert cli.main(["info", str(graph.save(tmp_path / "graph.json"))]) == 0
    out = capsys.readouterr().out
    assert f"43 nodes, {graph.n_edges} edges (4 embedding, 24 feature, 12 error, 3 logit)" in out
    assert "model random" in out
    assert f"replacement {graph.scores().replacement:.3f}" in out
    assert "largest row residual" in out


def test_info_reads_graphs_of_circuit_tracer(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(DATA / "pt" / "old.pt")]) == 0
    out = capsys.readouterr().out
    assert "25 nodes" in out
    assert "model tiny, transcoder tiny-0 + tiny-1" in out


def test_help_imports_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ct_widgets.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "trace" in ran.stdout
    imported = {line.rsplit("|", 1)[1].strip() for line in ran.stderr.splitlines() if "|" in line}
    assert not imported & {"torch", "numpy", "pandas", "transformer_lens"}


@pytest.mark.slow
def test_trace_with_the_embedded_model(tmp_path: Path) -> None:
    """The whole way once, as a user runs it: the three kinds of file, and an error of the prompt."""
    for suffix in ("ctgraph", "json", "html"):
        out = tmp_path / f"graph.{suffix}"
        assert cli.main(["trace", "calc: 36+59=", "--out", str(out)]) == 0
    native, shared = (AttributionGraph.load(tmp_path / f"graph.{suffix}") for suffix in ("ctgraph", "json"))
    assert native.node_ids == shared.node_ids
    assert native.n_edges == shared.n_edges
    assert json.loads((tmp_path / "graph.json").read_text())["metadata"]["prompt"] == "calc: 36+59="
    page = (tmp_path / "graph.html").read_text()
    assert "calc: 36+59=" in page
    ran = subprocess.run(
        [sys.executable, "-m", "ct_widgets.cli", "trace", "calc: 36+xyzzy=", "--out", str(tmp_path / "g.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == cli.FAILED
    assert "xyzzy" in ran.stderr
    assert "Traceback" not in ran.stderr
