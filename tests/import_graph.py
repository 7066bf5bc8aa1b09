"""Two rules of imports that import-linter cannot state.

- No cycles of more than one file, counting every import: at the top of a file, inside functions and for types only.
- What opens and shows a saved graph, `graph/` and `widgets/`, loads neither torch nor a model's library. Here only what
  runs when a file is imported counts: a function may load torch for whoever calls it.

`python tests/import_graph.py` prints each breach and fails if there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PACKAGE = Path(__file__).resolve().parent.parent / "ct_widgets"
LIGHT = ("ct_widgets.graph", "ct_widgets.widgets")
HEAVY = ("torch", "transformer_lens", "transformers", "safetensors.torch")


def modules(package: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found: dict[str, Path] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, known: Iterable[str], *, when_loaded: bool = False) -> Iterator[str]:
    """The modules among `known` that a file imports: any time, or only when it is loaded itself."""
    names = set(known)
    for node in _loaded(ast.parse(source)) if when_loaded else ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module in names:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inside & names
            if inside - names:
                yield node.module


def _loaded(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node` that run when the file is imported."""
    for child in ast.iter_child_nodes(node):
        types_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not types_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _loaded(child)


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of more than one module that import each other, directly or through others."""
    place = {name: i for i, name in enumerate(graph)}
    edges = [(place[name], place[other]) for name, others in graph.items() for other in others if other != name]
    rows, columns = np.array(edges, dtype=np.intp).reshape(-1, 2).T
    joined = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(place), len(place)))
    _, label = connected_components(joined, directed=True, connection="strong")
    groups: dict[int, list[str]] = {}
    for name, i in place.items():
        groups.setdefault(int(label[i]), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def read(package: Path = PACKAGE, *, heavy: Iterable[str] = (), when_loaded: bool = False) -> dict[str, set[str]]:
    """The import graph of the package, with modules of others named in `heavy`."""
    paths = modules(package)
    known = {*paths, *heavy}
    graph: dict[str, set[str]] = {name: set() for name in heavy}
    for name, path in paths.items():
        graph[name] = set(imports(path.read_text(encoding="utf-8"), known, when_loaded=when_loaded))
        if when_loaded:
            graph[name] |= {name.rpartition(".")[0]} & known  # a package is loaded before its parts
    return graph


def reached(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    """All modules that `start` imports, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(graph[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def breaches() -> list[str]:
    """Each breach of the two rules, in a sentence."""
    found = [f"{len(group)} files import each other: {', '.join(group)}" for group in cycles(read())]
    graph = read(heavy=HEAVY, when_loaded=True)
    for name in graph:
        if name.startswith(LIGHT) and (loaded := reached(graph, name) & set(HEAVY)):
            found.append(f"{name} loads {', '.join(sorted(loaded))}")
    return found


def main() -> int:
    """Print the breaches; the exit code says whether there are any."""
    found = breaches()
    print("\n".join(found) or "no cycles; a saved graph opens without torch")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
