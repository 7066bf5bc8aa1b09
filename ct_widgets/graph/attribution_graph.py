"""AttributionGraph: what attribution found for one prompt, as a value that can be asked, pruned, saved and shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from ct_widgets.atomic import write_bytes
from ct_widgets.display import CardSource, view
from ct_widgets.errors import GraphError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph import pruning
from ct_widgets.graph.adjacency import Adjacency, read_only
from ct_widgets.graph.audit import Audit, V, Validates, audit
from ct_widgets.graph.circuit_tracer_pt import Tokenizer
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.files import read, write
from ct_widgets.graph.influence import PathLengths, Scores, path_lengths, scores
from ct_widgets.graph.labels import HasLabels, Labels, as_labels
from ct_widgets.graph.node_id import NodeId, Supernode, as_label_key, as_node_id, as_supernodes
from ct_widgets.graph.paths import NodePath, strongest_paths
from ct_widgets.graph.schema import NODE_ARRAYS
from ct_widgets.graph.subgraph import subgraph_scores, supernode_edges
from ct_widgets.graph.suggest import Suggestion, suggest_supernodes

if TYPE_CHECKING:
    import pandas as pd
    from anywidget import AnyWidget


class AttributionGraph(GraphData):
    """The attribution graph of one prompt; immutable. Columns are those of GraphData.

    >>> graph = AttributionGraph.load("addition.ctgraph")
    >>> graph.nodes.query("kind == 'feature'").nlargest(5, "influence")
    >>> graph.prune(node_threshold=0.8).show()
    """

    def __repr__(self) -> str:
        return f"<AttributionGraph of {self.prompt!r}: {self.n_nodes:,} nodes, {self.n_edges:,} edges>"

    @property
    def nodes(self) -> pd.DataFrame:
        """Kind, layer, position, index, token, activation, influence, probability and label of every node."""
        import pandas as pd  # slow to import: not before a table is asked for

        rows = range(self.n_nodes)
        return pd.DataFrame(
            {
                "kind": [node.kind for node in self.node_ids],
                "layer": self.layer.copy(),
                "position": self.position.copy(),
                "index": self.index.copy(),
                "token": [self.token(row) for row in rows],
                "activation": self.activation.copy(),
                "influence": self.influence.copy(),
                "probability": self.probability.copy(),
                "label": [self.label(row) for row in rows],
            }
        )

    @property
    def edges(self) -> pd.DataFrame:
        """Source and target (row numbers of `nodes`) and signed weight of every edge."""
        import pandas as pd

        columns = {"source": self.source, "target": self.adjacency.targets, "weight": self.weight}
        return pd.DataFrame(columns, copy=False)

    def with_features(self, features: CardSource) -> Self:
        """Return this graph with `model.features` at hand, from which its views show examples; files do not keep it.

        Labels that they hold for the graph's features are added to the graph.
        """
        graph = copy(self.with_labels(features) if isinstance(features, HasLabels) else self)
        object.__setattr__(graph, "features", features)
        return graph

    def prune(
        self,
        node_threshold: float = 0.8,
        edge_threshold: float = 0.98,
        *,
        protect: Iterable[str] = ("embedding", "logit"),
    ) -> Self:
        """The graph of the fewest nodes, then edges, that hold these shares of the influence on the output.

        Kinds in `protect` always stay; circuit-tracer protects embeddings and logits, [CT25] errors too. Shares and
        scores of the result count what was removed as error.
        """
        for name, threshold in (("node_threshold", node_threshold), ("edge_threshold", edge_threshold)):
            if not 0 <= threshold <= 1:
                raise GraphError(f"{name} is {threshold}; it is a share of the influence, from 0 to 1")
        settings = {
            "node_threshold": node_threshold,
            "edge_threshold": edge_threshold,
            "nodes_before": self.n_nodes,
            "edges_before": self.n_edges,
        }
        keep, adjacency = pruning.prune(
            self.adjacency,
            self.influence,
            self.output_weight,
            node_threshold=node_threshold,
            edge_threshold=edge_threshold,
            protected=self.is_kind(*protect),
            needs_input=self.is_kind("feature"),
        )
        kept = set(np.flatnonzero(keep).tolist())
        stays = {node for row, node in enumerate(self.node_ids) if row in kept}
        return replace(
            self,
            **{name: read_only(getattr(self, name)[keep]) for name in NODE_ARRAYS},
            node_token=tuple(self.node_token[row] for row in sorted(kept)),
            adjacency=Adjacency(*(read_only(column) for column in adjacency)),
            cumulative=read_only(self.cumulative_influence[keep]),
            supernodes=_members_in(stays, self.supernodes),
            pinned=tuple(node for node in self.pinned if node in stays),
            provenance=MappingProxyType({**self.provenance, "pruning": settings}),
        )

    def scores(self) -> Scores:
        """Replacement score and both variants of completeness."""
        return scores(
            self.influence, self.output_weight, self.is_kind("embedding"), self.is_kind("error"), self.row_total > 0
        )

    def subgraph_scores(self, nodes: Iterable[int | Sequence[Any]] | None = None) -> Scores:
        """Scores if only `nodes`, the embeddings and the logits explained anything, and all others counted as error.

        By default the nodes that are pinned or in supernodes.
        """
        return subgraph_scores(self, nodes)

    def supernode_edges(self) -> pd.DataFrame:
        """Edges between supernodes and the pinned nodes in none: source, target, weight (share of input), signed."""
        return supernode_edges(self)

    def suggest_supernodes(
        self,
        nodes: Iterable[int | Sequence[Any]] | None = None,
        *,
        promoted: Mapping[str, Sequence[str]] | None = None,
    ) -> tuple[Suggestion, ...]:
        """Groups of features that may belong together: suggestions to accept or reject, which no formula can judge.

        They are one feature at several positions, features whose edges are alike, and features that promote the same
        tokens, if `promoted` says which tokens each does. `nodes` are those to group; by default the features with
        0.8 of the influence, or all of a pruned graph, that are in no supernode yet.

        >>> for suggestion in graph.suggest_supernodes(promoted={"L2/517": ["95", "195"]}):
        ...     grouped = graph.annotated(supernodes=[(suggestion.name, suggestion.nodes)])
        """
        return suggest_supernodes(self, nodes, promoted)

    def paths(self, source: int | Sequence[Any], target: int | Sequence[Any], k: int = 10) -> list[NodePath]:
        """The `k` strongest paths from `source` to `target`, each with its share of the target's input."""
        return strongest_paths(self, source, target, k)

    def path_lengths(self) -> PathLengths:
        """How many edges the influence of the embeddings takes to arrive at the logits."""
        return path_lengths(self.adjacency, self.row_total, self.output_weight, self.is_kind("embedding"))

    @overload
    def audit(self) -> Audit: ...

    @overload
    def audit(self, model: Validates[V]) -> V: ...

    def audit(self, model: Validates[V] | None = None) -> Audit | V:
        """Check the graph's own quality: a small table when printed.

        model: the one that the graph was made with; the graph's claims are then also tested on it, by ablations and
            perturbations (see `ReplacementModel.validate`): how far to trust it.

        >>> graph.audit(model).verdict
        """
        return audit(self, self.scores()) if model is None else model.validate(self)

    def annotated(
        self,
        *,
        labels: Mapping[Any, str] | None = None,
        supernodes: Iterable[Sequence[Any]] | None = None,
        pinned: Iterable[Sequence[Any]] | None = None,
    ) -> Self:
        """Return this graph with other labels, supernodes or pinned nodes; what is not given stays.

        Keys of `labels` are node ids, or features such as "L2/517"; members of supernodes must be in the graph.
        `with_labels` adds to the labels instead.
        """
        changes: dict[str, Any] = {}
        if labels is not None:
            changes["labels"] = MappingProxyType({as_label_key(key): str(text) for key, text in labels.items()})
        if supernodes is not None:
            changes["supernodes"] = as_supernodes(supernodes)
        if pinned is not None:
            changes["pinned"] = tuple(as_node_id(node) for node in pinned)
        return replace(self, **changes)

    def with_labels(self, source: Labels) -> Self:
        """Return this graph with the labels in `source` added, in place of older ones of the same feature or node.

        source: a mapping, a `.json` or `.csv` file, or what has labels: a feature store, another graph, the families
            of `model.operand_activations()`, marked "(auto)".

        Of many labels those of features and nodes that are in this graph are taken; GraphError if a mapping or file
        has labels, and none of these.

        >>> graph = graph.with_labels({"L2/597": "sum = _5"}).with_labels("labels.csv").with_labels(model.features)
        """
        found = as_labels(source)
        if not found:
            return self
        features = {str(FeatureName(node.layer, node.index)) for node in self.node_ids if node.kind == "feature"}
        here = features.union(self.node_ids)
        fitting = {key: text for key, text in found.items() if key in here}
        if not fitting and isinstance(source, Mapping | str | Path):
            raise GraphError(
                f"none of the {len(found)} labels is for a feature or node of this graph, e.g. {next(iter(found))}"
            )
        return self.annotated(labels={**self.labels, **fitting})

    @classmethod
    def load(cls, path: str | Path, *, tokenizer: Tokenizer | None = None) -> Self:
        """Read a graph: `.ctgraph`, the `.json` that circuit-tracer and Neuronpedia share, or circuit-tracer's `.pt`.

        tokenizer: gives the text of tokens (`decode`) in `.pt` files, which hold numbers only. Nothing that such a file
        may hold besides a graph is run.
        """
        return read(Path(path), cls.from_columns, tokenizer)

    def save(self, path: str | Path) -> Path:
        """Write the graph to `.ctgraph`, or to `.json` for circuit-tracer's and Neuronpedia's viewers."""
        return write(self, Path(path))

    def to_html(self, path: str | Path) -> Path:
        """Write the interactive graph as one HTML file that opens from disk, without network or kernel."""
        return write_bytes(Path(path), view("graph page")(self).encode())

    def show(self) -> AnyWidget:
        """Make a GraphWidget, the interactive view of this graph; every call gives a view of its own."""
        return view("graph")(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Show the view in a notebook, with a static picture for places that run no widgets."""
        # IPython's protocol is private in name only.
        data, metadata = self.show()._repr_mimebundle_() or ({}, {})  # pyright: ignore[reportPrivateUsage]
        return {**data, "text/plain": repr(self)}, metadata


def _members_in(stays: set[NodeId], supernodes: tuple[Supernode, ...]) -> tuple[Supernode, ...]:
    """The supernodes with only the members in `stays`; those that lose all members go."""
    groups = (Supernode(name, tuple(node for node in members if node in stays)) for name, members in supernodes)
    return tuple(group for group in groups if group.members)
