"""FeatureStore: what a corpus says about every feature of a transcoder, on disk, one feature at a time.

A store is a directory: `features.safetensors`, which is mapped and never changes, and `labels.json`.
Axes: g feature, counted over all layers; e example; t token of an example; v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.feature_name import FeatureName
from ct_widgets.features.array_file import ArrayFile
from ct_widgets.features.bins import EDGES
from ct_widgets.features.labels import Labels
from ct_widgets.features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ct_widgets.features.tally import Coactivations

ARRAYS, LABELS = "features.safetensors", "labels.json"
FORMAT, VERSION = "ct_widgets features", 1
SUMS, CSR = ("product", "present"), ("data", "indices", "indptr")
"""Co-activation sums, and the arrays that each of them takes."""

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
    """What a store holds of one feature.

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
        """The top examples, then the sample in `parts` of equal size by activation, without those shown before.

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


class FeatureStore:
    """Statistics, examples and labels of every feature, read one feature at a time from a mapped file.

    >>> store = FeatureStore.open("features")
    >>> store[2, 517].density
    >>> store.labels["L2/517"] = "sum = _5"

    Raises FileFormatError for a directory that is no store, or one of a newer version.
    """

    def __init__(self, path: Path, *, keep_labels: bool = True) -> None:
        self.path = path
        self._file = ArrayFile(path / ARRAYS)
        facts = self._file.metadata
        if facts.get("format") != FORMAT:
            raise FileFormatError(f"{path / ARRAYS} is not a feature store; `collect_features` makes one")
        if facts["version"] > VERSION:
            raise FileFormatError(
                f"{path} is a store of version {facts['version']}, this ct_widgets reads up to {VERSION}: upgrade it"
            )
        self.facts = facts
        """Transcoder, model, settings of the collection, and how much text it saw: JSON values."""
        self.n_features: list[int] = facts["n_features"]
        self.n_tokens: int = facts["n_tokens"]
        self._first = np.cumsum([0, *self.n_features])
        self.labels = Labels(path / LABELS, self.n_features, keep=keep_labels)
        """Labels of features, by name ("L2/517"); setting one writes it to disk."""

    @classmethod
    def open(cls, path: str | Path, *, keep_labels: bool = True) -> FeatureStore:
        """Open the store in the directory `path`. Nothing is read but its header.

        keep_labels: whether labels that are set are written to disk, or last as long as this object.
        """
        return cls(Path(path).expanduser(), keep_labels=keep_labels)

    def check(self, fingerprint: str, name: str) -> None:
        """Raise FeatureError unless the store was made with the transcoder of this fingerprint."""
        mine = self.facts["transcoder"]
        if mine["hash"] != fingerprint:
            raise FeatureError(
                f"the store {self.path} was made with transcoder {mine['name']} ({mine['hash'][:15]}…), "
                f"the model has {name} ({fingerprint[:15]}…); collect features again with this one"
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model, as bytes."""
        return Vocabulary(self._file["vocabulary"], self._file["vocabulary_start"], self.facts["spaced"])

    def number(self, layer: int, index: int) -> int:
        """The place of a feature among those of all layers. Raises FeatureError if there is no such feature."""
        FeatureName(layer, index).check(self.n_features)
        return int(self._first[layer]) + index

    def place(self, number: int) -> tuple[int, int]:
        """(layer, index) of the feature of this number, the reverse of `number`."""
        layer = int(np.searchsorted(self._first, number, side="right")) - 1
        return layer, number - int(self._first[layer])

    def __getitem__(self, feature: tuple[int, int]) -> FeatureRecord:
        layer, index = feature
        g = self.number(layer, index)
        one = slice(g, g + 1)
        begin, end = (int(i) for i in self._file["histogram_start", slice(g, g + 2)])
        first = int(self._file["histogram_first", one][0])
        n_top = int(self._file["n_top", one][0])
        examples = tuple(self._examples(*(int(i) for i in self._file["example_start", slice(g, g + 2)])))
        return FeatureRecord(
            layer=layer,
            index=index,
            count=int(self._file["count", one][0]),
            n_tokens=self.n_tokens,
            maximum=float(self._file["maximum", one][0]),
            total=float(self._file["total", one][0]),
            counts=self._file["histogram", slice(begin, end)],
            edges=EDGES[first : first + end - begin + 1],
            top=examples[:n_top],
            sample=examples[n_top:],
        )

    def _examples(self, begin: int, end: int) -> Iterator[Example]:
        mine = slice(begin, end)
        value, text = self._file["value", mine], self._file["text", mine]
        position, peak = self._file["position", mine], self._file["peak", mine]
        start = self._file["token_start", slice(begin, end + 1)].astype(np.int64)
        if begin == end:
            return
        tokens = self._file["tokens", slice(int(start[0]), int(start[-1]))]
        share = self._file["share", slice(int(start[0]), int(start[-1]))].astype(np.float32)
        for e in range(end - begin):
            mine = slice(int(start[e] - start[0]), int(start[e + 1] - start[0]))
            activation = share[mine] * value[e]
            activation[peak[e]] = value[e]
            yield Example(tokens[mine].astype(np.int64), activation, int(peak[e]), int(position[e]), int(text[e]))

    def column(self, name: str) -> Array:
        """`count`, `maximum` or `total` of all features, [g], for ranking them."""
        return self._file[name]

    def arrays(self) -> ArrayFile:
        """The mapped file, for those who read all of it."""
        return self._file

    @property
    def has_coactivations(self) -> bool:
        """Whether co-activation sums were collected."""
        return f"coactivation_{SUMS[-1]}_data" in self._file

    def coactivations(self) -> Coactivations:
        """Sums over all tokens of what pairs of features do together.

        Raises FeatureError if they were not collected.
        """
        if not self.has_coactivations:
            raise FeatureError("this store has no co-activations; collect again with coactivations=True")
        from scipy import sparse

        from ct_widgets.features.tally import Coactivations

        chosen = self._file["coactivation_features"]
        sums = Coactivations.of(self.n_features, chosen, chosen)
        for name in SUMS:
            parts = tuple(self._file[f"coactivation_{name}_{part}"] for part in CSR)
            setattr(sums, name, sparse.csr_array(parts, shape=(len(chosen), len(chosen))))
        return sums

    @classmethod
    def merge(cls, stores: Sequence[FeatureStore], path: str | Path) -> FeatureStore:
        """One store of what several saw with the same transcoder and settings: that of all their texts at once.

        Texts keep their numbers in their own corpora. Labels of earlier stores win.
        """
        from ct_widgets.features.merging import merge_stores

        return merge_stores(stores, Path(path).expanduser())

    def __repr__(self) -> str:
        facts = self.facts
        return (
            f"<FeatureStore {self.path.name}: {sum(self.n_features):,} features of {facts['transcoder']['name']}, "
            f"{self.n_tokens:,} tokens of {facts['n_texts']:,} texts>"
        )
