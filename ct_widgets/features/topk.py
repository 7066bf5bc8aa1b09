"""Top-k examples and a random sample of examples of every feature, in one pass over a corpus and bounded memory.

Each feature has a sorted list of k examples. "activation" keeps the k of highest activation. "random" keeps the k whose
contexts have the lowest hashes (bottom-k sampling): a fair draw, without replacement, of the contexts where the
feature is active. A context is the text in the window up to and with the example's token, which is all that a causal
model saw; each counts once, with its highest activation. Which examples stay does not depend on the order in which
they came, so that parts of a corpus merge to exactly what a single pass gives.

A batch of candidates is merged into the lists in three steps: drop those behind the last place of their list, sort the
rest together with what their lists hold, write the first k of each feature back. Windows of text are large and stay
where they are; each place of a list knows the slot of its window.

Axes: f feature of one layer, k place in the list, c candidate, w token of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Order = Literal["activation", "random"]

EMPTY = np.uint64(0)
"""Key of a free place; `context_keys` gives it to no context."""


class Candidates(NamedTuple):
    """Examples that may enter the lists, each at the token where the feature is most active in its row of text, [c]."""

    feature: Array
    key: Array
    value: Array
    text: Array

    def take(self, chosen: Array) -> Candidates:
        """Select by mask or number."""
        return Candidates(*(column[chosen] for column in self))


class Windows(NamedTuple):
    """The tokens around examples: place of the example in its row [c] and in its window [c], tokens in the window [c].

    tokens: [c, w] ids; share: [c, w], activations as shares of the example's own; both 0 behind a short window's end.
    """

    position: Array
    peak: Array
    length: Array
    tokens: Array
    share: Array

    def take(self, chosen: Array) -> Windows:
        """Select by mask or number."""
        return Windows(*(column.take(chosen, axis=0) for column in self))


_COLUMNS = ("value", "key", "text", "slot", *Windows._fields)


@dataclass
class ExampleLists:
    """Lists of at most `k` examples of every feature of a layer, the best first.

    by: the order of the lists. All arrays start with [f, k]. Places are filled from the front; free ones have the key
    EMPTY. The window of place k is at `slot[f, k]` of position, peak, length, tokens and share.
    """

    by: Order
    value: Array
    key: Array
    text: Array
    slot: Array
    position: Array
    peak: Array
    length: Array
    tokens: Array
    share: Array

    @classmethod
    def empty(cls, by: Order, n_features: int, k: int, width: int) -> ExampleLists:
        """Make empty lists of `k` examples with windows of `width` tokens."""
        shape = (n_features, k)
        return cls(
            by,
            value=np.full(shape, -np.inf, np.float32),
            key=np.full(shape, EMPTY, np.uint64),
            text=np.zeros(shape, np.uint32),
            slot=np.broadcast_to(np.arange(k, dtype=np.uint16), shape).copy(),
            position=np.zeros(shape, np.uint32),
            peak=np.zeros(shape, np.uint16),
            length=np.zeros(shape, np.uint16),
            tokens=np.zeros((*shape, width), np.int32),
            share=np.zeros((*shape, width), np.float16),
        )

    def arrays(self) -> dict[str, Array]:
        """Return every array by name."""
        return {name: getattr(self, name) for name in _COLUMNS}

    def examples(self) -> tuple[Candidates, Windows]:
        """Return all examples, feature by feature, the best first."""
        k = self.key.shape[1]
        filled = np.flatnonzero(self.key != EMPTY)
        feature = filled // max(k, 1)
        found = Candidates(feature, *(column.reshape(-1)[filled] for column in (self.key, self.value, self.text)))
        place = feature * k + self.slot.reshape(-1)[filled]
        columns = [getattr(self, name) for name in Windows._fields]
        return found, Windows(*(column.reshape(-1, *column.shape[2:]).take(place, axis=0) for column in columns))

    def insert(self, found: Candidates) -> tuple[Array, Array, Array]:
        """Merge candidates into the lists; `found` has each context of a feature once.

        -> features [n] and slots [n] of the candidates that entered, whose windows the caller sets, and their numbers
        [n] in `found`.
        """
        k = self.key.shape[1]
        chosen = self._entering(found)
        if not len(chosen):
            return chosen, chosen, chosen
        found = found.take(chosen)
        touched = np.unique(found.feature)
        row, place = np.nonzero(self.key[touched] != EMPTY)
        owner, n_held = touched[row], len(row)
        held = Candidates(owner, *(column[owner, place] for column in (self.key, self.value, self.text)))
        every = Candidates(*(np.concatenate(pair) for pair in zip(held, found, strict=True)))
        slot = np.append(self.slot[owner, place].astype(np.int64), np.full(len(chosen), -1))
        order, place = _best(self.by, every, k)
        every, slot, new = every.take(order), slot[order], np.flatnonzero(order >= n_held)
        # The windows of new examples go to slots that no other example of the feature has.
        row = np.searchsorted(touched, every.feature)
        taken = np.zeros((len(touched), k), np.bool_)
        taken[row[slot >= 0], slot[slot >= 0]] = True
        free_row, free = np.nonzero(~taken)
        row = row[new]
        slot[new] = free[np.searchsorted(free_row, row) + np.arange(len(new)) - np.searchsorted(row, row)]
        self.key[touched], self.value[touched] = EMPTY, -np.inf
        for column, values in ((self.key, every.key), (self.value, every.value), (self.text, every.text)):
            column[every.feature, place] = values
        self.slot[every.feature, place] = slot
        return every.feature[new], slot[new], chosen[order[new] - n_held]

    def may_enter(self, feature: Array, key: Array, value: Array) -> Array:
        """Mark the examples that are no worse than the last place of their list, or find it free, [c]."""
        if not self.key.shape[1]:
            return np.zeros(len(feature), np.bool_)
        if self.by == "activation":
            return value >= self.value[:, -1][feature]
        return _late_if_empty(key) <= _late_if_empty(self.key[:, -1])[feature]

    def _entering(self, found: Candidates) -> Array:
        """Return the numbers of the candidates that may enter, and drop what is held of the same contexts.

        Of each context the example of the highest activation stays, then that of the earliest text.
        """
        chosen = np.flatnonzero(self.may_enter(found.feature, found.key, found.value))
        same = self.key[found.feature[chosen]] == found.key[chosen][:, None]
        again, place = np.divmod(np.flatnonzero(same), max(same.shape[1], 1))
        feature, _, value, text = found.take(chosen[again])
        held, of = self.value[feature, place], self.text[feature, place]
        beaten = (value > held) | ((value == held) & (text < of))
        enters = np.ones(len(chosen), np.bool_)
        enters[again] = beaten
        self.key[feature[beaten], place[beaten]] = EMPTY
        return chosen[enters]

    def set_windows(self, feature: Array, slot: Array, windows: Windows) -> None:
        """Set the windows of examples that `insert` placed."""
        place = feature * self.key.shape[1] + slot
        for name, column in windows._asdict().items():
            mine = getattr(self, name)
            mine.reshape(-1, *mine.shape[2:])[place] = column

    def fill(self, found: Candidates, windows: Windows) -> None:
        """Merge candidates whose windows are at hand into the lists, [c]."""
        feature, slot, new = self.insert(found)
        self.set_windows(feature, slot, windows.take(new))

    def merge(self, other: ExampleLists) -> None:
        """Keep the best of both lists."""
        self.fill(*other.examples())


def _best(by: Order, every: Candidates, k: int) -> tuple[Array, Array]:
    """Return the numbers of the `k` best of every feature and their places, in order of feature and place.

    Of equal activations the lowest key is first.
    """
    owner, key, value, _ = every
    rank = key
    if by == "activation":
        rank = ((0x7FFFFFFF - by_size(value)).astype(np.uint64) << np.uint64(32)) | (key >> np.uint64(32))
    # One word sorts faster than two: the feature, then as many bits of the rank as there is room for.
    bits = max(int(owner.max()).bit_length(), 1)
    word = (owner.astype(np.uint64) << np.uint64(64 - bits)) | (rank >> np.uint64(bits))
    order = np.argsort(word)
    word = word[order]
    if (word[1:] == word[:-1]).any():
        order = np.lexsort((key, rank, owner))
    owner = owner[order]
    start = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    place = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
    return order[place < k], place[place < k]


def _late_if_empty(key: Array) -> Array:
    """Map keys to numbers of the same order, but with EMPTY behind all others."""
    return key - np.uint64(1)


def by_size(value: Array) -> Array:
    """Map float32 values [c] to integers [c] of the same order."""
    bits = value.view(np.int32).astype(np.int64)
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def context_keys(ids: Array, before: int) -> Array:
    """Hash the context of each token: itself and at most `before` tokens ahead of it. ids: [..., p] -> [..., p].

    Only tokens count, so that equal contexts have equal keys in whatever row and place.
    """
    word = ids.astype(np.uint64) + np.uint64(1)
    total = np.zeros_like(word)
    factor = 1
    for shift in range(min(before, ids.shape[-1] - 1) + 1):
        total[..., shift:] += word[..., : ids.shape[-1] - shift] * np.uint64(factor)
        factor = factor * 0x9E3779B97F4A7C15 % 2**64
    # splitmix64: sums of words become hashes, of which the lowest are a fair draw.
    total = (total ^ (total >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    total = (total ^ (total >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.maximum(total ^ (total >> np.uint64(31)), np.uint64(1))
