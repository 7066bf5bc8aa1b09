"""Bins of activation histograms, the same for every feature: four to an octave, from 2^-12 to 2^12.

Fixed bins make histograms exact in one pass, whatever the order of the tokens, and sums of histograms histograms.
Edges are 1, 1.25, 1.5 and 1.75 times a power of two, which the bits of a float32 spell out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PER_OCTAVE = 4
_LOW, _HIGH = -12, 12
_MANTISSA = 21  # bits of a float32 below the two that count quarters of an octave
_BIAS = 127

EDGES: npt.NDArray[np.float32] = np.concatenate(
    [
        [-np.inf],
        (2.0 ** np.arange(_LOW, _HIGH)[:, None] * (1 + np.arange(PER_OCTAVE) / PER_OCTAVE)).ravel(),
        [2.0**_HIGH, np.inf],
    ]
).astype(np.float32)
"""Bin i holds EDGES[i] <= activation < EDGES[i + 1]; the first and the last bin hold all that is smaller or larger."""

N_BINS = len(EDGES) - 1
_FIRST = (_LOW + _BIAS) * PER_OCTAVE - 1


def bin_of(activation: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the bin of each activation."""
    bits = np.ascontiguousarray(activation, dtype=np.float32).view(np.int32) >> _MANTISSA
    # Negative values have a negative number of bits.
    return np.clip(bits - _FIRST, 0, N_BINS - 1).astype(np.int64)


def finite_edges(edges: npt.NDArray[np.float32]) -> list[float | None]:
    """Turn edges into JSON values; those of the two open bins, which are infinite, become None."""
    return [float(edge) if np.isfinite(edge) else None for edge in edges]


def span(counts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find the first bin that holds anything and the one after the last, of histograms [f, bins]; 0 and 0 if empty."""
    filled = counts > 0
    first = filled.argmax(1)
    last = np.where(filled.any(1), N_BINS - filled[:, ::-1].argmax(1), 0)
    return first, last
