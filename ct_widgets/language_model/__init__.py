"""Language models seen through TransformerLens bridges; the only place that imports transformer_lens."""

from ct_widgets.language_model.bridges import load_bridge, native_bridge, native_state
from ct_widgets.language_model.frozen_map import FrozenAttention, FrozenMap
from ct_widgets.language_model.frozen_run import FrozenRun
from ct_widgets.language_model.hooked_pass import HookedPass, hooked_pass
from ct_widgets.language_model.hooks import MLP_IN, MLP_OUT, NORMED, RESID_MID
from ct_widgets.language_model.language_model import LanguageModel
from ct_widgets.language_model.mlp_weights import MLPWeights
from ct_widgets.language_model.norm import Norm

__all__ = [
    "MLP_IN",
    "MLP_OUT",
    "NORMED",
    "RESID_MID",
    "FrozenAttention",
    "FrozenMap",
    "FrozenRun",
    "HookedPass",
    "LanguageModel",
    "MLPWeights",
    "Norm",
    "hooked_pass",
    "load_bridge",
    "native_bridge",
    "native_state",
]
