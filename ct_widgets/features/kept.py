"""The examples that are kept of each feature while a corpus streams by, in bounded memory.

A context is the text in the window up to and with the token of an example: what a causal model saw there. Contexts
count once. Which examples stay depends on the contexts and their activations alone, not on the order in which they
came, so that shards merge to what a single pass gives.

Axes: f feature of one layer, k place in the list, c candidate, w token of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Order = Literal["value", "chance"]

EMPTY = np.uint64(0)
"""Key of a place without example; `context_keys` gives it to no context."""


class Candidates(NamedTuple):
    """Examples that may be kept, each at the token where the feature is most active in its row of text, [c]."""

    feature: Array
    key: Array
    value: Array
    text: Array

    def take(self, chosen: Array) -> Candidates:
        """Some of them."""
        return Candidates(*(column[chosen] for column in self))


class Windows(NamedTuple):
    """The tokens around examples: place of the example in its row [c] and in its window [c], tokens in the window [c].

    tokens: [c, w] ids; share: [c, w], activations as shares of the example's own.
    """

    position: Array
    peak: Array
    length: Array
    tokens: Array
    share: Array


_COLUMNS = ("value", "key", "text", *Windows._fields)


@dataclass
class Kept:
    """`k` examples of every feature of a layer: those of the highest activation ("value"), or by chance ("chance").

    The draw by chance takes the contexts of the lowest keys, which are hashes: each active context is equally likely.
    All arrays start with [f, k]. Places are filled from the front; free ones have the key EMPTY.
    """

    by: Order
    value: Array
    key: Array
    text: Array
    position: Array
    peak: Array
    length: Array
    tokens: Array
    share: Array

    @classmethod
    def empty(cls, by: Order, n_features: int, k: int, width: int) -> Kept:
        """Room for `k` examples of windows of `width` tokens."""
        shape = (n_features, k)
        return cls(
            by,
            value=np.full(shape, -np.inf, np.float32),
            key=np.full(shape, EMPTY, np.uint64),
            text=np.zeros(shape, np.uint32),
            position=np.zeros(shape, np.uint32),
            peak=np.zeros(shape, np.uint16),
            length=np.zeros(shape, np.uint16),
            tokens=np.zeros((*shape, width), np.int32),
            share=np.zeros((*shape, width), np.float16),
        )

    def arrays(self) -> dict[str, Array]:
        """Every array by name."""
        return {name: getattr(self, name) for name in _COLUMNS}

    def examples(self) -> tuple[Candidates, Windows]:
        """All examples, feature by feature, the first place first."""
        feature, place = np.nonzero(self.key != EMPTY)
        columns = {name: column[feature, place] for name, column in self.arrays().items()}
        return (
            Candidates(feature, columns["key"], columns["value"], columns["text"]),
            Windows(*(columns[name] for name in Windows._fields)),
        )

    def promising(self, found: Candidates) -> Array:
        """Which candidates may enter: better than the last place of their feature, and not held there already. [c]."""
        if not self.key.shape[1]:
            return np.zeros(len(found.feature), np.bool_)
        last_key = self.key[:, -1][found.feature]
        by_value = self.by == "value"
        better = found.value >= self.value[:, -1][found.feature] if by_value else found.key <= last_key
        chosen = np.flatnonzero(better | (last_key == EMPTY))
        feature, key, value, text = (column[chosen] for column in found)
        held, of = self.value[feature], self.text[feature]
        at_least = (held > value[:, None]) | ((held == value[:, None]) & (of <= text[:, None]))
        known = ((self.key[feature] == key[:, None]) & at_least).any(1)
        mask = np.zeros(len(found.feature), np.bool_)
        mask[chosen[~known]] = True
        return mask

    def insert(self, found: Candidates) -> tuple[Array, Array, Array]:
        """Keep the best of what is held and of `found`, each context once.

        -> places (feature [n], place [n]) that candidates got, whose windows the caller sets, and their numbers [n].
        """
        n_features, k = self.key.shape
        touched = np.flatnonzero(np.bincount(found.feature, minlength=n_features))
        local = np.searchsorted(touched, np.arange(n_features))[found.feature]
        held = np.nonzero(self.key[touched] != EMPTY)
        n_held = len(held[0])
        owner = np.concatenate([held[0], local])
        value, key, text = (
            np.concatenate([getattr(self, name)[touched][held], getattr(found, name)])
            for name in ("value", "key", "text")
        )
        stays = _best(self.by, owner, value, key, text, k)
        owner = owner[stays]
        place = np.arange(len(stays)) - np.searchsorted(owner, owner)  # owners are in order
        feature = touched[owner]
        old = stays < n_held
        # Read all before writing any: examples move to other places of the same arrays.
        was = touched[held[0][stays[old]]], held[1][stays[old]]
        moved = {name: column[was] for name, column in self.arrays().items()}
        self.key[touched], self.value[touched] = EMPTY, -np.inf
        for name, column in self.arrays().items():
            column[feature[old], place[old]] = moved[name]
        new = stays[~old] - n_held
        where = feature[~old], place[~old]
        for name in ("value", "key", "text"):
            getattr(self, name)[where] = getattr(found, name)[new]
        return where[0], where[1], new

    def set_windows(self, feature: Array, place: Array, windows: Windows) -> None:
        """Fill in the windows of examples that `insert` placed."""
        for name, column in windows._asdict().items():
            mine = getattr(self, name)
            if mine.ndim == 2:
                mine[feature, place] = column
            else:
                mine[feature, place] = 0
                mine[feature, place, : column.shape[1]] = column

    def fill(self, found: Candidates, windows: Windows) -> None:
        """Insert candidates whose windows are at hand, [c]."""
        feature, place, new = self.insert(found)
        self.set_windows(feature, place, Windows(*(column[new] for column in windows)))

    def merge(self, other: Kept) -> None:
        """Keep the best of both."""
        self.fill(*other.examples())


def _best(by: Order, owner: Array, value: Array, key: Array, text: Array, k: int) -> Array:
    """Numbers of the `k` best of every owner, each context once, in order of owner and rank.

    Of one context the highest activation counts, then the earliest text.
    """
    order = _by_owner(owner, np.argsort(key))  # by owner, then by key: the order of the draw by chance
    again = np.zeros(len(order), np.bool_)
    again[1:] = (owner[order][1:] == owner[order][:-1]) & (key[order][1:] == key[order][:-1])
    if again.any():
        held_often = again | np.append(again[1:], False)
        some = order[held_often]
        order[held_often] = some[np.lexsort((text[some], -value[some], key[some], owner[some]))]
        order = order[~again]
    if by == "value":
        order = _by_owner(owner, order[np.argsort(-value[order], kind="stable")])
    rank = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    return order[rank < k]


def _by_owner(owner: Array, order: Array) -> Array:
    """`order` by owner, and as it was among those of one owner."""
    mine = owner[order]
    # Few bits sort in linear time.
    return order[np.argsort(mine.astype(np.uint16) if mine.size and mine.max() < 2**16 else mine, kind="stable")]


def context_keys(ids: Array, before: int) -> Array:
    """A hash of the window up to each token: itself and at most `before` tokens ahead of it. ids: [..., p] -> [..., p].

    Only tokens count, so that equal contexts have equal keys in whatever row and place.
    """
    word = ids.astype(np.uint64) + np.uint64(1)
    total = np.zeros_like(word)
    factor = 1
    for shift in range(min(before, ids.shape[-1] - 1) + 1):
        total[..., shift:] += word[..., : ids.shape[-1] - shift] * np.uint64(factor)
        factor = factor * 0x9E3779B97F4A7C15 % 2**64
    # splitmix64: sums of words become numbers of which the smallest are a fair draw.
    total = (total ^ (total >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    total = (total ^ (total >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.maximum(total ^ (total >> np.uint64(31)), np.uint64(1))
