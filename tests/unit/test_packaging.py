"""The wheel and the sdist: what is inside, and that the installed wheel works away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from graph_samples import random_graph

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel that was built from the sdist, so that the sdist is proved complete, and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scripts folder of an environment with the wheel, and its dependencies borrowed from the one that runs the tests.

    A line in a .pth file adds a folder but not the .pth files in it, so the editable install stays out.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", built[0], cwd=folder)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def test_the_wheel_carries_front_end_and_demo(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        sizes = {info.filename: info.file_size for info in wheel.infolist()}
    assert "ct_widgets/py.typed" in sizes
    for name in (
        "widgets/static/graph.js",
        "widgets/static/graph.css",
        *(
            f"widgets/static/{name}{end}"
            for name in ("compare", "explorer", "global_weights", "operands", "training")
            for end in (".js", ".css")
        ),
        "widgets/static/compare.page.js",
        "widgets/panels/perturbation.py",
        "demo/CARD.md",
        "demo/artifacts/model.safetensors",
        "demo/artifacts/tokenizer.json",
        "demo/artifacts/clt/config.yaml",
    ):
        assert sizes.get(f"ct_widgets/{name}", 0) > 0, name
    assert {name.split("/")[0].split("-")[0] for name in sizes} == {"ct_widgets"}
    assert any(name.endswith("data/etc/jupyter/jupyter_server_config.d/ct_widgets.json") for name in sizes)
    assert sum(size for name, size in sizes.items() if "/demo/artifacts/" in name) <= 16 * MEGABYTE


def test_the_sdist_builds_without_node(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    for name in ("ct_widgets/widgets/static/graph.js", "js/src", "hatch_build.py", "LICENSE", "README.md", "Makefile"):
        assert any(found == name or found.startswith(f"{name}/") for found in names), name
    assert not any(name.startswith((".venv", "node_modules")) for name in names)


def test_import_is_fast_and_light(installed: Path, tmp_path: Path) -> None:
    code = (
        "import time; start = time.perf_counter(); import ct_widgets; spent = time.perf_counter() - start; import sys;"
        "heavy = {'torch', 'transformer_lens', 'numpy', 'pandas', 'anywidget'} & set(sys.modules);"
        "print(ct_widgets.__file__, spent, sorted(heavy), sep='|')"
    )
    ran = [run(installed / "python", "-c", code, cwd=tmp_path).strip().split("|") for _ in range(3)]
    assert all(Path(file).is_relative_to(installed.parent) for file, _, _ in ran)
    assert all(heavy == "[]" for _, _, heavy in ran)
    assert min(float(spent) for _, spent, _ in ran) < 0.3


def test_a_saved_graph_opens_and_shows_without_torch(installed: Path, tmp_path: Path) -> None:
    path = random_graph().save(tmp_path / "graph.ctgraph")
    code = (
        "import sys, ct_widgets as ct; graph = ct.AttributionGraph.load(sys.argv[1]); graph.show();"
        "graph.to_html('graph.html'); graph.nodes; ct.CompareWidget(graph, graph).to_html('pair.html');"
        "print(graph.n_nodes, sorted({'torch', 'transformer_lens', 'transformers'} & set(sys.modules)))"
    )
    assert run(installed / "python", "-c", code, path, cwd=tmp_path).strip() == "43 []"
    assert "<html" in (tmp_path / "graph.html").read_text()


def test_the_command_traces_with_the_embedded_model(installed: Path, tmp_path: Path) -> None:
    line = run(installed / "ct-widgets", "trace", "calc: 36+59=", "--out", "graph.ctgraph", cwd=tmp_path)
    assert "'95'" in line
    assert "prompt      calc: 36+59=\n" in run(installed / "ct-widgets", "info", "graph.ctgraph", cwd=tmp_path)
