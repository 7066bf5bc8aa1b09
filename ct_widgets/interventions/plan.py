"""How a change is carried out: method, layer range, and what stays frozen [CT25, "Intervention methods"]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from ct_widgets.errors import InterventionError

Method = Literal["constrained", "iterative", "open"]
METHODS: tuple[Method, ...] = get_args(Method)
Layers = tuple[int, int] | range | None


class PlanSettings(TypedDict, total=False):
    """What may be asked of a plan besides its method; see `ReplacementModel.intervene`."""

    layers: Layers
    freeze_attention: bool | None
    freeze_norms: bool | None


class InterventionOptions(PlanSettings, total=False):
    """Keywords of `ReplacementModel.intervene`."""

    method: Method


@dataclass(frozen=True)
class InterventionPlan:
    """How one intervention is carried out.

    - "constrained": the MLP outputs of `layers` are clamped to what they were plus what the changed features write, so
      nothing but direct effects is felt inside the range. Above it the model's own MLPs run.
    - "iterative": inside `layers` features are encoded again under the change, so effects cascade; the MLP outputs are
      those of the local replacement model (errors kept). Above the range the model's own MLPs run.
    - "open": the change is added and everything runs. A feature is set against what it has become, since the MLP under
      it writes that already.

    layers: first and last layer of the range. Writes of changed features to other layers are left out.
    """

    method: Method
    layers: tuple[int, int]
    freeze_attention: bool
    freeze_norms: bool

    def covers(self, layer: int) -> bool:
        """Whether the range holds `layer`."""
        return self.layers[0] <= layer <= self.layers[1]

    def is_direct(self, layer: int) -> bool:
        """Whether a feature that reads in `layer` feels direct effects only, which then hold by construction."""
        return self.method == "constrained" and self.freeze_attention and layer <= self.layers[1] + 1


def make_plan(
    method: Method,
    changed: list[int],
    n_layers: int,
    *,
    layers: Layers = None,
    freeze_attention: bool | None = None,
    freeze_norms: bool | None = None,
) -> InterventionPlan:
    """Make a plan, with its defaults, for changes in the layers `changed` of a model with `n_layers`.

    The range goes from the lowest changed layer to the highest one ("constrained") or to the last ("iterative").
    Attention is frozen but for "open"; norm denominators are frozen where a constrained range holds all layers.
    """
    if method not in METHODS:
        raise InterventionError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if method == "open" and layers is not None:
        raise InterventionError(
            'an "open" intervention has no layer range; leave out `layers`, or choose another method'
        )
    lowest, highest = (changed[0], changed[-1]) if changed else (0, 0)
    if method == "open":
        first, last = 0, n_layers - 1
    elif layers is None:
        first, last = lowest, highest if method == "constrained" else n_layers - 1
    else:
        first, last = (layers[0], layers[-1]) if len(layers) else (0, -1)
    if not 0 <= first <= last < n_layers:
        raise InterventionError(f"layers={layers} is not a range; give (first, last), from 0 to {n_layers - 1}")
    if last < highest:
        raise InterventionError(
            f"layers {first} to {last} end below layer {highest}, where something is changed; "
            f"let it end at {highest} or higher"
        )
    all_layers = method == "constrained" and (first, last) == (0, n_layers - 1)
    attention = method != "open" if freeze_attention is None else freeze_attention
    return InterventionPlan(
        method,
        (first, last),
        attention,
        (all_layers and attention) if freeze_norms is None else freeze_norms,
    )
