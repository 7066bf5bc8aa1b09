"""Interventions: changing features of a prompt and seeing what the model makes of it [CT25, "Intervention"]."""

from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.generate import Generated, generate
from ct_widgets.interventions.intervene import intervene, run
from ct_widgets.interventions.intervention import Changes, Intervention, resolve
from ct_widgets.interventions.plan import Method, Plan, make_plan
from ct_widgets.interventions.prediction import Prediction, predict
from ct_widgets.interventions.result import InterventionResult, InterventionResults
from ct_widgets.interventions.session import PerturbationSession, Perturbed, Settings

__all__ = [
    "Baseline",
    "Changes",
    "Generated",
    "Intervention",
    "InterventionResult",
    "InterventionResults",
    "Method",
    "PerturbationSession",
    "Perturbed",
    "Plan",
    "Prediction",
    "Settings",
    "generate",
    "intervene",
    "make_plan",
    "predict",
    "resolve",
    "run",
]
