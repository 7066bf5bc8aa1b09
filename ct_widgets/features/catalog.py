"""`model.features`: every feature of a transcoder by layer and index, with examples, tokens and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from ct_widgets.display import view
from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureLike, FeatureName
from ct_widgets.features.auto_label import AutoLabel, auto_label
from ct_widgets.features.card import Scored, card
from ct_widgets.features.directions import Directions, extremes
from ct_widgets.features.fingerprint import fingerprint
from ct_widgets.features.labels import Label
from ct_widgets.features.search import search
from ct_widgets.features.store import FeatureRecord, FeatureStore
from ct_widgets.features.vocabulary import Vocabulary, read_vocabulary
from ct_widgets.language_model import LanguageModel
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

_SHOWN_TOKENS = 10


class WithFeatures(Protocol):
    """A language model and its transcoder, with all features at hand: a ReplacementModel."""

    language_model: LanguageModel
    transcoder: Transcoder

    @property
    def features(self) -> Features:
        """Every feature by (layer, index)."""
        ...


class Features:
    """All features of `model`, with the examples of a `store`, or of the one at a path, if there is one.

    >>> model.features[2, 517]              # last line of a cell: the card
    >>> model.features[2, 517].examples     # its examples as a DataFrame
    >>> model.features.search("basketball")

    Raises FeatureError for a store of another transcoder.
    """

    def __init__(self, model: TranscodedModel, store: FeatureStore | str | Path | None = None) -> None:
        self.model = model
        self.store = FeatureStore(store) if isinstance(store, str | Path) else store
        if self.store is not None:
            self.store.check(fingerprint(model.transcoder), model.transcoder.name)
        self.directions = Directions(model)
        self._auto_labels: dict[str, AutoLabel] = {}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model, as text."""
        if self.store is not None:
            return self.store.vocabulary
        return read_vocabulary(self.model.language_model.tokenizer, self.model.language_model.d_vocab)

    def __getitem__(self, feature: FeatureLike) -> Feature:
        return Feature(self, *FeatureName.of(feature).check(self.n_features))

    def search(self, query: str, k: int = 20) -> pd.DataFrame:
        """Search features by a text in their examples, labels and promoted tokens, the best first.

        Columns: layer, index, label (or an auto label, marked as automatic), score, and where the text was found.
        Raises FeatureError for an empty text.

        >>> model.features.search("basketball")
        """
        found = search(query, k, self.n_features, self.vocabulary, self.directions, self.store)
        features = [self[one.name] for one in found]
        return pd.DataFrame(
            {
                "layer": [feature.layer for feature in features],
                "index": [feature.index for feature in features],
                "label": [
                    feature.label or (f"{auto.text} (automatic)" if (auto := feature.auto_label) else "")
                    for feature in features
                ],
                "score": [one.score for one in found],
                "found": [one.where for one in found],
            }
        )

    def card(self, name: str) -> dict[str, Any]:
        """Collect all that a view shows of the feature `name`, as JSON values."""
        return self[name].card()

    def set_label(self, name: str, text: str) -> None:
        """Label the feature `name`; an empty text removes the label."""
        self[name].label = text

    def add_auto_labels(self, labels: Mapping[str, tuple[str, str]]) -> None:
        """Add automatic labels, a text and a reason by feature name, which replace those from examples.

        >>> model.features.add_auto_labels(operands.auto_labels)  # of model.operand_activations()
        """
        self._auto_labels |= {name: AutoLabel(*label) for name, label in labels.items()}

    def auto_label(self, name: str) -> AutoLabel | None:
        """Return the automatic label that was added for the feature `name`, or None."""
        return self._auto_labels.get(name)

    @property
    def n_features(self) -> list[int]:
        """How many features each layer has."""
        t = self.model.transcoder
        return [t.n_features(layer) for layer in range(t.n_layers)]

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the store by feature name; none without a store."""
        return {} if self.store is None else self.store.labels

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the texts of token ids."""
        return [self.vocabulary.text(int(i)) for i in ids]

    def __repr__(self) -> str:
        what = "no examples: pass ReplacementModel a FeatureStore" if self.store is None else repr(self.store)
        return f"<Features of {self.model.transcoder.name}: {sum(self.n_features):,}; {what}>"


class Feature:
    """One feature: statistics and examples from the store, tokens from the weights, a label."""

    def __init__(self, features: Features, layer: int, index: int) -> None:
        self._features = features
        self.layer = layer
        self.index = index

    @property
    def name(self) -> str:
        """Its name, such as "L2/517"."""
        return str(FeatureName(self.layer, self.index))

    @cached_property
    def record(self) -> FeatureRecord | None:
        """Its record in the store; None without a store."""
        store = self._features.store
        return None if store is None else store[self.layer, self.index]

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model, as text."""
        return self._features.vocabulary

    def known(self) -> FeatureRecord:
        """Return its record in the store. Raises FeatureError without a store."""
        if self.record is None:
            raise FeatureError(
                "no examples were collected for this model: store = ct.collect_features(model, texts, path), "
                "then ReplacementModel(bridge, transcoder, features=store)"
            )
        return self.record

    @property
    def density(self) -> float:
        """Share of the corpus' tokens where it is active."""
        return self.known().density

    @property
    def maximum(self) -> float:
        """Its highest activation in the corpus."""
        return self.known().maximum

    @property
    def examples(self) -> pd.DataFrame:
        """Examples, one a row: section ("top" or the share of active contexts), activation, token, context, place."""
        vocabulary = self._features.vocabulary
        rows = [
            {
                "section": "top" if section.share is None else f"{section.share[0]:.0%}–{section.share[1]:.0%}",
                "activation": example.value,
                "token": vocabulary.text(int(example.tokens[example.peak])),
                "context": vocabulary.join(example.tokens.tolist()),
                "text": example.text,
                "position": example.position,
            }
            for section in self.known().sections()
            for example in section.examples
        ]
        return pd.DataFrame(rows, columns=["section", "activation", "token", "context", "text", "position"])

    def promoted(self, k: int = _SHOWN_TOKENS, *, output_layer: int | None = None) -> pd.DataFrame:
        """List the tokens whose logits it raises most: token, id, value per unit of activation, less the mean over all.

        By all its decoder vectors together, or by what it writes to one `output_layer`. Norms are left out.

        >>> model.features[2, 517].promoted(5)
        """
        return self._table(self._output(output_layer), k, largest=True)

    def suppressed(self, k: int = _SHOWN_TOKENS, *, output_layer: int | None = None) -> pd.DataFrame:
        """List the tokens whose logits it lowers most, columns as of `promoted`."""
        return self._table(self._output(output_layer), k, largest=False)

    def activating_tokens(self, k: int = _SHOWN_TOKENS) -> pd.DataFrame:
        """List the tokens whose embedding activates it most: token, id, value added to the pre-activation."""
        return self._table(self._features.directions.input(self.layer, self.index), k, largest=True)

    def _output(self, output_layer: int | None) -> Any:
        return self._features.directions.output(self.layer, self.index, output_layer)

    def _scored(self, values: Any, *, largest: bool) -> Scored:
        ids, found = extremes(values, _SHOWN_TOKENS, largest=largest)
        return list(zip(self._features.tokens(ids.tolist()), found.tolist(), strict=True))

    def _table(self, values: Any, k: int, *, largest: bool) -> pd.DataFrame:
        ids, found = extremes(values, k, largest=largest)
        return pd.DataFrame({"token": self._features.tokens(ids.tolist()), "id": ids, "value": found})

    @property
    def label(self) -> str:
        """Its label, or "" where nobody gave one; setting it keeps it in the store."""
        entry = self._label()
        return "" if entry is None else entry.text

    @label.setter
    def label(self, text: str) -> None:
        store = self._features.store
        if store is None:
            raise FeatureError("labels are kept in a FeatureStore, and this model has none")
        if text.strip():
            store.labels[self.name] = text.strip()
        else:
            store.labels.pop(self.name, None)

    def _label(self) -> Label | None:
        store = self._features.store
        return None if store is None else store.labels.entry(self.name)

    @property
    def auto_label(self) -> AutoLabel | None:
        """A label by rules over its examples, with the evidence; None where nothing stands out."""
        added = self._features.auto_label(self.name)
        if added is not None or self.record is None:
            return added
        promoted = [token for token, _ in self._scored(self._output(None), largest=True)]
        return auto_label(self.record, self._features.vocabulary, promoted)

    def card(self) -> dict[str, Any]:
        """Collect all that a view shows of it, as JSON values."""
        return card(
            self.name,
            record=self.record,
            vocabulary=self._features.vocabulary,
            label=self._label(),
            auto=self.auto_label,
            promotes=self._scored(self._output(None), largest=True),
            suppresses=self._scored(self._output(None), largest=False),
            drives=self._scored(self._features.directions.input(self.layer, self.index), largest=True),
        )

    def show(self, **state: Any) -> Any:
        """Show the card as an ExamplesWidget; `state` are its settings."""
        return view("feature")(self._features, self.name, **state)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.show()._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        facts = "" if self.record is None else f", density {self.density:.2g}, maximum {self.maximum:.3g}"
        auto = self.auto_label
        about = f" {self.label!r}" if self.label else "" if auto is None else f" {auto.text} (automatic)"
        return f"<Feature {self.name}{about}{facts}>"
