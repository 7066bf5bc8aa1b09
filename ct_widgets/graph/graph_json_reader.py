"""The graph JSON that circuit-tracer and Neuronpedia share, read; `graph_json` says what is kept of it.

Axes: n nodes, e edges, p prompt positions.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ct_widgets.errors import FileFormatError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.graph_json import FEATURE_TYPES, logit_text, node_key, node_records
from ct_widgets.graph.node_id import KIND_NAMES, NO_INDEX, NodeId, sort_key

Record = dict[str, Any]

_KIND_OF_TYPE = {name: kind for kind, name in FEATURE_TYPES.items()}
_LOGIT_TEXT = re.compile(r'Output "(.*)" \(p=[0-9.]+\)', re.DOTALL)
_NO_TARGETS = ("error", "embedding")


class _Node(NamedTuple):
    id: NodeId
    record: Record


class _Edge(NamedTuple):
    target: int
    source: int
    weight: float


def decode(value: Any) -> dict[str, Any]:
    """The columns in the JSON value of a graph."""
    missing = [key for key in ("metadata", "qParams", "nodes", "links") if key not in value]
    if missing:
        raise FileFormatError(f"no graph JSON of circuit-tracer or Neuronpedia: it lacks {', '.join(missing)}")
    metadata, q_params = value["metadata"], value["qParams"]
    # Older files hold some of these as text for a URL: that is kept as it is.
    marks = {key: q_params[key] for key in ("pinnedIds", "supernodes", "clerps") if isinstance(q_params.get(key), list)}
    kinds = [_KIND_OF_TYPE.get(record["feature_type"], "other") for record in value["nodes"]]
    n_layers = _n_layers(kinds, value["nodes"])
    nodes = _nodes(kinds, value["nodes"], n_layers)
    nodes, edges = _in_order(nodes, _edges(nodes, value["links"]))
    pinned, other_pins = _resolve(nodes, marks.get("pinnedIds", []))
    supernodes, other_supernodes = _supernodes(nodes, marks.get("supernodes", []))
    own_labels, other_clerps = _clerps(nodes, marks.get("clerps", []))
    columns = {
        "prompt": str(metadata["prompt"]),
        "tokens": [str(token) for token in metadata["prompt_tokens"]],
        **_node_columns(nodes, metadata["prompt_tokens"], n_layers),
        **_edge_columns(len(nodes), edges),
        "labels": {**_labels(nodes), **own_labels},
        "supernodes": supernodes,
        "pinned": pinned,
    }
    others = {"pinnedIds": other_pins, "supernodes": other_supernodes, "clerps": other_clerps}
    rest = q_params | {key: others[key] for key in marks}
    kept = {
        "metadata": metadata,
        "qParams": {key: part for key, part in rest.items() if part not in ([], "")},
        "nodes": _unlike_ours(columns, nodes),
    }
    transcoder = (metadata.get("info") or {}).get("transcoder_set")
    made_with = {"model": metadata.get("scan")} | ({"transcoder": transcoder} if transcoder else {})
    return {**columns, "provenance": made_with | {"graph_json": kept}}


def _nodes(kinds: list[str], records: list[Record], n_layers: int) -> list[_Node]:
    seen: set[NodeId] = set()
    nodes: list[_Node] = []
    for kind, record in zip(kinds, records, strict=True):
        node = _node_id(kind, record, n_layers)
        while kind == "other" and node in seen:  # several unknown types may share their numbers
            node = node._replace(index=node.index + 1)
        seen.add(node)
        nodes.append(_Node(node, record))
    return nodes


def _n_layers(kinds: list[str], records: list[Record]) -> int:
    """Layers of the model: the logits stand at L + 1, in some hosted graphs at L, and features and errors below."""
    layers: dict[str, list[int]] = defaultdict(list)
    for kind, record in zip(kinds, records, strict=True):
        if kind in ("feature", "error", "logit"):
            layers[kind].append(int(record["layer"]))
    return max([0, *(layer + 1 for layer in layers["feature"] + layers["error"]), *(at - 1 for at in layers["logit"])])


def _node_id(kind: str, record: Record, n_layers: int) -> NodeId:
    name, position = str(record["node_id"]), int(record["ctx_idx"])
    parts = name.split("_")
    match kind:
        case "embedding":
            known = len(parts) == 3 and parts[1].isdigit()
            return NodeId(kind, -1, position, int(parts[1]) if known else int(record["feature"]))
        case "error":
            return NodeId(kind, int(record["layer"]), position, NO_INDEX)
        case "logit":
            return NodeId(kind, n_layers, position, int(record["feature"]))
        case "feature":
            known = len(parts) == 3 and parts[0] == str(record["layer"]) and parts[1].isdigit()
            index = int(parts[1]) if known else FeatureName.from_cantor(int(record["feature"])).index
            return NodeId(kind, int(record["layer"]), position, index)
        case _:
            layer = str(record["layer"])
            return NodeId(kind, int(layer) if layer.isdigit() else -1, position, int(record["feature"] or 0))


def _edges(nodes: list[_Node], links: list[Record]) -> list[_Edge]:
    """Edges by row numbers. Ids alone are ambiguous: those of errors collide with those of layer-0 features."""
    rows = _rows_by_name(nodes)
    weights: dict[tuple[int, int], float] = {}
    for link in links:
        for end in ("source", "target"):
            if link[end] not in rows:
                raise FileFormatError(f"a link has the {end} {link[end]!r}, which is not a node of the file")
        target = _target(nodes, rows[link["target"]])
        source = _source(nodes, rows[link["source"]], target, link, weights)
        weights[target, source] = weights.get((target, source), 0.0) + float(link["weight"])
    return [_Edge(target, source, weight) for (target, source), weight in weights.items()]


def _target(nodes: list[_Node], candidates: list[int]) -> int:
    """Of the nodes with a link's target id the one that can have inputs."""
    return next((row for row in candidates if nodes[row].id.kind not in _NO_TARGETS), candidates[0])


def _source(
    nodes: list[_Node], candidates: list[int], target: int, link: Record, taken: dict[tuple[int, int], float]
) -> int:
    """Of the nodes with a link's source id the one that its type names, else the first that is free and lies below."""
    if "source_type" in link:
        candidates = [row for row in candidates if nodes[row].record["feature_type"] == link["source_type"]]
        if not candidates:
            raise FileFormatError(f"a link has the source {link['source']!r} of a type that no such node has")
    below = (row for row in candidates if (target, row) not in taken and nodes[row].id.layer < nodes[target].id.layer)
    return next(below, candidates[0])


def _rows_by_name(nodes: list[_Node]) -> dict[str, list[int]]:
    """Rows that bear each node id, features before errors as circuit-tracer lists their links."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in sorted(range(len(nodes)), key=lambda row: nodes[row].id.kind == "error"):
        rows[nodes[row].record["node_id"]].append(row)
    return dict(rows)


def _in_order(nodes: list[_Node], edges: list[_Edge]) -> tuple[list[_Node], list[_Edge]]:
    """Nodes in the topological order of our graphs, and edges by their new row numbers."""
    order = sorted(
        range(len(nodes)), key=lambda row: sort_key(nodes[row].id, float(nodes[row].record.get("token_prob") or 0.0))
    )
    if any(node.id.kind == "other" for node in nodes):
        order = _with_others_before_their_targets(nodes, edges, order)
    new_row = {old: new for new, old in enumerate(order)}
    return [nodes[old] for old in order], sorted(
        _Edge(new_row[target], new_row[source], weight) for target, source, weight in edges
    )


def _with_others_before_their_targets(nodes: list[_Node], edges: list[_Edge], order: list[int]) -> list[int]:
    """`order` with nodes of unknown kinds, whose layer says nothing sure, moved to just before their first target.

    Rows are taken from the last to the first, each when all its targets are taken, unknown kinds first.
    """
    place = {row: -number for number, row in enumerate(order)}
    sources: dict[int, list[int]] = defaultdict(list)
    waiting = dict.fromkeys(order, 0)
    for target, source, _ in edges:
        sources[target].append(source)
        waiting[source] += 1
    ready = [_ready(nodes, place, row) for row in order if waiting[row] == 0]
    heapq.heapify(ready)
    taken: list[int] = []
    while ready:
        *_, row = heapq.heappop(ready)
        taken.append(row)
        for source in sources[row]:
            waiting[source] -= 1
            if waiting[source] == 0:
                heapq.heappush(ready, _ready(nodes, place, source))
    if len(taken) < len(nodes):
        raise FileFormatError("its links form a cycle, and an attribution graph has none")
    return taken[::-1]


def _ready(nodes: list[_Node], place: dict[int, int], row: int) -> tuple[bool, int, int]:
    return (nodes[row].id.kind != "other", place[row], row)


def _node_columns(nodes: list[_Node], tokens: list[str], n_layers: int) -> dict[str, Any]:
    """The columns of the nodes, and what the nodes say about the prompt and the model."""
    kinds, layers, positions, indices = zip(*(node.id for node in nodes), strict=True) if nodes else ((), (), (), ())
    token_ids = np.full(len(tokens), -1, dtype=np.int64)
    for node, _ in nodes:
        if node.kind == "embedding":
            token_ids[node.position] = node.index
    unknown = np.full(len(nodes), np.nan, dtype=np.float32)
    return {
        "token_ids": token_ids,
        "n_layers": n_layers,
        "kind": [KIND_NAMES.index(kind) for kind in kinds],
        "layer": layers,
        "position": positions,
        "index": indices,
        "activation": [_number(record.get("activation")) for _, record in nodes],
        "probability": [
            _number(record.get("token_prob")) if node.kind == "logit" else math.nan for node, record in nodes
        ],
        "node_token": [_node_token(node, tokens) for node in nodes],
        "bias": unknown,
        "preactivation": unknown,
        "cumulative": [_number(record.get("influence")) for _, record in nodes],
    }


def _node_token(node: _Node, tokens: list[str]) -> str:
    match node.id.kind:
        case "embedding":
            return str(tokens[node.id.position])
        case "logit":
            text = _LOGIT_TEXT.fullmatch(node.record["clerp"])
            return text[1] if text else ""
        case _:
            return ""


def _edge_columns(n: int, edges: list[_Edge]) -> dict[str, Any]:
    """Compressed rows of edges that are sorted by target, then source."""
    targets = np.array([edge.target for edge in edges], dtype=np.int64)
    return {
        "indptr": np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=n))]),
        "source": np.array([edge.source for edge in edges], dtype=np.int32),
        "weight": np.array([edge.weight for edge in edges], dtype=np.float32),
    }


def _labels(nodes: list[_Node]) -> dict[NodeId, str]:
    """Names that the file gives its nodes, but for logits that are called by their token and probability."""
    labels: dict[NodeId, str] = {}
    for node, record in nodes:
        text = _LOGIT_TEXT.fullmatch(record["clerp"]) if node.kind == "logit" else None
        plain = text is not None and record["clerp"] == logit_text(text[1], float(record.get("token_prob") or 0.0))
        if record["clerp"] and not plain:
            labels[node] = record["clerp"]
    return labels


def _resolve(nodes: list[_Node], names: Iterable[str]) -> tuple[list[NodeId], list[str]]:
    """The nodes that `names` stand for, and the names that stand for none."""
    rows = _rows_by_name(nodes)
    names = list(names)
    return [nodes[rows[name][0]].id for name in names if name in rows], [name for name in names if name not in rows]


def _supernodes(nodes: list[_Node], groups: Iterable[Any]) -> tuple[list[tuple[str, list[NodeId]]], list[list[str]]]:
    """Groups of nodes of the graph, and groups of the members that are none."""
    ours: list[tuple[str, list[NodeId]]] = []
    others: list[list[str]] = []
    for name, *members in groups:
        known, unknown = _resolve(nodes, members)
        ours.append((str(name), known))
        if unknown:
            others.append([str(name), *unknown])
    return ours, others


def _clerps(nodes: list[_Node], clerps: Iterable[Any]) -> tuple[dict[NodeId, str], list[Any]]:
    """Labels that a person gave in the viewer, [[id, text], ...], and those that are for no node of the graph."""
    rows = _rows_by_name(nodes)
    labels: dict[NodeId, str] = {}
    others: list[Any] = []
    for clerp in clerps:
        match clerp:
            case [str(name), str(text)] if name in rows:
                labels[nodes[rows[name][0]].id] = text
            case _:
                others.append(clerp)
    return labels, others


def _unlike_ours(columns: dict[str, Any], nodes: list[_Node]) -> dict[str, Record]:
    """For each node the fields of its record that we would write otherwise, so that they can be written back."""
    ours = node_records(GraphData.from_columns(**columns, provenance={}))
    unlike: dict[str, Record] = {}
    for (node, record), written in zip(nodes, ours, strict=True):
        fields = {key: field for key, field in record.items() if key != "clerp" and not _same(field, written.get(key))}
        if fields:
            unlike[node_key(node)] = fields
    return unlike


def _same(a: Any, b: Any) -> bool:
    """Equality to the precision of our columns."""
    if isinstance(a, float) and isinstance(b, int | float):
        return np.float32(a) == np.float32(b)
    return type(a) is type(b) and a == b


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
