"""Active features of a layer as a list of entries, which is short where a matrix would be almost empty.

Axes: n token that counts, f feature of one layer, i entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[Any]


class Active(NamedTuple):
    """Where features of a layer are active: token [i], feature [i], activation [i], in order of tokens."""

    token: Array
    feature: Array
    value: Array

    def take(self, chosen: Array) -> Active:
        """Select entries by mask or number."""
        return Active(*(column[chosen] for column in self))


def find_active(where: Tensor, a: Tensor) -> Active:
    """Find the entries of a [n, f] that `where` [n, f] marks and that are not 0, from what `Transcoder.active` returns.

    >>> active = find_active(*transcoder.active(layer, x))
    """
    where, entries = where.reshape(-1), a.reshape(-1)
    if a.device.type == "cpu":  # where numpy finds them in half of torch's time
        flat = np.flatnonzero(where.numpy())
        value = entries.numpy()[flat].astype(np.float32, copy=False)
    else:  # from where only those found should travel
        found = where.nonzero()[:, 0]
        flat, value = found.cpu().numpy(), entries[found].float().cpu().numpy()
    if not value.all():  # 0 is above a threshold below it
        flat, value = flat[value != 0], value[value != 0]
    token = flat // a.shape[1]
    return Active(token, flat - token * a.shape[1], value)
