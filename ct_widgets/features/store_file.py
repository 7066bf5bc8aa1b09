"""The mapped file of a feature store: names of its arrays, how it is written, and access to all features at once.

Axes: g feature, counted over all layers; v vocabulary; s and t features whose co-activations are summed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ct_widgets import atomic
from ct_widgets.columns import ArrayFile, write_arrays
from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.feature_name import FeatureName
from ct_widgets.features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ct_widgets.features.coactivations import Coactivations

ARRAYS, LABELS = "features.safetensors", "labels.json"
FORMAT, VERSION = "ct_widgets features", 1

Array = npt.NDArray[Any]


class StoreFile:
    """The arrays and facts of the store in the directory `path`. Nothing is read but the header.

    Raises FileFormatError for a directory that is not a store, or one of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.arrays = ArrayFile(self.path / ARRAYS)
        """The mapped file, for those who read all of it."""
        facts = self.arrays.metadata
        if facts.get("format") != FORMAT:
            raise FileFormatError(f"{self.path / ARRAYS} is not a feature store; `collect_features` makes one")
        if facts["version"] > VERSION:
            raise FileFormatError(
                f"{self.path} is a store of version {facts['version']}, this ct_widgets reads up to {VERSION}: "
                "upgrade it"
            )
        self.facts = facts
        """Transcoder, model, settings of the collection, and how much text it saw: JSON values."""
        self.n_features: list[int] = facts["n_features"]
        self.n_tokens: int = facts["n_tokens"]

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
        return Vocabulary(self.arrays["vocabulary"], self.arrays["vocabulary_start"], self.facts["spaced"])

    def number(self, layer: int, index: int) -> int:
        """Return the place of a feature among those of all layers. Raises FeatureError if it does not exist."""
        return FeatureName(layer, index).number(self.n_features)

    def place(self, number: int) -> FeatureName:
        """Return (layer, index) of the feature of this number, the reverse of `number`."""
        return FeatureName.of_number(number, self.n_features)

    def column(self, name: str) -> Array:
        """Return `count`, `maximum` or `total` of all features, [g], for ranking them."""
        return self.arrays[name]

    @property
    def has_coactivations(self) -> bool:
        """Whether co-activation sums were collected."""
        return "coactivation_features" in self.arrays

    def coactivations(self) -> Coactivations:
        """Read the sums over all tokens of what pairs of features do together.

        Raises FeatureError if they were not collected.
        """
        if not self.has_coactivations:
            raise FeatureError("this store has no co-activations; collect again with coactivations=True")
        from ct_widgets.features.coactivations import Coactivations  # scipy takes its time

        chosen = self.arrays["coactivation_features"]
        sums = Coactivations.of(self.n_features, chosen, chosen)
        sums.fill(lambda name: self.arrays[f"coactivation_{name}"])
        return sums


def check_is_free(path: Path) -> None:
    """Raise FileFormatError if there is something at `path` already, which a new store must not replace."""
    if path.exists():
        raise FileFormatError(f"{path} already exists; open it with FeatureStore(path), or choose another name")


def write_store(
    path: Path,
    layers: Iterable[Mapping[str, Array]],
    coactivations: Coactivations | None,
    vocabulary: Vocabulary,
    facts: Mapping[str, Any],
) -> None:
    """Write the store `path` from the columns of its layers, all of it or nothing.

    layers: columns of each layer, as of `merging.layer_columns`; those named *_start hold the lengths of runs.
    Raises FileFormatError if `path` already exists.
    """
    check_is_free(path)
    pieces: dict[str, list[Array]] = defaultdict(list)
    for layer in layers:
        for name, array in layer.items():
            pieces[name].append(array)
    pieces["tokens"] = [ids.astype(np.uint16 if len(vocabulary) <= 2**16 else np.uint32) for ids in pieces["tokens"]]
    for name in ("histogram_start", "example_start", "token_start"):
        pieces[name] = [_starts(pieces[name])]
    pieces |= {"vocabulary": [vocabulary.data], "vocabulary_start": [vocabulary.start]}
    if coactivations is not None:
        pieces["coactivation_features"] = [coactivations.sources]
        pieces |= {f"coactivation_{name}": [array] for name, array in coactivations.arrays().items()}
    with atomic.directory(path) as unfinished:
        own = {"format": FORMAT, "version": VERSION, "spaced": vocabulary.spaced}
        write_arrays(unfinished / ARRAYS, pieces, {**own, **facts})


def _starts(lengths: Sequence[Array]) -> Array:
    """Return where each of the runs of these lengths begins, and the end of the last."""
    return np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.uint64)]).astype(np.uint64)
