"""Families of features that calculate, told from operand plots [CT25, "Addition"].

- sum: the plot depends on a + b (anti-diagonals);
- lookup: there is a condition on a and one on b (points, grids, blobs);
- add: there is a condition on one operand, or on either (strips);
- active: the feature is nearly always active, and changes little;
- other: nothing of that explains NAMED of its variance.

The family goes by one of the hypotheses of `hypotheses`: by the simplest table that explains nearly as much as the
best table, unless a product, which is free in more ways, explains clearly more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import get_args

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.family_names import Modularity, Precision, describe
from ct_widgets.arithmetic.hypotheses import PRODUCTS, Fit, Kind, fit_all

KINDS: tuple[Kind, ...] = get_args(Kind)

NAMED = 0.6
"""A family is named if it explains so much of the plot's variance, beyond chance."""

_NEARLY, _CLEARLY = 0.02, 0.1
"""A simpler table may explain this much less than the best one; a product must explain this much more than a table."""

_MOSTLY = 0.75
"""Share of the pairs at which a mostly active feature is active."""


@dataclass(frozen=True)
class Family:
    """The family of a feature that calculates.

    precision: whether its conditions are on single numbers ("exact"), on a range with edges ("range") or on what is
        near a number ("fuzzy"); modularity: what numbers count modulo of.
    name: short, such as "sum = _5", "_6 + _9", "add 9", "~36 + ~60"; explained: share of the plot's variance that the
        family explains beyond chance; evidence: that share for every hypothesis.
    """

    kind: Kind
    precision: Precision
    modularity: Modularity
    name: str
    explained: float
    evidence: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)


def classify(plot: npt.ArrayLike, a: Iterable[int] = range(100), b: Iterable[int] = range(100)) -> Family:
    """Tell the family of a feature by its operand plot [a, b]; of plots with a sign the magnitude counts.

    >>> classify(operands.plot(2, 517), operands.a, operands.b).name
    """
    values = np.abs(np.asarray(plot, np.float64))
    square = float((values**2).mean())
    constant = float(values.mean()) ** 2 / square if square else 0.0
    if (values > 0).mean() >= _MOSTLY and constant >= NAMED:
        return Family("active", "fuzzy", "none", "mostly active", constant, MappingProxyType({"constant": constant}))
    if values.min() == values.max():
        return Family("other", "fuzzy", "none", "never active", 0.0)
    fits = fit_all(values, tuple(a), tuple(b))
    evidence = MappingProxyType({fit.hypothesis: fit.explained for fit in fits} | {"constant": constant})
    best = max(fit.explained for fit in fits)
    if best < NAMED:
        return Family("other", "fuzzy", "none", "other", best, evidence)
    chosen = _choose(fits)
    kind, name, precision, modularity = describe(chosen, _by_sum(chosen, fits))
    return Family(kind, precision, modularity, name, chosen.explained, evidence)


def _choose(fits: list[Fit]) -> Fit:
    """The hypothesis to go by."""
    tables = [fit for fit in fits if fit.hypothesis not in PRODUCTS]
    enough = max(fit.explained for fit in tables) - _NEARLY
    chosen = min((fit for fit in tables if fit.explained >= enough), key=lambda fit: fit.parameters)
    for product in (fit for name in PRODUCTS for fit in fits if fit.hypothesis == name):
        if product.explained > chosen.explained + _CLEARLY or (chosen.explained < NAMED <= product.explained):
            chosen = product
    return chosen


def _by_sum(chosen: Fit, fits: Iterable[Fit]) -> Fit | None:
    """The fit of the sum alone, if of what `chosen` holds together it says more than the operands do."""
    if chosen.hypothesis != PRODUCTS[1]:
        return None
    explained = {fit.hypothesis: fit.explained for fit in fits}
    by_sum = next((fit for fit in fits if fit.hypothesis == "sum"), None)
    return by_sum if by_sum is not None and by_sum.explained > explained[PRODUCTS[0]] else None
