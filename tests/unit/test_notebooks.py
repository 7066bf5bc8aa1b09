"""Every notebook runs from start to end, and is saved so that it reads well where nothing runs."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

from run import WIDGET, execute, is_progress_bar, still  # noqa: E402

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
PICTURES = ("image/svg+xml", "image/png")


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    return [output.get("data", {}).get("text/plain", output.get("text", "")) for output in outputs(notebook)]


@pytest.mark.slow
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_runs_and_says_what_was_saved(path: Path, tmp_path: Path) -> None:
    ran = execute(path, tmp_path)
    assert [output for output in outputs(ran) if output.output_type == "stream" and output.name == "stderr"] == []
    live = [output.data for output in outputs(ran) if WIDGET in output.get("data", {}) and not is_progress_bar(output)]
    assert live
    assert all(any(kind in data for kind in PICTURES) for data in live), "each live view carries a still picture"
    saved = nbformat.read(path, as_version=4)
    assert len(texts(still(ran))) == len(texts(saved)), (
        "saved outputs are of another version: run notebooks/run.py --save"
    )


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_reads_well_where_nothing_runs(path: Path) -> None:
    assert path.stat().st_size < 1_000_000
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.outputs or not cell.source for cell in notebook.cells if cell.cell_type == "code"), "not run"
    data = [output.get("data", {}) for output in outputs(notebook)]
    assert any(kind in bundle for bundle in data for kind in PICTURES)
    assert not any(WIDGET in bundle for bundle in data)
    assert "widgets" not in notebook.metadata
    assert "/home/" not in path.read_text()
    assert not any(output.output_type == "error" for output in outputs(notebook))


def test_there_is_one() -> None:
    assert ALL
