"""Graph files by suffix: `.ctgraph` of our own, and the `.json` that circuit-tracer and Neuronpedia share."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ct_widgets.errors import FileFormatError, GraphError
from ct_widgets.graph import ctgraph, graph_json, graph_json_reader
from ct_widgets.graph.data import GraphData

G = TypeVar("G", bound=GraphData)

SUFFIXES = (".ctgraph", ".json")


def read(path: Path, build: Callable[..., G]) -> G:
    """The graph in the file at `path`; `build` makes it from columns."""
    _check_suffix(path)
    data = path.read_bytes()
    try:
        return build(**(ctgraph.decode(data) if path.suffix == ".ctgraph" else graph_json_reader.decode(_parsed(data))))
    except (FileFormatError, GraphError) as error:
        raise FileFormatError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: damaged, a part has the wrong form ({error!r})") from error


def write(graph: GraphData, path: Path) -> Path:
    """Write `graph` to `path` in the format of its suffix."""
    _check_suffix(path)
    if path.suffix == ".ctgraph":
        return write_bytes(path, ctgraph.encode(graph))
    text = json.dumps(graph_json.encode(graph), ensure_ascii=False, allow_nan=False)
    return write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a whole file or none: readers see the old file until the new one is complete."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes files that only their owner can read; graphs are as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise FileFormatError(f"{path}: a graph file ends in {' or '.join(SUFFIXES)}")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise FileFormatError(f"not JSON, or truncated ({error})") from error
