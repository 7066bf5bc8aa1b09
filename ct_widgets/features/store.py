"""FeatureStore: statistics and examples of every feature over a corpus, on disk, read one feature at a time.

A store is a directory: `features.safetensors`, which is mapped and never changes, and `labels.json`.
Axes: g feature, counted over all layers; e example; t token of an example; v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ct_widgets.features.bins import EDGES
from ct_widgets.features.labels import Labels
from ct_widgets.features.store_file import LABELS, StoreFile

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Example:
    """A piece of text around a token where a feature is active.

    tokens: ids [t]; activation: [t]; peak: which token the example is about, the one where the feature is most active
    in its row of text; position: of that token in the row, BOS being 0; text: the number of the text in the corpus.
    """

    tokens: Array
    activation: Array
    peak: int
    position: int
    text: int

    @property
    def value(self) -> float:
        """Activation at the peak."""
        return float(self.activation[self.peak])


@dataclass(frozen=True, eq=False)
class Section:
    """Examples of like activation. share: (from, to) of the active contexts, by rank; None for the top examples."""

    share: tuple[float, float] | None
    low: float
    high: float
    examples: tuple[Example, ...]


@dataclass(frozen=True, eq=False)
class FeatureRecord:
    """The record of one feature in a store.

    count: tokens where it is active, of `n_tokens`; total: sum of its activations; counts: [bins] of the histogram
    between edges [bins + 1], both without empty bins at the ends; top: examples of the highest activation, each in a
    context of its own; sample: a random choice of active contexts.
    """

    layer: int
    index: int
    count: int
    n_tokens: int
    maximum: float
    total: float
    counts: Array
    edges: Array
    top: tuple[Example, ...]
    sample: tuple[Example, ...]

    @property
    def density(self) -> float:
        """Share of the corpus' tokens where the feature is active."""
        return self.count / self.n_tokens

    def sections(self, parts: int = 4) -> tuple[Section, ...]:
        """Group the top examples, then the sample in `parts` of equal size by activation, without those shown before.

        The sample is a fair draw of active contexts, so each part stands for an equal share of them.
        """
        sections: list[Section] = []
        if self.top:
            sections.append(Section(None, self.top[-1].value, self.top[0].value, self.top))
        ranked = sorted(self.sample, key=lambda example: -example.value)
        shown = {(example.text, example.position) for example in self.top}
        bounds = np.linspace(0, len(ranked), parts + 1).round().astype(int)
        for part, (start, end) in enumerate(pairwise(bounds)):
            mine = ranked[start:end]
            fresh = tuple(example for example in mine if (example.text, example.position) not in shown)
            if fresh:
                share = (1 - (part + 1) / parts, 1 - part / parts)
                sections.append(Section(share, mine[-1].value, mine[0].value, fresh))
        return tuple(sections)


class FeatureStore(StoreFile):
    """The store in the directory `path`, one feature at a time: statistics and examples as they are, labels to set.

    keep_labels: whether labels that are set are written to disk, or last as long as this object.
    Raises FileFormatError for a directory that is not a store, or one of a newer version.

    >>> store = FeatureStore("features")
    >>> store[2, 517].density
    >>> store.labels["L2/517"] = "sum = _5"
    """

    def __init__(self, path: str | Path, *, keep_labels: bool = True) -> None:
        super().__init__(path)
        self.labels = Labels(self.path / LABELS, self.n_features, keep=keep_labels)
        """Labels of features, by name ("L2/517"); setting one writes it to disk."""

    def __getitem__(self, feature: tuple[int, int]) -> FeatureRecord:
        layer, index = feature
        g = self.number(layer, index)
        one = slice(g, g + 1)
        begin, end = (int(i) for i in self.arrays["histogram_start", slice(g, g + 2)])
        first = int(self.arrays["histogram_first", one][0])
        n_top = int(self.arrays["n_top", one][0])
        examples = tuple(self._examples(*(int(i) for i in self.arrays["example_start", slice(g, g + 2)])))
        return FeatureRecord(
            layer=layer,
            index=index,
            count=int(self.arrays["count", one][0]),
            n_tokens=self.n_tokens,
            maximum=float(self.arrays["maximum", one][0]),
            total=float(self.arrays["total", one][0]),
            counts=self.arrays["histogram", slice(begin, end)],
            edges=EDGES[first : first + end - begin + 1],
            top=examples[:n_top],
            sample=examples[n_top:],
        )

    def _examples(self, begin: int, end: int) -> Iterator[Example]:
        mine = slice(begin, end)
        value, text = self.arrays["value", mine], self.arrays["text", mine]
        position, peak = self.arrays["position", mine], self.arrays["peak", mine]
        start = self.arrays["token_start", slice(begin, end + 1)].astype(np.int64)
        if begin == end:
            return
        tokens = self.arrays["tokens", slice(int(start[0]), int(start[-1]))]
        share = self.arrays["share", slice(int(start[0]), int(start[-1]))].astype(np.float32)
        for e in range(end - begin):
            mine = slice(int(start[e] - start[0]), int(start[e + 1] - start[0]))
            activation = share[mine] * value[e]
            activation[peak[e]] = value[e]
            yield Example(tokens[mine].astype(np.int64), activation, int(peak[e]), int(position[e]), int(text[e]))

    @classmethod
    def merge(cls, stores: Sequence[FeatureStore], path: str | Path) -> FeatureStore:
        """Write one store of what several saw with the same transcoder and settings: that of all their texts at once.

        Texts keep their numbers in their own corpora. Labels of earlier stores win.
        Raises FeatureError for stores that do not belong together, FileFormatError if `path` already exists.

        >>> FeatureStore.merge([FeatureStore("monday"), FeatureStore("tuesday")], "both")
        """
        from ct_widgets.features.merging import merge_files

        merge_files(stores, Path(path).expanduser())
        merged = cls(path)
        labels = {name: label for store in reversed(stores) for name, label in store.labels.entries().items()}
        if labels:
            merged.labels.update_entries(labels)
        return merged

    def __repr__(self) -> str:
        facts = self.facts
        return (
            f"<FeatureStore {self.path.name}: {sum(self.n_features):,} features of {facts['transcoder']['name']}, "
            f"{self.n_tokens:,} tokens of {facts['n_texts']:,} texts>"
        )
