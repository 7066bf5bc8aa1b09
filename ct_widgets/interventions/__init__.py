"""Interventions: changing features of a prompt and seeing what the model makes of it [CT25, "Intervention"].

Names are imported when first used: settings and plans need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.lazy import lazy

if TYPE_CHECKING:
    from ct_widgets.interventions.baseline import Baseline as Baseline
    from ct_widgets.interventions.engine import (
        activations_at as activations_at,
    )
    from ct_widgets.interventions.engine import (
        intervene as intervene,
    )
    from ct_widgets.interventions.engine import (
        resolve_and_plan as resolve_and_plan,
    )
    from ct_widgets.interventions.engine import (
        run as run,
    )
    from ct_widgets.interventions.gil import set_responsive as set_responsive
    from ct_widgets.interventions.intervention import (
        Changes as Changes,
    )
    from ct_widgets.interventions.intervention import (
        Intervention as Intervention,
    )
    from ct_widgets.interventions.intervention import (
        resolve as resolve,
    )
    from ct_widgets.interventions.plan import (
        InterventionOptions as InterventionOptions,
    )
    from ct_widgets.interventions.plan import (
        InterventionPlan as InterventionPlan,
    )
    from ct_widgets.interventions.plan import (
        Method as Method,
    )
    from ct_widgets.interventions.plan import (
        make_plan as make_plan,
    )
    from ct_widgets.interventions.prediction import Prediction as Prediction
    from ct_widgets.interventions.prediction import predict as predict
    from ct_widgets.interventions.result import (
        InterventionResult as InterventionResult,
    )
    from ct_widgets.interventions.result import (
        InterventionResults as InterventionResults,
    )
    from ct_widgets.interventions.session import PerturbationSession as PerturbationSession
    from ct_widgets.interventions.session import Perturbed as Perturbed
    from ct_widgets.interventions.settings import PerturbationSettings as PerturbationSettings
    from ct_widgets.interventions.steering import Generated as Generated
    from ct_widgets.interventions.steering import generate as generate

_NAMES = {
    "baseline": ("Baseline",),
    "engine": ("activations_at", "intervene", "resolve_and_plan", "run"),
    "gil": ("set_responsive",),
    "intervention": ("Changes", "Intervention", "resolve"),
    "plan": ("InterventionOptions", "InterventionPlan", "Method", "make_plan"),
    "prediction": ("Prediction", "predict"),
    "result": ("InterventionResult", "InterventionResults"),
    "session": ("PerturbationSession", "Perturbed"),
    "settings": ("PerturbationSettings",),
    "steering": ("Generated", "generate"),
}

__all__ = [name for names in _NAMES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__, __dir__ = lazy(__name__, _NAMES)
