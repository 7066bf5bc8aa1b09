"""Attribution graphs of one prompt: the local replacement model and the sweep through it."""

from ct_widgets.attribution.attribute import OnInterrupt, attribute
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.targets import Target

__all__ = ["LocalReplacementModel", "OnInterrupt", "Target", "attribute"]
