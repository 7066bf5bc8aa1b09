"""How a view or a session carries out its steering factors; a value that needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from ct_widgets.interventions.plan import Method


@dataclass(frozen=True)
class PerturbationSettings:
    """Method, layer range and attention of a `PerturbationSession`; they mean what they do for `model.intervene`.

    last_layer: the range goes from the first layer to this one, or higher where a named group has features; by default
        to the highest layer of the groups that are named ("constrained") or to the last layer ("iterative").

    >>> session.run({"sum": -1.0}, PerturbationSettings("iterative"))
    """

    method: Method = "constrained"
    last_layer: int | None = None
    freeze_attention: bool | None = None
