"""Attribution graphs of one prompt: the local replacement model and the sweep through it."""

from ct_widgets.attribution.attribute import attribute
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel

__all__ = ["LocalReplacementModel", "attribute"]
