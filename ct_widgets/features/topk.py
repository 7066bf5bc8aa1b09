"""Top-k examples and a random sample of examples of every feature, in one pass over a corpus and bounded memory.

Each feature has a sorted list of k examples. "activation" keeps the k of highest activation. "random" keeps the k whose
contexts have the lowest hashes (bottom-k sampling): a fair draw, without replacement, of the contexts where the
feature is active. A context is the text in the window up to and with the example's token, which is all that a causal
model saw; each counts once, with its highest activation. Which examples stay does not depend on the order in which
they came, so that parts of a corpus merge to exactly what a single pass gives.

A batch of candidates is merged into the lists in four steps: drop those behind the last place of their list, sort the
rest once by feature and rank, count for each place how many candidates come ahead of it, move what is held by as much.
Windows of text are large and stay where they are; each place of a list knows the slot of its window.

Axes: f feature of one layer, k place in the list, c candidate, t feature that has candidates, w token of the window.
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
        chosen, feature, place = self._entering(found)
        if not len(chosen):
            return chosen, chosen, chosen
        order, ahead = _best(self.by, found.take(chosen), k)
        chosen = chosen[order]
        found = found.take(chosen)
        start = np.flatnonzero(ahead == 0)
        touched = found.feature[start]
        row = np.repeat(np.arange(len(touched)), np.diff(start, append=len(chosen)))
        stays = self.key[touched] != EMPTY
        stays[np.searchsorted(touched, feature), place] = False
        # Up to each place, [t, k + 1]: how many of those held stay, and how many come before it.
        before = np.zeros((len(touched), k + 1), np.int64)
        np.cumsum(stays, axis=1, out=before[:, 1:])
        place = self._places_ahead(found)
        come = np.bincount(row * (k + 1) + place, minlength=before.size).reshape(before.shape)
        self._move(touched, stays, before[:, :-1] + np.cumsum(come[:, :-1], axis=1))
        place = ahead + before[row, place]
        enters = np.flatnonzero(place < k)
        feature, place = found.feature[enters], place[enters]
        self.key[feature, place] = found.key[enters]
        self.value[feature, place] = found.value[enters]
        self.text[feature, place] = found.text[enters]
        return feature, self.slot[feature, place], chosen[enters]

    def _places_ahead(self, found: Candidates) -> Array:
        """Count the places of its list that are ahead of each candidate, [c]."""
        k = self.key.shape[1]
        if self.by == "activation":
            held = self.value[found.feature]
            better = held > found.value[:, None]
            c, place = np.divmod(np.flatnonzero(held == found.value[:, None]), k)
            better[c, place] = self.key[found.feature[c], place] < found.key[c]
        else:
            better = _late_if_empty(self.key[found.feature]) < _late_if_empty(found.key)[:, None]
        return np.where(better[:, -1], k, better.argmin(axis=1))  # the best come first

    def _move(self, feature: Array, stays: Array, to: Array) -> None:
        """Move what stays of some features [t] to the places `to`, both [t, k], as far as there are so many.

        Slots go with their examples; those of the others go to the places that nothing moves to.
        """
        k = stays.shape[1]
        stays = (stays & (to < k)).reshape(-1)
        was = np.flatnonzero(stays)
        row = was // k
        now = row * k + to.reshape(-1)[was]
        slot = self.slot[feature].reshape(-1)
        free = slot[~stays]
        taken = np.zeros(len(slot), np.bool_)
        taken[now] = True
        slot[now] = slot[was]
        slot[~taken] = free
        self.slot[feature] = slot.reshape(-1, k)
        moved = np.flatnonzero(was != now)
        shift = k * (feature[row[moved]] - row[moved])
        was, now = was[moved] + shift, now[moved] + shift
        for column in (self.key, self.value, self.text):
            flat = column.reshape(-1)
            flat[now] = flat[was]

    def may_enter(self, feature: Array, key: Array, value: Array) -> Array:
        """Mark the examples that are no worse than the last place of their list, or find it free, [c]."""
        if not self.key.shape[1]:
            return np.zeros(len(feature), np.bool_)
        if self.by == "activation":
            return value >= self.value[:, -1][feature]
        return _late_if_empty(key) <= _late_if_empty(self.key[:, -1])[feature]

    def _entering(self, found: Candidates) -> tuple[Array, Array, Array]:
        """Return the numbers of the candidates that may enter, and features and places of examples that leave.

        Of a context that is held already, the example of the highest activation stays, then that of the earliest text.
        """
        chosen = np.flatnonzero(self.may_enter(found.feature, found.key, found.value))
        same = self.key[found.feature[chosen]] == found.key[chosen][:, None]
        again, place = np.divmod(np.flatnonzero(same), max(same.shape[1], 1))
        feature, _, value, text = found.take(chosen[again])
        held, of = self.value[feature, place], self.text[feature, place]
        beaten = (value > held) | ((value == held) & (text < of))
        enters = np.ones(len(chosen), np.bool_)
        enters[again] = beaten
        return chosen[enters], feature[beaten], place[beaten]

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
