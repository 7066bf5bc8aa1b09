"""Interventions: changing features of a prompt and seeing what the model makes of it [CT25, "Intervention"]."""

from ct_widgets.interventions.intervene import intervene
from ct_widgets.interventions.intervention import Intervention
from ct_widgets.interventions.plan import Method, Plan
from ct_widgets.interventions.result import InterventionResult, InterventionResults

__all__ = ["Intervention", "InterventionResult", "InterventionResults", "Method", "Plan", "intervene"]
