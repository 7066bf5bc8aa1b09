"""The graph JSON that circuit-tracer and Neuronpedia share, written.

What a file held that our columns do not is kept in `provenance["graph_json"]` and written back: its metadata, the
parts of `qParams` that are no pins, supernodes or labels, and the fields of nodes that we would write otherwise, such
as the type of attention features. `graph_json_reader` reads.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from ct_widgets.feature_name import FeatureName
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.node_id import LOGIT, NodeId

FEATURE_TYPES = {
    "feature": "cross layer transcoder",
    "error": "mlp reconstruction error",
    "embedding": "embedding",
    "logit": "logit",
}
DEFAULT_THRESHOLD = 0.8
"""Pruning threshold at which viewers of these files open."""


def encode(graph: GraphData) -> dict[str, Any]:
    """The JSON value of `graph`; valid against the shared schema."""
    kept = graph.provenance.get("graph_json", {})
    records = node_records(graph)
    for row, node in enumerate(graph.node_ids):
        records[row].update(kept.get("nodes", {}).get(node_key(node), {}))
    names = [record["node_id"] for record in records]
    return {
        "metadata": kept.get("metadata") or _metadata(graph),
        "qParams": _q_params(graph, names, kept.get("qParams", {})),
        "nodes": records,
        "links": _links(graph, records),
    }


def node_key(node: NodeId) -> str:
    """A node id as the key of a JSON object."""
    return "/".join(map(str, node))


def logit_text(token: str, probability: float) -> str:
    """How these files name a logit."""
    return f'Output "{token}" (p={probability:.3f})'


def node_records(graph: GraphData) -> list[dict[str, Any]]:
    """One JSON object per node, in row order, from the columns alone."""
    cumulative = graph.cumulative_influence
    return [
        {
            **_identity(graph, node),
            "token_prob": float(graph.probability[row]) if node.kind == "logit" else 0.0,
            "is_target_logit": node.kind == "logit" and _is_first_logit(graph, row),
            "run_idx": 0,
            "reverse_ctx_idx": 0,
            "clerp": _clerp(graph, row),
            "influence": None if node.kind == "logit" else _number(cumulative[row]),
            "activation": _number(graph.activation[row]),
        }
        for row, node in enumerate(graph.node_ids)
    ]


def _identity(graph: GraphData, node: NodeId) -> dict[str, Any]:
    """The fields of a node that say which it is."""
    kind, layer, position, index = node
    match kind:
        case "embedding":
            name, feature, shown_layer, js_name = f"E_{index}_{position}", position, "E", f"E_{index}-{position}"
        case "error":
            name, feature, shown_layer, js_name = f"0_{layer}_{position}", -1, str(layer), f"{layer}_{position}-0"
        case "logit":
            shown_layer = str(graph.n_layers + 1)
            name, feature, js_name = f"{shown_layer}_{index}_{position}", index, f"L_{index}-{position}"
        case _:
            feature, shown_layer = FeatureName(layer, index).cantor, str(layer)
            name, js_name = f"{layer}_{index}_{position}", f"{layer}_{index}-0"
    return {
        "node_id": name,
        "feature": feature,
        "layer": shown_layer,
        "ctx_idx": position,
        "feature_type": FEATURE_TYPES.get(kind, FEATURE_TYPES["feature"]),
        "jsNodeId": js_name,
    }


def _clerp(graph: GraphData, row: int) -> str:
    """The text beside a node: its label, and for a logit without one its token and probability."""
    label = graph.label(row)
    if label or graph.kind[row] != LOGIT:
        return label
    return logit_text(graph.node_token[row], float(graph.probability[row]))


def _is_first_logit(graph: GraphData, row: int) -> bool:
    return row == 0 or bool(graph.kind[row - 1] != LOGIT)


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _metadata(graph: GraphData) -> dict[str, Any]:
    pruning = graph.provenance.get("pruning", {})
    metadata: dict[str, Any] = {
        "slug": re.sub(r"[^a-z0-9]+", "-", graph.prompt.lower()).strip("-") or "graph",
        "scan": str(graph.provenance.get("model", "unknown")),
        "transcoder_list": [],
        "prompt_tokens": list(graph.tokens),
        "prompt": graph.prompt,
        "node_threshold": DEFAULT_THRESHOLD,
        "schema_version": 1,
        "info": {"generator": {"name": "ct_widgets"}},
    }
    if pruning:
        metadata["pruning_settings"] = {name: pruning[name] for name in ("node_threshold", "edge_threshold")}
    return metadata


def _q_params(graph: GraphData, names: list[str], kept: dict[str, Any]) -> dict[str, Any]:
    """Pins and supernodes by the names of their nodes; ids that were no nodes of the graph stay as they came."""
    supernodes = [[name, *(names[graph.row(node)] for node in members)] for name, members in graph.supernodes]
    return {
        "linkType": "both",
        "clickedId": "",
        "sg_pos": "",
        **kept,
        **_with_kept("pinnedIds", [names[graph.row(node)] for node in graph.pinned], kept),
        **_with_kept("supernodes", supernodes, kept),
    }


def _with_kept(key: str, ours: list[Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Our marks followed by those that were kept; text of an older file only while there are no marks of ours."""
    others = kept.get(key, [])
    return {key: [*ours, *others]} if isinstance(others, list) else {key: ours or others}


def _links(graph: GraphData, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All edges. Error ids collide with ids of layer-0 features, so a link from a shared id says which it means."""
    uses = Counter(record["node_id"] for record in records)
    edges = zip(graph.source.tolist(), graph.adjacency.targets.tolist(), graph.weight.tolist(), strict=True)
    links: list[dict[str, Any]] = []
    for source, target, weight in edges:
        record = records[source]
        link = {"source": record["node_id"], "target": records[target]["node_id"], "weight": weight}
        if uses[record["node_id"]] > 1:
            link["source_type"] = record["feature_type"]
        links.append(link)
    return links
