"""Graph files by suffix: our `.ctgraph`, the `.json` of circuit-tracer and Neuronpedia, and circuit-tracer's `.pt`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ct_widgets.atomic import write_bytes
from ct_widgets.errors import FileFormatError, GraphError
from ct_widgets.graph import circuit_tracer_pt, ctgraph, graph_json, graph_json_reader
from ct_widgets.graph.data import GraphData

G = TypeVar("G", bound=GraphData)

WRITTEN = (".ctgraph", ".json")
READ = (*WRITTEN, ".pt")


def read(path: Path, build: Callable[..., G], tokenizer: circuit_tracer_pt.Tokenizer | None = None) -> G:
    """The graph in the file at `path`; `build` makes it from columns, `tokenizer` the text of a `.pt` file's tokens."""
    _check_suffix(path, READ)
    if tokenizer is not None and path.suffix != ".pt":
        raise FileFormatError(f"{path}: only .pt files lack the text of their tokens; leave the tokenizer out")
    data = path.read_bytes()
    try:
        match path.suffix:
            case ".ctgraph":
                columns = ctgraph.decode(data)
            case ".json":
                columns = graph_json_reader.decode(_parsed(data))
            case _:
                columns = circuit_tracer_pt.decode(data, tokenizer)
        return build(**columns)
    except (FileFormatError, GraphError) as error:
        raise FileFormatError(f"{path}: {error}") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: damaged, a part has the wrong form ({error!r})") from error


def write(graph: GraphData, path: Path) -> Path:
    """Write `graph` to `path` in the format of its suffix."""
    _check_suffix(path, WRITTEN)
    if path.suffix == ".ctgraph":
        return write_bytes(path, ctgraph.encode(graph))
    text = json.dumps(graph_json.encode(graph), ensure_ascii=False, allow_nan=False)
    return write_bytes(path, text.encode())


def _check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix not in suffixes:
        raise FileFormatError(f"{path}: expected a graph file that ends in {' or '.join(suffixes)}")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise FileFormatError(f"not JSON, or truncated ({error})") from error
