"""Suggestions of supernodes: groups of features that a person may want to read as one.

Three signs are looked for: one feature at several positions; features with similar signed edge profiles; and features
that promote the same tokens, where these are known. The profile of a feature n is where its input comes from,
A[n, s] / row_total[n] for every s, and where its influence goes, A[t, n] / row_total[t] (I[t] + p[t]) for every t, both
with their signs. Similarity is the cosine, the lesser of the two sides; groups are those of average linkage.

Axes: n features that are compared, t targets (rows), s sources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ct_widgets.errors import GraphError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph.adjacency import Bool, Float64
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.node_id import NodeId, as_label_key
from ct_widgets.graph.pruning import cutoff

MOST_COMPARED = 1_000
"""Features compared with each other, the most influential first: pairs grow with the square."""

DEFAULT_SHARE = 0.8
"""Unless told which, the nodes that hold this share of the influence are looked at."""

LEAST_COSINE = 0.8
LEAST_TOKENS_SHARED = 1 / 3
"""Tokens that two features share, as a part of those of either: 1/3 is half of each of two equally long lists."""

_NAMED_TOKENS = 3


class Suggestion(NamedTuple):
    """A group that might be worth a supernode; a guess from the graph alone, for a person to accept or reject."""

    name: str
    nodes: tuple[NodeId, ...]
    reason: str
    """The reason in words: what the nodes have in common."""


def suggest_supernodes(
    graph: GraphData,
    nodes: Iterable[int | Sequence[Any]] | None = None,
    promoted: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Suggestion, ...]:
    """Suggestions for the features among `nodes`, the most influential first; they may overlap.

    Features that are in a supernode already are left out. `promoted` gives the tokens that a feature such as "L2/517"
    promotes most.
    """
    rows = _candidates(graph, nodes)
    tokens = {str(as_label_key(key)): frozenset(map(_plain, texts)) for key, texts in (promoted or {}).items()}
    reasons: dict[tuple[int, ...], list[tuple[str, str]]] = defaultdict(list)
    for group, name, reason in (
        *_same_feature(graph, rows),
        *_similar_profiles(graph, rows),
        *_shared_tokens(graph, rows, tokens),
    ):
        reasons[tuple(sorted(group))].append((name, reason))
    by_influence = sorted(reasons, key=lambda group: (-float(graph.influence[list(group)].sum()), group))
    return tuple(
        Suggestion(
            reasons[group][0][0],
            tuple(graph.node_ids[row] for row in group),
            "; ".join(reason for _, reason in reasons[group]),
        )
        for group in by_influence
    )


_Group = tuple[list[int], str, str]
"""Rows, name and reason of one suggestion."""


def _candidates(graph: GraphData, nodes: Iterable[int | Sequence[Any]] | None) -> list[int]:
    """Rows of the features to look at, the most influential first."""
    free = graph.is_kind("feature")
    free[[graph.row(node) for _, members in graph.supernodes for node in members]] = False
    if nodes is None:
        # A graph that was pruned before is what its maker wanted to see.
        share = 1.0 if graph.cumulative is not None else DEFAULT_SHARE
        wanted: Bool = graph.influence >= cutoff(graph.influence, share)
    else:
        wanted = np.zeros(graph.n_nodes, dtype=np.bool_)
        wanted[[graph.row(node) for node in nodes]] = True
    rows = np.flatnonzero(free & wanted)
    return rows[np.argsort(-graph.influence[rows], kind="stable")][:MOST_COMPARED].tolist()


def _same_feature(graph: GraphData, rows: list[int]) -> Iterator[_Group]:
    """Features that are active at several positions."""
    places: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        places[_feature(graph, row)].append(row)
    for name, group in places.items():
        if len(group) > 1:
            positions = ", ".join(str(graph.position[row]) for row in sorted(group))
            yield group, graph.label(group[0]) or name, f"the same feature at positions {positions}"


def _similar_profiles(graph: GraphData, rows: list[int]) -> Iterator[_Group]:
    """Features that read from the same nodes and write to the same nodes, with the same signs."""
    similarity = np.minimum(*(side @ side.T for side in _profiles(graph, rows)))
    for group in _clusters(similarity, LEAST_COSINE):
        members = [rows[place] for place in group]
        if len({_feature(graph, row) for row in members}) == 1:
            continue  # one feature at several positions, said by its own sign
        inside = similarity[np.ix_(group, group)][np.triu_indices(len(group), 1)].mean()
        yield members, _name(graph, members), f"similar inputs and outputs (mean cosine {inside:.2f})"


def _profiles(graph: GraphData, rows: list[int]) -> tuple[Float64, Float64]:
    """Input and output profiles of the features in `rows`, each [n, graph nodes] of length 1, or 0 if empty."""
    share = np.zeros(graph.n_edges)
    total = np.repeat(graph.row_total, graph.adjacency.in_degree).astype(np.float64)
    np.divide(graph.weight, total, out=share, where=total > 0)
    output = graph.influence + graph.output_weight
    place = np.full(graph.n_nodes, -1)
    place[rows] = np.arange(len(rows))
    inputs, outputs = np.zeros((2, len(rows), graph.n_nodes))
    targets = graph.adjacency.targets
    into, out_of = place[targets] >= 0, place[graph.source] >= 0
    inputs[place[targets[into]], graph.source[into]] = share[into]
    outputs[place[graph.source[out_of]], targets[out_of]] = share[out_of] * output[targets[out_of]]
    return _of_length_1(inputs), _of_length_1(outputs)


def _of_length_1(profiles: Float64) -> Float64:
    length = np.linalg.norm(profiles, axis=1, keepdims=True)
    return np.divide(profiles, length, out=np.zeros_like(profiles), where=length > 0)


def _shared_tokens(graph: GraphData, rows: list[int], tokens: Mapping[str, frozenset[str]]) -> Iterator[_Group]:
    """Features that promote the same tokens."""
    known = [row for row in rows if tokens.get(_feature(graph, row))]
    promoted = [tokens[_feature(graph, row)] for row in known]
    similarity = np.array([[len(a & b) / len(a | b) for b in promoted] for a in promoted])
    for group in _clusters(similarity, LEAST_TOKENS_SHARED):
        members = [known[place] for place in group]
        if len({_feature(graph, row) for row in members}) == 1:
            continue
        counts: dict[str, int] = defaultdict(int)
        for place in group:
            for token in promoted[place]:
                counts[token] += 1
        common = sorted(counts, key=lambda token: (-counts[token], token))[:_NAMED_TOKENS]
        quoted = ", ".join(f"“{token}”" for token in common)
        yield members, f"promotes {quoted}", f"they promote the same tokens: {quoted}"


def _clusters(similarity: Float64, least: float) -> list[list[int]]:
    """Groups of two and more, of average similarity `least` and above, by average linkage; `similarity` is [n, n]."""
    if len(similarity) < 2:
        return []
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = np.clip(1.0 - similarity, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    groups: dict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(fcluster(tree, 1.0 - least, criterion="distance").tolist()):
        groups[number].append(place)
    return [group for group in groups.values() if len(group) > 1]


def _name(graph: GraphData, rows: list[int]) -> str:
    """The label of the most influential member that has one, else that of its most influential member and how many."""
    strongest = sorted(rows, key=lambda row: (-float(graph.influence[row]), row))
    label = next((text for row in strongest if (text := graph.label(row))), None)
    return label or f"{_feature(graph, strongest[0])} and {len(rows) - 1} like it"


def _feature(graph: GraphData, row: int) -> str:
    return str(FeatureName(int(graph.layer[row]), int(graph.index[row])))


def _plain(token: str) -> str:
    """A token without what makes two spellings of one word differ."""
    if not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise GraphError(f'promoted tokens are text, not {token!r}: expected {{"L2/517": ["95", "195"]}}')
    return token.strip().casefold()
