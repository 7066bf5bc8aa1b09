"""%trace and %%trace: which model, which prompt, what comes back, what is said when something is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from graph_samples import random_graph
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from ct_widgets import CompareWidget
from ct_widgets.errors import PromptError
from ct_widgets.graph import AttributionGraph


class StubModel:
    """Stands for a replacement model; says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def attribute(self, prompt: str) -> AttributionGraph:
        self.asked.append(prompt)
        if "xyzzy" in prompt:
            raise PromptError("the tokenizer does not know 'xyzzy'")
        return random_graph(len(self.asked))


@pytest.fixture(scope="module")
def started() -> InteractiveShell:
    made = InteractiveShell()
    made.extension_manager.load_extension("ct_widgets")
    return made


@pytest.fixture
def shell(started: InteractiveShell) -> Iterator[InteractiveShell]:
    """A shell with the extension and an empty namespace."""
    before = dict(started.user_ns)
    yield started
    started.user_ns.clear()
    started.user_ns.update(before)


@pytest.fixture
def model(shell: InteractiveShell) -> StubModel:
    stub = StubModel()
    shell.user_ns["model"] = stub
    return stub


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("calc: 36+59=", "calc: 36+59="),
        ("  {a} and $b stay, as {model} does ", "{a} and $b stay, as {model} does"),
        ('"calc: "', "calc: "),
        ("'tab\\t'", "tab\t"),
        ('"small" is "', '"small" is "'),
        ('"a", "b"', '"a", "b"'),
        ("'--model'", "--model"),
        ("the option --model is text here", "the option --model is text here"),
    ],
)
def test_the_prompt_is_the_line_as_it_stands(shell: InteractiveShell, model: StubModel, line: str, prompt: str) -> None:
    graph = shell.run_line_magic("trace", line)
    assert isinstance(graph, AttributionGraph)
    assert model.asked == [prompt]


def test_it_is_an_expression(shell: InteractiveShell, model: StubModel) -> None:
    shell.run_cell("graph = %trace calc: {1+1}=", store_history=False).raise_error()
    assert isinstance(shell.user_ns["graph"], AttributionGraph)
    assert model.asked == ["calc: {1+1}="]


@pytest.mark.parametrize("option", ["--model other ", "--model=other "])
def test_another_model_by_name(shell: InteractiveShell, model: StubModel, option: str) -> None:
    other = shell.user_ns["other"] = StubModel()
    shell.run_line_magic("trace", option + "calc: 1")
    shell.run_cell_magic("trace", option, "calc: 2\n")
    assert (model.asked, other.asked) == ([], ["calc: 1", "calc: 2"])


def test_two_prompts_are_compared(shell: InteractiveShell, model: StubModel) -> None:
    view = shell.run_cell_magic("trace", "", "calc: 36+59=\n\n  calc: 36+58=  \n")
    assert isinstance(view, CompareWidget)
    assert view.names == ("calc: 36+59=", "calc: 36+58=")
    assert model.asked == ["calc: 36+59=", "calc: 36+58="]
    assert view.a.graph.node_ids == random_graph(1).node_ids
    assert view.b.graph.node_ids == random_graph(2).node_ids


def test_more_are_shown_below_each_other(
    shell: InteractiveShell, model: StubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("ct_widgets.magics.display", lambda *graphs: shown.extend(graphs))
    assert shell.run_cell_magic("trace", "", "a\nb\nc") is None
    assert [type(graph) for graph in shown] == [AttributionGraph] * 3
    assert model.asked == ["a", "b", "c"]


def run(shell: InteractiveShell, line: str, cell: str | None) -> Any:
    return shell.run_line_magic("trace", line) if cell is None else shell.run_cell_magic("trace", line, cell)


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("", None, "%trace needs a prompt"),
        ("--model model", None, "%trace needs a prompt"),
        ("--modle other a", None, "--modle is not an option of %trace, which takes --model NAME"),
        ("calc: 1", "calc: 2", "prompts of %%trace go on the lines below it"),
        ("", " \n\n", "%%trace needs prompts"),
        (
            "--model nobody a",
            None,
            "no model is set: this notebook has no variable 'nobody'; name yours: %trace --model mo",
        ),
        ("--model number a", None, "'number' is a int, not a ReplacementModel"),
        ("xyzzy", None, "the tokenizer does not know 'xyzzy'"),
    ],
)
def test_wrong_use_is_one_line(
    shell: InteractiveShell, model: StubModel, line: str, cell: str | None, message: str
) -> None:
    shell.user_ns["number"] = 3
    with pytest.raises(UsageError, match=re.escape(message)):
        run(shell, line, cell)
    assert [prompt for prompt in model.asked if "xyzzy" not in prompt] == []


def test_without_any_model_it_says_how_to_get_one(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match=r"no model is set: .* run model = ct\.load_demo\(\) first"):
        shell.run_line_magic("trace", "calc: 36+59=")


def test_completion_of_the_option_and_of_models(shell: InteractiveShell, model: StubModel) -> None:
    shell.user_ns |= {"modest": 3, "my_model": model, "_hidden": model}
    assert "--model" in shell.complete("--mo", "%trace --mo")[1]
    assert "--model" in shell.complete("--mo", "%%trace --mo")[1]
    names = shell.complete("m", "%trace --model m")[1]
    assert {"model", "my_model"} <= set(names)
    assert "_hidden" not in names
    assert "--model" not in shell.complete("--mo", "%trace calc: --mo")[1]


def test_the_extension_stays_lazy() -> None:
    code = (
        "import ct_widgets, sys; before = {'IPython', 'torch'} & set(sys.modules);"
        "from IPython.core.interactiveshell import InteractiveShell as S; shell = S();"
        "shell.run_line_magic('load_ext', 'ct_widgets');"
        "print(sorted(before), 'trace' in shell.magics_manager.magics['line'], 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[] True False"
