"""Cross-layer and per-layer transcoders, and the files they are kept in."""

from ct_widgets.transcoders.activation import Activation
from ct_widgets.transcoders.neurons import NeuronActivation
from ct_widgets.transcoders.transcoder import Transcoder
from ct_widgets.transcoders.weights import Kind

__all__ = ["Activation", "Kind", "NeuronActivation", "Transcoder"]
