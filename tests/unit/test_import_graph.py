"""The check of imports finds what it looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import import_graph


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "a.py": "def later():\n    from house import b\n",
        "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.c import C\n",
        "c.py": "import house.a\nclass C:\n    import torch\n",
        "d.py": "from house.a import later\n",
    }
    folder = tmp_path / "house"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_a_cycle_through_functions_and_types_is_found(package: Path) -> None:
    assert import_graph.cycles(import_graph.read(package)) == [["house.a", "house.b", "house.c"]]


def test_only_what_runs_at_import_is_loaded(package: Path) -> None:
    graph = import_graph.read(package, heavy=["torch"], when_loaded=True)
    assert import_graph.reached(graph, "house.c") == {"house", "house.a", "torch"}
    assert import_graph.reached(graph, "house.b") == {"house"}
    assert import_graph.reached(graph, "house.d") == {"house", "house.a"}


def test_the_package_keeps_the_rules() -> None:
    assert import_graph.breaches() == []
