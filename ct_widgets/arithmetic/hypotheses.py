"""Hypotheses: an operand plot as a function of some variables, and how much of it each one explains.

A plot of 10,000 cells can be fitted by anything that has parameters enough, so every explained variance here is what
remains beyond chance:

    explained = 1 - (1 - R^2) / (1 - chance)

where chance is the R^2 that the same hypothesis reaches on the same values at random places. For a table of p values
that is (p - 1) / (n - 1), and the formula is the adjusted R^2. For products it is measured, on a shuffled plot: they
fit a few dozen cells wherever these are, and where they do they count for nothing.
Axes: a, b operands; g group of cells that a table gives one value; s sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Kind = Literal["sum", "lookup", "add", "active", "other"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_ROUNDS = 12
_PERIODS = 1.5
"""Numbers must span so many periods of a modulus for it to be tested."""

_MAX_CHANCE_R2 = 0.75
"""A product that explains more of the shuffled plot fits anything so sparse, and says nothing."""

_EVERYWHERE = 0.6
_TINY = 1e-12
COMMUTES = 0.8
"""A plot whose two halves agree this well (as a cosine) is taken to be symmetric in the operands."""


class Variable(NamedTuple):
    """One value that a cell has: of a, of b, or of their sum; the number itself or what `unit` makes of it."""

    of: Literal["a", "b", "sum"]
    unit: int = 1
    """Numbers are rounded down to a multiple of it: 10 gives tens."""
    modulus: int = 0
    """Numbers are taken modulo this; 0 is the number itself."""

    def __call__(self, numbers: Int64) -> Int64:
        """Evaluate the variable for some a, b or sums."""
        return (numbers % self.modulus if self.modulus else numbers) // self.unit * self.unit


class Section(NamedTuple):
    """How a fitted hypothesis goes up and down along one variable, through its highest point."""

    variable: Variable
    values: Int64
    profile: Float64


@dataclass(frozen=True, eq=False)
class Fit:
    """A hypothesis fitted to a plot. parameters: how many values it is free in; sections: along its variables."""

    hypothesis: str
    kind: Kind
    parameters: int
    explained: float
    sections: tuple[Section, ...]


class _Table(NamedTuple):
    """Groups of cells by the values of some variables. group: [a b]; size: [g]; values: a column per variable [g]."""

    hypothesis: str
    kind: Kind
    variables: tuple[Variable, ...]
    group: Int64
    size: Int64
    values: tuple[Int64, ...]


_TABLES: tuple[tuple[str, Kind, tuple[Variable, ...]], ...] = (
    *((f"sum mod {m}", "sum", (Variable("sum", 1, m),)) for m in (2, 5, 10, 20, 25, 50, 100)),
    ("sum", "sum", (Variable("sum"),)),
    *((f"{of} mod 10", "add", (Variable(of, 1, 10),)) for of in ("a", "b")),
    *((of, "add", (Variable(of),)) for of in ("a", "b")),
    ("ones and ones", "lookup", (Variable("a", 1, 10), Variable("b", 1, 10))),
    ("tens and tens", "lookup", (Variable("a", 10), Variable("b", 10))),
    ("ones and tens", "lookup", (Variable("a", 1, 10), Variable("b", 10))),
    ("tens and ones", "lookup", (Variable("a", 10), Variable("b", 1, 10))),
)

PRODUCTS = ("a and b", "a and b and sum")
"""Hypotheses that multiply functions of what they name."""


def fit_all(plot: Float64, a: Sequence[int], b: Sequence[int]) -> list[Fit]:
    """Fit every hypothesis to a plot [a, b] that is not constant; sections are those of the fit."""
    rows, columns = np.array(a, np.int64), np.array(b, np.int64)
    tables = _tables(tuple(a), tuple(b))
    fits = [_pair(plot, a, b), *(_fit_table(plot, table) for table in tables)]
    fits += [_fit_either(plot, rows, columns, modulus) for modulus in (10, 0)]
    return [*fits, *_fit_products(plot, rows, columns)]


@lru_cache(4)
def _tables(a: tuple[int, ...], b: tuple[int, ...]) -> list[_Table]:
    x, y = (grid.ravel() for grid in np.meshgrid(np.array(a, np.int64), np.array(b, np.int64), indexing="ij"))
    tables: list[_Table] = []
    for hypothesis, kind, variables in _TABLES:
        numbers = [{"a": x, "b": y, "sum": x + y}[variable.of] for variable in variables]
        if any(len(np.unique(n)) < _PERIODS * v.modulus for n, v in zip(numbers, variables, strict=True)):
            continue
        keys = np.stack([variable(n) for n, variable in zip(numbers, variables, strict=True)])
        values, group = np.unique(keys, axis=1, return_inverse=True)
        group = group.reshape(-1)
        # A table with as many values as there are numbers says no more than the numbers; one of a single value nothing.
        if 1 < values.shape[1] < len(x):
            tables.append(_Table(hypothesis, kind, variables, group, np.bincount(group), tuple(values)))
    return tables


def _beyond_chance(squared_error: float, plot: Float64, parameters: int) -> float:
    n = plot.size
    return 1 - squared_error / _variation(plot) * (n - 1) / (n - parameters) if parameters < n else 0.0


def _variation(plot: Float64) -> float:
    return float(((plot - plot.mean()) ** 2).sum())


def _fit_table(plot: Float64, table: _Table) -> Fit:
    mean = np.bincount(table.group, plot.ravel()) / table.size
    error = float((plot**2).sum() - (table.size * mean**2).sum())
    peak = int(mean.argmax())
    sections: list[Section] = []
    for variable, values in zip(table.variables, table.values, strict=True):
        others = [other[peak] == other for other in table.values if other is not values]
        along = np.logical_and.reduce(others) if others else np.ones(len(mean), bool)
        sections.append(Section(variable, values[along], mean[along]))
    explained = _beyond_chance(error, plot, len(mean))
    return Fit(table.hypothesis, table.kind, len(mean), explained, tuple(sections))


def _pair(plot: Float64, a: Sequence[int], b: Sequence[int]) -> Fit:
    """One pair of numbers, in either order, and 0 everywhere else."""
    row, column = np.unravel_index(int(plot.argmax()), plot.shape)
    pair = np.zeros_like(plot)
    pair[row, column] = plot[row, column]
    if b[int(column)] in a and a[int(row)] in b:
        mirrored = list(a).index(b[int(column)]), list(b).index(a[int(row)])
        pair[mirrored] = plot[mirrored]
    explained = _beyond_chance(float(((plot - pair) ** 2).sum()), plot, 4)
    x, y = sorted((a[int(row)], b[int(column)]))
    one = np.array([1.0])
    sections = (Section(Variable("a"), np.array([x]), one), Section(Variable("b"), np.array([y]), one))
    return Fit("one pair", "lookup", 4, explained, sections)


def _fit_either(plot: Float64, a: Int64, b: Int64, modulus: int) -> Fit:
    """f(a) + g(b): a condition on either operand, which need not both hold."""
    sections: list[Section] = []
    model = np.full_like(plot, -plot.mean())
    for variable, numbers, axis in ((Variable("a", 1, modulus), a, 1), (Variable("b", 1, modulus), b, 0)):
        values, group = np.unique(variable(numbers), return_inverse=True)
        mean = np.bincount(group, plot.mean(axis)) / np.bincount(group)
        model += np.expand_dims(mean[group], axis)
        sections.append(Section(variable, values, mean))
    parameters = sum(len(section.values) for section in sections) - 1
    explained = _beyond_chance(float(((plot - model) ** 2).sum()), plot, parameters)
    return Fit("a or b mod 10" if modulus else "a or b", "add", parameters, explained, tuple(sections))


def _fit_products(plot: Float64, a: Int64, b: Int64) -> list[Fit]:
    """f(a) g(b), conditions on a and on b, and f(a) g(b) h(a + b), on their sum as well.

    Where operands may come in either order, f is of the smaller one and g of the larger one.
    """
    commutes = np.array_equal(a, b) and float((plot * plot.T).sum()) >= COMMUTES * float((plot**2).sum())
    # One fixed shuffle: a plot has the same family whenever it is asked for.
    shuffled = _shuffled(plot, commutes=commutes)
    fits: list[Fit] = []
    for name, with_sum in zip(PRODUCTS, (False, True), strict=True):
        model = _product(plot, a, b, with_sum=with_sum, commutes=commutes)
        left = float(((plot - model) ** 2).sum()) / _variation(plot)
        by_chance = float(((shuffled - _product(shuffled, a, b, with_sum=with_sum, commutes=commutes)) ** 2).sum())
        unexplained_by_chance = by_chance / _variation(plot)
        explained = 1 - left / unexplained_by_chance if unexplained_by_chance >= 1 - _MAX_CHANCE_R2 else 0.0
        row, column = np.unravel_index(int(np.triu(model).argmax() if commutes else model.argmax()), model.shape)
        sections = (Section(Variable("a"), a, model[:, column]), Section(Variable("b"), b, model[row]))
        count = (len(a) + len(b) - 1) * (1 + with_sum)  # there are about as many sums as operands
        conditions = tuple(section for section in sections if not _nearly_everywhere(section.profile))
        if len(conditions) == 1:  # a strip: there is no condition on the other operand
            fits.append(Fit(name, "add", count, explained, conditions))
        else:
            fits.append(Fit(name, "lookup", count, explained, sections))
    return fits


def _nearly_everywhere(profile: Float64) -> bool:
    """Whether a profile is high along most of its length, so that it tells nothing."""
    return float((profile > profile.max() / 4).mean()) > _EVERYWHERE


def _shuffled(plot: Float64, *, commutes: bool) -> Float64:
    """The values of a plot at random places; those of a pair and of its mirror image stay together."""
    random = np.random.default_rng(0)
    if not commutes:
        return random.permutation(plot.ravel()).reshape(plot.shape)
    upper = np.triu_indices(len(plot))
    order = random.permutation(len(upper[0]))
    shuffled = np.zeros_like(plot)
    shuffled.T[upper] = plot.T[upper][order]
    shuffled[upper] = plot[upper][order]
    return shuffled


def _product(plot: Float64, a: Int64, b: Int64, *, with_sum: bool, commutes: bool) -> Float64:
    """The product of least squares, by fitting one factor after the other, in turns. -> [a, b]."""
    weight = np.ones_like(plot)
    if commutes:
        weight = np.triu(np.full_like(plot, 2.0)) - np.eye(len(plot))
        plot = (plot + plot.T) / 2
    wanted = plot * weight
    # Rows and columns without any activity have the factor 0.
    rows, columns = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    wanted, weight = wanted[np.ix_(rows, columns)], weight[np.ix_(rows, columns)]
    sums = a[rows][:, None] + b[columns]
    place = (sums - sums.min()).ravel()
    f, g, h = wanted.sum(1), wanted.sum(0), np.ones(wanted.shape)
    for _ in range(_ROUNDS):
        if with_sum:
            fg = f[:, None] * g
            numerator = np.bincount(place, (wanted * fg).ravel())
            denominator = np.bincount(place, (weight * fg * fg).ravel())
            h = (numerator / np.maximum(denominator, _TINY))[place].reshape(wanted.shape)
        gh = g * h
        f = (wanted * gh).sum(1) / np.maximum((weight * gh * gh).sum(1), _TINY)
        fh = f[:, None] * h
        g = (wanted * fh).sum(0) / np.maximum((weight * fh * fh).sum(0), _TINY)
    model = np.zeros_like(plot)
    model[np.ix_(rows, columns)] = np.where(weight > 0, f[:, None] * g * h, 0)
    return np.maximum(model, model.T) if commutes else model
