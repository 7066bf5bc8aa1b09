"""Attribution graphs of one prompt [CT25]: where attention is frozen, features replace MLPs, and edges are computed.

Start with attribute.py, which tells the phases; sweep.py is the definition of an edge, fast/ computes all of them.
"""

from ct_widgets.attribution.attribute import AttributionOptions, OnInterrupt, attribute
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel, replace_mlps
from ct_widgets.attribution.targets import Target

__all__ = ["AttributionOptions", "LocalReplacementModel", "OnInterrupt", "Target", "attribute", "replace_mlps"]
