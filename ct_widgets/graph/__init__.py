"""Attribution graphs as values: columns, influence, pruning, scores and files. Needs neither torch nor a model."""

from ct_widgets.graph.attribution_graph import AttributionGraph
from ct_widgets.graph.audit import Audit
from ct_widgets.graph.influence import PathLengths, Scores
from ct_widgets.graph.node_id import KIND_NAMES, KINDS, NodeId, Supernode
from ct_widgets.graph.suggest import Suggestion

__all__ = [
    "KINDS",
    "KIND_NAMES",
    "AttributionGraph",
    "Audit",
    "NodeId",
    "PathLengths",
    "Scores",
    "Suggestion",
    "Supernode",
]
