"""The native graph file: all columns of a graph as safetensors, the rest as JSON in its header."""

from __future__ import annotations

from typing import Any, cast

from ct_widgets import columns
from ct_widgets.errors import FileFormatError
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.schema import ARRAYS, OPTIONAL

FORMAT = "ctgraph"
VERSION = 1
"""Version of the layout; raised when a file of the new layout would be misread by older code."""

_FACTS = ("prompt", "tokens", "n_layers", "node_token", "supernodes", "pinned", "provenance")


def encode(graph: GraphData) -> bytes:
    """The bytes of a `.ctgraph` file."""
    arrays = {name: getattr(graph, name) for name in ARRAYS}
    facts: dict[str, Any] = {name: getattr(graph, name) for name in _FACTS}
    facts |= {"format": FORMAT, "version": VERSION}
    facts["provenance"] = dict(graph.provenance)
    # Keys of labels are ids or strings, and keys in JSON are strings alone.
    facts["labels"] = list(graph.labels.items())
    return columns.encode({name: array for name, array in arrays.items() if array is not None}, facts)


def decode(data: bytes) -> dict[str, Any]:
    """The columns in the bytes of a `.ctgraph` file."""
    arrays, facts = columns.decode(data)
    if facts.get("format") != FORMAT:
        raise FileFormatError("a safetensors file, but not a graph: it was not written by AttributionGraph.save")
    version = facts.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise FileFormatError(
            f"version {version} of the graph format; this ct_widgets reads versions up to {VERSION}: upgrade it"
        )
    missing = [name for name in (*ARRAYS, *_FACTS, "labels") if name not in {*arrays, *facts, *OPTIONAL}]
    if missing:
        raise FileFormatError(f"damaged: it lacks {', '.join(missing)}")
    found = {name: arrays[name] for name in ARRAYS if name in arrays}
    pairs = cast("list[tuple[str | list[Any], str]]", facts["labels"])
    labels = {key if isinstance(key, str) else tuple(key): text for key, text in pairs}  # JSON has node ids as lists
    return {**found, **{name: facts[name] for name in _FACTS}, "labels": labels}
