"""Buffers of activations straight from the model, over texts from any source.

Axes: s sequence, p position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel
from ct_widgets.language_model.corpus import RowMaker, Source, Text, count_texts, in_chunks, read_texts
from ct_widgets.training import parallel
from ct_widgets.training.activations import Activations, Sequences
from ct_widgets.training.config import TrainingConfig
from ct_widgets.transcoded_model import TranscodedModel

_CHUNK = 256
"""Texts that are cut into rows together, those of like length into one pass of the model."""

_PASS_TOKENS = 8192
"""Tokens that go through the model at once."""


class TextBuffers:
    """Buffers of about `config.buffer` tokens, read from the model where features will read and write.

    All hooks of one pass are kept, over many texts, so that a batch mixes them. Position 0, padding and the tokenizer's
    special tokens are left out, wherever they are. The first texts are held out; the others start over when they are
    used up. A buffer is a function of its number: one that is skipped costs its tokenization, but no pass.

    Raises TrainingError for texts without a token to learn from.
    """

    def __init__(self, model: LanguageModel, texts: Source, config: TrainingConfig, column: str = "text") -> None:
        self.model, self._texts, self._column, self._config = model, texts, column, config
        self._rows = RowMaker(model, config.context, _PASS_TOKENS, ignore_bos=True)
        self._special = np.array(model.special_ids, np.int64)
        self.held_out: list[Sequences] = []
        self._n_held_out = 0
        self._hold_out()
        self._stream = self._endless()
        self._next = 0

    def _hold_out(self) -> None:
        """Set the first texts aside: enough tokens, but no more than a tenth of texts whose number is known."""
        known = count_texts(self._texts)
        most = None if known is None else max(1, known // 10)
        texts: list[Text] = []
        tokens = 0
        for text in islice(read_texts(self._texts, self._column), most):
            texts.append(text)
            tokens += sum(int(keep.sum()) for _, keep in self._cut([text]))
            if tokens >= self._config.held_out:
                break
        self.held_out = list(self._cut(texts))
        self._n_held_out = len(texts)
        if not tokens:
            raise TrainingError("the first texts have no token to learn from; pass longer ones")

    @property
    def fingerprint(self) -> str:
        """Hash of the held-out tokens, by which a resumed run identifies its data."""
        total = hashlib.sha256(self.model.name.encode())
        for ids, keep in self.held_out:
            total.update(ids.tobytes() + keep.tobytes())
        return f"sha256:{total.hexdigest()}"

    def _cut(self, texts: list[Text]) -> Iterator[Sequences]:
        for batch in self._rows.batches(texts, 0):
            yield Sequences(batch.ids, batch.counts & ~np.isin(batch.ids, self._special))

    def _sequences(self) -> Iterator[Sequences]:
        """Cut one reading of the texts into what a pass of the model reads."""
        n = 0
        for chunk in in_chunks(islice(read_texts(self._texts, self._column), self._n_held_out, None), _CHUNK):
            for rows in self._cut(chunk):
                n += int(rows.keep.sum())
                yield rows
        if not n:
            raise TrainingError(
                f"there are no texts to learn from after the {self._n_held_out} that are held out; pass more, "
                "and as a list, a file or a dataset, which can be read again"
            )

    def _endless(self) -> Iterator[Sequences]:
        while True:
            yield from self._sequences()

    def once(self) -> Iterator[list[Sequences]]:
        """Yield the rows of all buffers from one reading of the texts; the last buffer is what remains."""
        stream = self._sequences()
        while rows := self._fill(stream):
            yield rows

    def _fill(self, stream: Iterator[Sequences]) -> list[Sequences]:
        tokens = 0
        rows: list[Sequences] = []
        for row in stream:
            rows.append(row)
            tokens += int(row.keep.sum())
            if tokens >= self._config.buffer:
                break
        return rows

    def __call__(self, index: int) -> Activations:
        """Read the activations of one buffer."""
        if index < self._next:
            self._stream, self._next = self._endless(), 0
        for _ in range(self._next, index):
            self._fill(self._stream)
        rows = self._fill(self._stream)
        self._next = index + 1
        return parallel.read_activations(self.model, rows, self._config.input_hook, self._config.output_hook)


def language_model(model: Any) -> LanguageModel:
    """Take the language model from a TransformerLens bridge, a LanguageModel or a TranscodedModel."""
    if isinstance(model, TranscodedModel):
        return model.language_model
    return model if isinstance(model, LanguageModel) else LanguageModel(model)
