"""Short names of families from the sections of a fit: "sum = _5", "_6 + _9", "add 9 to a", "~36 + ~60", "sum ~ 92"."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ct_widgets.arithmetic.hypotheses import Fit, Kind, Section, Variable

Precision = Literal["exact", "range", "fuzzy"]
Modularity = Literal["none", "10", "100", "other"]

_PLATEAU, _OUTSIDE = 0.7, 0.3
"""A range is this high at least inside, and no higher than that just outside, as shares of its maximum."""

_PERIODIC = 0.8
"""Share of a section's variance that its last digits must explain for these to be what counts."""

_DIGITS = 3
"""More digits than these have no short name of their own."""


class Condition(NamedTuple):
    """What a variable has to be, as text: "_6", "36", "30–39", "~36"; and how exactly."""

    text: str
    precision: Precision
    modularity: Modularity


class Named(NamedTuple):
    """What `describe` says of a fit."""

    kind: Kind
    name: str
    precision: Precision
    modularity: Modularity


def describe(fit: Fit, by_sum: Fit | None = None) -> Named:
    """The name of a fit; `by_sum` is that of the sum alone where it tells more than the operands beside it."""
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
    order: tuple[Precision, ...] = ("exact", "range", "fuzzy")
    return max((one.precision for one in conditions), key=order.index)


def _common(conditions: list[Condition]) -> Modularity:
    found = {one.modularity for one in conditions}
    return found.pop() if len(found) == 1 else "other"


def condition(section: Section) -> Condition:
    """The condition that a section is the profile of."""
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


def _modular(modulus: int, values: np.ndarray, profile: np.ndarray) -> Condition:
    chosen = values[_over_half(profile)]
    if modulus == 2:
        return Condition("odd" if chosen[0] else "even", "exact", "other")
    width = len(str(modulus)) - 1
    fits_digits = modulus in (10, 100)
    modularity: Modularity = "10" if modulus == 10 else "100" if modulus == 100 else "other"
    start, end = _peak_run(profile, circular=True)
    peak = int(values[int(profile.argmax())])
    n = len(values)
    run = [(start + i) % n for i in range((end - start) % n + 1)]

    def written(value: int) -> str:
        return f"_{value:0{width}d}" if fits_digits else f"{value} mod {modulus}"

    if len(chosen) == 1:
        return Condition(written(int(chosen[0])), "exact", modularity)
    if len(run) == len(chosen) and len(run) < n:
        first, last = written(int(values[run[0]])), str(values[run[-1]])
        if fits_digits:
            sharp = profile[run].min() >= _PLATEAU * profile.max()
            return Condition(f"{first}–{int(values[run[-1]]):0{width}d}", "range" if sharp else "fuzzy", modularity)
        return Condition(f"{values[run[0]]}–{last} mod {modulus}", "fuzzy", modularity)
    if len(chosen) <= _DIGITS and fits_digits:
        return Condition("_" + ",".join(f"{int(value):0{width}d}" for value in chosen), "exact", modularity)
    return Condition(written(peak), "fuzzy", modularity)


def _run(variable: Variable, values: np.ndarray, profile: np.ndarray) -> Condition:
    """A single number, a range of numbers, or about a number: what is over half of the maximum around it."""
    start, end = _peak_run(profile, circular=False)
    inside = profile[start : end + 1]
    low, high = int(values[start]), int(values[end]) + variable.unit - 1
    if low == high:
        return Condition(str(low), "exact", "none")
    outside = [float(profile[i]) for i in (start - 1, end + 1) if 0 <= i < len(profile)]
    top = float(profile.max())
    if inside.min() >= _PLATEAU * top and max(outside, default=0.0) <= _OUTSIDE * top:
        return Condition(f"{low}–{high}", "range", "none")
    weight = np.maximum(inside, 0)
    centre = float((weight * (values[start : end + 1] + (variable.unit - 1) / 2)).sum() / weight.sum())
    return Condition(f"~{centre:.0f}", "fuzzy", "none")


def _over_half(profile: np.ndarray) -> np.ndarray:
    low = min(0.0, float(profile.min())) if profile.min() < 0 else float(profile.min())
    return profile >= low + (float(profile.max()) - low) / 2


def _peak_run(profile: np.ndarray, *, circular: bool) -> tuple[int, int]:
    """First and last place of what is over half of the way up, around the maximum."""
    high, n = _over_half(profile), len(profile)
    start = end = int(profile.argmax())
    while high[(start - 1) % n] and (circular or start > 0) and (end - start + 1) % n:
        start -= 1
    while high[(end + 1) % n] and (circular or end < n - 1) and (end - start + 1) % n:
        end += 1
    return (start % n, end % n) if circular else (start, end)
