"""Collect examples, histograms and densities of all features in one pass over a corpus [CT25, "Feature visualisation"].

A pass saves its tally from time to time, and resumes from it after an interruption.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ct_widgets.columns import ArrayFile
from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureName
from ct_widgets.features.active import Active, find_active
from ct_widgets.features.coactivations import Coactivations
from ct_widgets.features.fingerprint import fingerprint
from ct_widgets.features.merging import layer_columns, load_tally, save_tally
from ct_widgets.features.store import FeatureStore
from ct_widgets.features.store_file import check_is_free, write_store
from ct_widgets.features.tally import LayerTally, Tally, Tokens, Window
from ct_widgets.features.vocabulary import read_vocabulary
from ct_widgets.language_model.corpus import Batch, RowMaker, Source, Text, count_texts, in_chunks, read_texts
from ct_widgets.progress import progress_bar
from ct_widgets.transcoded_model import TranscodedModel

_CHUNK = 1024
"""Texts that are tokenized together. Processes take chunks in turn, so that batches do not depend on their number."""

_MOST_COACTIVE = 50_000


@dataclass(frozen=True)
class Settings:
    """Settings of a collection; stores merge if theirs are equal."""

    top: int
    sample: int
    before: int
    after: int
    context: int
    batch_tokens: int
    ignore_bos: bool

    def __post_init__(self) -> None:
        wrong = {name: value for name, value in asdict(self).items() if value < (name in ("top", "batch_tokens"))}
        if wrong or max(self.before + self.after, self.top, self.sample) >= 2**16:
            raise FeatureError(f"settings out of range: {wrong or asdict(self)}")


def collect_features(
    model: TranscodedModel,
    texts: Source,
    path: str | Path,
    *,
    top: int = 20,
    sample: int = 16,
    before: int = 24,
    after: int = 8,
    context: int = 256,
    batch_tokens: int = 8192,
    ignore_bos: bool = True,
    coactivations: bool | Sequence[tuple[int, int]] = False,
    column: str = "text",
    save_every: float = 60.0,
    progress: bool | None = None,
) -> FeatureStore:
    """Read `texts` once and write the FeatureStore `path`: examples, histogram and density of every feature.

    texts: a list of texts or of token ids, a text file (one text per line), a parquet file, or a Hugging Face dataset,
        whose `column` holds the text. Longer ones are cut into rows of `context` tokens.
    top, sample: examples kept of every feature, of the highest activation and at random, in windows of `before` tokens
        ahead of each and `after` behind. Memory is 6 bytes per feature, example and token of the window, and 26 for
        each example: 8.5 kB per feature with these numbers.
    batch_tokens: tokens that go through the model together, padding included, which counts for nothing else.
    ignore_bos: position 0 does not count, as in attribution.
    coactivations: also sum what all pairs of features do together, or those of the given (layer, index), for
        `model.global_weights`.
    save_every: seconds between checkpoints on disk (`path`.part), from which the same call resumes.

    In several processes of `torch.distributed`, each with its own model, call it in all: they share the texts and the
    file system, and each returns the one store, the same as that of a single process.

    Raises FeatureError for texts or settings that cannot be used, FileFormatError if `path` already exists.

    >>> store = collect_features(model, ["calc: 36+59=95", "calc: 2+2=4"], "my-features")
    """
    settings = Settings(top, sample, before, after, context, batch_tokens, ignore_bos)
    collection = Collection(model, Path(path).expanduser(), settings, coactivations)
    with progress_bar("features", count_texts(texts) or 0, unit="text", show=progress) as bar:
        for chunk in in_chunks(read_texts(texts, column), _CHUNK):
            collection.read(chunk, save_every)
            bar.advance(len(chunk))
    return collection.finish()


@torch.no_grad()
def encode_batch(model: TranscodedModel, batch: Batch) -> Iterator[Tensor]:
    """Yield the activations of all features at the tokens of a batch that count, layer by layer -> L x [n, f].

    Each layer is encoded when it is asked for: all of them at once may be more than a device holds.
    """
    for layer, x in _inputs(model, batch):
        yield model.transcoder.encode(layer, x)


@torch.no_grad()
def active_in_batch(model: TranscodedModel, batch: Batch) -> Iterator[Active]:
    """Yield the active features at the tokens of a batch that count, layer by layer."""
    for layer, x in _inputs(model, batch):
        yield find_active(*model.transcoder.active(layer, x))


def _inputs(model: TranscodedModel, batch: Batch) -> Iterator[tuple[int, Tensor]]:
    """Yield the input of the features of every layer at the tokens that count, [n, d]."""
    hooks = model.language_model.hook_names(model.transcoder.feature_input_hook)
    x = model.language_model.activations(torch.from_numpy(batch.ids).to(model.language_model.device), hooks)
    counts = torch.from_numpy(batch.counts)
    for layer, hook in enumerate(hooks):
        yield layer, x[hook][counts.to(x[hook].device)]


class Collection:
    """A pass over a corpus that can be interrupted and resumed."""

    def __init__(
        self,
        model: TranscodedModel,
        path: Path,
        settings: Settings,
        coactivations: bool | Sequence[tuple[int, int]],
    ) -> None:
        check_is_free(path)
        self._model, self._path, self._settings = model, path, settings
        self._chosen = coactivations
        self._window = Window(settings.before, settings.after)
        self._rows = RowMaker(
            model.language_model, settings.context, settings.batch_tokens, ignore_bos=settings.ignore_bos
        )
        t = model.transcoder
        together = dist.is_available() and dist.is_initialized()
        self._rank, self._world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        self._transcoder = {"name": t.name, "kind": t.kind, "hash": fingerprint(t)}
        self._chunks = 0
        self._done = 0
        self._digest = hashlib.sha256()
        self._seen = ""
        self._saved = time.monotonic()
        self.tally = self._empty()
        if self._part(self._rank).is_file():
            self._resume()

    def _empty(self) -> Tally:
        t, s = self._model.transcoder, self._settings
        sizes = [t.n_features(layer) for layer in range(t.n_layers)]
        layers = [LayerTally.empty(n, s.top, s.sample, self._window.width) for n in sizes]
        if self._chosen is False:
            return Tally(layers, None)
        if self._chosen is True:
            if sum(sizes) > _MOST_COACTIVE:
                raise FeatureError(
                    f"co-activations of all pairs of {sum(sizes):,} features are too many; "
                    "pass those you need: coactivations=[(layer, index), ...]"
                )
            every = np.arange(sum(sizes))
            return Tally(layers, Coactivations.of(sizes, every, every))
        chosen = np.array([FeatureName.of(feature).number(sizes) for feature in self._chosen], np.int64)
        return Tally(layers, Coactivations.of(sizes, chosen, chosen))

    def read(self, chunk: Sequence[Text], save_every: float) -> None:
        """Count the next texts, unless they were read before an interruption or are another process'."""
        self._digest.update(repr([text if isinstance(text, str) else list(text) for text in chunk]).encode())
        number = self._chunks
        self._chunks += 1
        if number < self._done:
            if self._chunks == self._done and self._digest.hexdigest() != self._seen:
                raise FeatureError(
                    f"the texts differ from those of the interrupted collection in {self._part(self._rank).parent}; "
                    "pass the texts it began with, or delete that directory to start anew"
                )
            return
        if number % self._world == self._rank:
            for batch in self._rows.batches(chunk, number * _CHUNK):
                self.add(batch)
            self.tally.n_texts += len(chunk)
        if time.monotonic() - self._saved >= save_every:
            self._save()

    def add(self, batch: Batch) -> None:
        """Run a batch through the model and count its features."""
        self.tally.add(active_in_batch(self._model, batch), Tokens(batch, self._window))

    def finish(self) -> FeatureStore:
        """Put the parts of all processes together and write the store."""
        if self._chunks < self._done:
            raise FeatureError("there are fewer texts than before the interruption; pass the texts it began with")
        if self._world > 1:
            self._save()
            dist.barrier()
        if self._rank == 0:
            for other in range(1, self._world):
                self.tally.merge(load_tally(ArrayFile(self._part(other)), self._empty()))
            self._write()
        if self._world > 1:
            dist.barrier()
        return FeatureStore(self._path)

    def _write(self) -> None:
        tally, model = self.tally, self._model.language_model
        if not tally.n_tokens:
            raise FeatureError("there is no token to count in these texts; pass longer ones")
        facts = {
            "transcoder": self._transcoder,
            "model": model.name,
            "settings": asdict(self._settings),
            "n_features": [len(layer.total) for layer in tally.layers],
            "n_tokens": tally.n_tokens,
            "n_texts": tally.n_texts,
        }
        vocabulary = read_vocabulary(model.tokenizer, model.d_vocab)
        write_store(self._path, map(layer_columns, tally.layers), tally.coactivations, vocabulary, facts)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._part(0).parent)

    def _part(self, rank: int) -> Path:
        return self._path.with_name(f"{self._path.name}.part") / f"{rank}.safetensors"

    def _identity(self) -> dict[str, Any]:
        """Return what must not change while a collection is interrupted."""
        chosen = self._chosen if isinstance(self._chosen, bool) else [list(feature) for feature in self._chosen]
        return {
            **asdict(self._settings),
            "coactivations": chosen,
            "transcoder": self._transcoder["hash"],
            "model": self._model.language_model.name,
            "processes": self._world,
        }

    def _save(self) -> None:
        path = self._part(self._rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {"identity": self._identity(), "done": self._chunks, "seen": self._digest.hexdigest()}
        save_tally(path, self.tally, facts)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        path = self._part(self._rank)
        file = ArrayFile(path)
        was, now = file.metadata["identity"], self._identity()
        changed = [f"{name} {was.get(name)} (now {now[name]})" for name in now if was.get(name) != now[name]]
        if changed:
            raise FeatureError(
                f"{path.parent} holds an interrupted collection with other settings: {', '.join(changed)}; "
                "use those it began with, or delete that directory to start anew"
            )
        load_tally(file, self.tally)
        self._done, self._seen = file.metadata["done"], file.metadata["seen"]
