"""Short names of families from the sections of a fit: "sum = _5", "_6 + _9", "add 9 to a", "~36 + ~60", "sum ~ 92"."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.hypotheses import Fit, Float64, Int64, Kind, Section, Variable

Precision = Literal["exact", "range", "fuzzy"]
Modularity = Literal["none", "10", "100", "other"]

_PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_PLATEAU, _OUTSIDE = 0.7, 0.3
"""A range is this high at least inside, and no higher than that just outside, as shares of its maximum."""

_PERIODIC = 0.8
"""Share of a section's variance that its last digits must explain for these to be what counts."""

_PEAKS = 2
"""Peaks that a name tells."""

_DIGITS = 3
"""More digits than these have no short name of their own."""


class Condition(NamedTuple):
    """The value that a variable has to have, as text: "_6", "36", "30–39", "~36"; and how exactly."""

    text: str
    precision: Precision
    modularity: Modularity


class Named(NamedTuple):
    """The family that `describe` makes of a fit."""

    kind: Kind
    name: str
    precision: Precision
    modularity: Modularity


def describe(fit: Fit, by_sum: Fit | None = None) -> Named:
    """Name a fit; `by_sum` is that of the sum alone where it tells more than the operands beside it."""
    if by_sum is not None:
        on_sum = condition(by_sum.sections[0])
        return Named("sum", f"{_sum(on_sum)}, in part", on_sum.precision, on_sum.modularity)
    conditions = [condition(section) for section in fit.sections]
    precision, modularity = _weakest(conditions), _common(conditions)
    match fit.kind:
        case "sum":
            name = _sum(conditions[0])
        case "add" if len(conditions) == 1:
            # A condition on one operand is what is added to the other.
            name = f"add {conditions[0].text} to {'b' if fit.sections[0].variable.of == 'a' else 'a'}"
        case "add":
            stronger = max(range(2), key=lambda i: float(np.ptp(fit.sections[i].profile)))
            name = f"add {conditions[stronger].text}"
        case _:
            name = " + ".join(one.text for one in conditions)
    return Named(fit.kind, name, precision, modularity)


def _sum(on_sum: Condition) -> str:
    if on_sum.text in ("even", "odd"):
        return f"sum {on_sum.text}"
    return f"sum ~ {on_sum.text[1:]}" if on_sum.text.startswith("~") else f"sum = {on_sum.text}"


def _weakest(conditions: list[Condition]) -> Precision:
    return max(conditions, key=lambda one: _PRECISIONS.index(one.precision)).precision


def _common(conditions: list[Condition]) -> Modularity:
    first = conditions[0].modularity
    return first if all(one.modularity == first for one in conditions) else "other"


def condition(section: Section) -> Condition:
    """Read the condition that a section is the profile of."""
    variable, values, profile = section
    if variable.modulus:
        return _modular(variable.modulus, values, profile)
    if variable.unit == 1 and len(values) >= 20:
        digits = values % 10
        mean = np.bincount(digits, profile, 10) / np.maximum(np.bincount(digits, minlength=10), 1)
        variation = float(((profile - profile.mean()) ** 2).sum())
        left = float(((profile - mean[digits]) ** 2).sum()) * (len(values) - 1) / max(len(values) - 10, 1)
        if variation and 1 - left / variation >= _PERIODIC:
            return _modular(10, np.arange(10), mean)
    return _run(variable, values, profile)


def _modular(modulus: int, values: Int64, profile: Float64) -> Condition:
    """One residue, a run of them, or a few: "_6", "_4–6", "_1,7", "3 mod 5"."""
    high, run = values[_over_half(profile)], values[_peak_run(profile)]
    modularity: Modularity = "10" if modulus == 10 else "100" if modulus == 100 else "other"
    if modulus == 2:
        return Condition("odd" if high[0] else "even", "exact", "other")
    digits = len(str(modulus)) - 1 if modularity != "other" else 1
    before, after = ("", f" mod {modulus}") if modularity == "other" else ("_", "")

    def written(*residues: int, between: str = ",") -> str:
        return before + between.join(f"{int(residue):0{digits}d}" for residue in residues) + after

    if len(high) == 1:
        return Condition(written(high[0]), "exact", modularity)
    if len(run) == len(high) < len(profile):
        sharp = float(profile[np.isin(values, run)].min()) >= _PLATEAU * float(profile.max())
        return Condition(written(run[0], run[-1], between="–"), "range" if sharp else "fuzzy", modularity)
    if len(high) <= _DIGITS:
        return Condition(written(*high), "exact", modularity)
    return Condition(written(values[int(profile.argmax())]), "fuzzy", modularity)


def _run(variable: Variable, values: Int64, profile: Float64) -> Condition:
    """Single numbers, ranges of numbers, or about a number: what is over half of the maximum, the highest first."""
    places = np.flatnonzero(_over_half(profile))
    parity = values[places] % 2
    if len(places) > _PEAKS and (parity == parity[0]).all() and (values % 2 != parity[0]).any():
        same = values % 2 == parity[0]
        told_of_same = _run(variable, values[same], profile[same])
        return told_of_same._replace(text=f"{told_of_same.text} {'odd' if parity[0] else 'even'}")
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    runs.sort(key=lambda run: -float(profile[run].max()))
    shown = sorted(runs[:_PEAKS], key=lambda run: int(run[0]))
    told = [_one_run(variable, values, profile, run) for run in shown]
    more = ", …" if len(runs) > _PEAKS else ""
    return Condition(", ".join(one.text for one in told) + more, _weakest(told), "none")


def _one_run(variable: Variable, values: Int64, profile: Float64, run: Int64) -> Condition:
    start, end = int(run[0]), int(run[-1])
    inside = profile[start : end + 1]
    low, high = int(values[start]), int(values[end]) + variable.unit - 1
    if low == high:
        return Condition(str(low), "exact", "none")
    outside = [float(profile[i]) for i in (start - 1, end + 1) if 0 <= i < len(profile)]
    top = float(inside.max())
    if inside.min() >= _PLATEAU * top and max(outside, default=0.0) <= _OUTSIDE * top:
        return Condition(f"{low}–{high}", "range", "none")
    weight = np.maximum(inside, 0)
    centre = float((weight * (values[start : end + 1] + (variable.unit - 1) / 2)).sum() / weight.sum())
    return Condition(f"~{centre:.0f}", "fuzzy", "none")


def _over_half(profile: Float64) -> npt.NDArray[np.bool_]:
    """Where a profile is more than half of the way up from its lowest value."""
    low = float(profile.min())
    return profile >= low + (float(profile.max()) - low) / 2


def _peak_run(profile: Float64) -> list[int]:
    """Places around the maximum, and around the end, that are over half of the way up."""
    high, n = _over_half(profile), len(profile)
    start = end = int(profile.argmax())
    while high[(start - 1) % n] and end - start + 1 < n:
        start -= 1
    while high[(end + 1) % n] and end - start + 1 < n:
        end += 1
    return [i % n for i in range(start, end + 1)]
