"""A disk cache of activations: made once, then read any number of times, by any number of runs.

A directory of shards in bfloat16, one per buffer, `cache.json` with their sources and checksums, and the held-out
tokens. Every file appears whole or not at all, and making the cache resumes where it stopped.
Axes: l layer, n token, d model, s sequence, p position.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ct_widgets.atomic import write_bytes
from ct_widgets.errors import FileFormatError, TrainingError
from ct_widgets.language_model import LanguageModel
from ct_widgets.language_model.corpus import Source
from ct_widgets.progress import progress_bar
from ct_widgets.training.activations import Activations, Sequences, read_activations
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.sources import TextBuffers, language_model

_INDEX, _HELD_OUT = "cache.json", "held_out.safetensors"
_SETTINGS = ("input_hook", "output_hook", "context", "buffer", "held_out", "seed")


def cache_activations(
    model: Any,
    texts: Source,
    directory: str | Path,
    config: TrainingConfig,
    *,
    column: str = "text",
    progress: bool | None = None,
) -> ActivationCache:
    """Read `texts` once and write what `model`'s MLPs read and write to `directory`, in shards of `config.buffer`.

    The same call resumes an unfinished directory. The cache takes 4 bytes per token, layer and dimension.

    Raises TrainingError for texts without a token to learn from, and for a directory of other data or settings.

    >>> cache = cache_activations(bridge, "texts.txt", "activations", config)
    >>> training = train_transcoder(bridge, cache, config)
    """
    lm = language_model(model)
    path = Path(directory).expanduser()
    buffers = TextBuffers(lm, texts, config, column)
    facts: dict[str, Any] = {"model": lm.name, "data": buffers.fingerprint, "shards": [], "complete": False}
    facts["settings"] = {name: getattr(config, name) for name in _SETTINGS}
    if (path / _INDEX).is_file():
        facts = _resumed(path, facts)
    path.mkdir(parents=True, exist_ok=True)
    write_bytes(path / _HELD_OUT, save(_packed(buffers.held_out)))
    with progress_bar("activations", unit="token", show=progress) as bar:
        for index, sequences in enumerate(buffers.once()):
            n = sum(int(keep.sum()) for _, keep in sequences)
            if n < config.batch_size and index:
                break  # what remains of the texts fills no batch
            bar.advance(n)
            if index >= len(facts["shards"]):
                facts["shards"].append(_write_shard(path, index, lm, sequences, config))
                write_bytes(path / _INDEX, json.dumps(facts, indent=1).encode())
    facts["complete"] = True
    write_bytes(path / _INDEX, json.dumps(facts, indent=1).encode())
    return ActivationCache(path)


def _resumed(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    found = _read_index(path)
    differing = [name for name in ("model", "data") if found[name] != facts[name]]
    differing += [name for name, value in facts["settings"].items() if found["settings"].get(name) != value]
    if differing:
        raise TrainingError(f"{path} was made with a different {', '.join(differing)}; choose another directory")
    return found


def _write_shard(
    path: Path, index: int, model: LanguageModel, sequences: list[Sequences], config: TrainingConfig
) -> dict[str, Any]:
    x, y = read_activations(model, sequences, config.input_hook, config.output_hook)
    content = save({"x": x.bfloat16().cpu().contiguous(), "y": y.bfloat16().cpu().contiguous()})
    name = f"shard-{index:05d}.safetensors"
    write_bytes(path / name, content)
    return {"file": name, "tokens": x.shape[1], "sha256": hashlib.sha256(content).hexdigest()}


def _packed(held_out: list[Sequences]) -> dict[str, torch.Tensor]:
    arrays = {f"{name}.{i}": array for i, rows in enumerate(held_out) for name, array in rows._asdict().items()}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _read_index(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((path / _INDEX).read_text(encoding="utf-8"))
        if {"model", "data", "settings", "shards", "complete"} <= facts.keys():
            return facts
        error = f"it has only {', '.join(facts)}"
    except (OSError, ValueError) as found:
        error = str(found)
    raise FileFormatError(f"{path / _INDEX} is not the index of an activation cache ({error})")


class ActivationCache:
    """Buffers of activations from a directory that `cache_activations` has finished.

    Raises FileFormatError for a directory that is not a complete cache, and, when it is read, for a shard whose content
    is not what was written.
    """

    def __init__(self, directory: str | Path) -> None:
        self.path = Path(directory).expanduser()
        facts = _read_index(self.path)
        if not facts["complete"]:
            raise FileFormatError(f"{self.path} is not finished; call cache_activations again to resume it")
        self.model_name: str = facts["model"]
        self.fingerprint: str = facts["data"]
        self.settings: dict[str, Any] = facts["settings"]
        self._shards: Sequence[dict[str, Any]] = facts["shards"]

    @property
    def n_tokens(self) -> int:
        """Number of tokens in all shards."""
        return sum(shard["tokens"] for shard in self._shards)

    @property
    def held_out(self) -> list[Sequences]:
        """The held-out text."""
        tensors = _load(self.path / _HELD_OUT, (self.path / _HELD_OUT).read_bytes())
        n = len(tensors) // 2
        return [Sequences(tensors[f"ids.{i}"].numpy(), tensors[f"keep.{i}"].numpy()) for i in range(n)]

    def check(self, config: TrainingConfig, model_name: str) -> None:
        """Raise TrainingError if these are not the activations that a run needs."""
        hooks = [name for name in ("input_hook", "output_hook") if self.settings[name] != getattr(config, name)]
        if hooks or model_name != self.model_name:
            raise TrainingError(
                f"{self.path} has activations of {self.model_name} at {self.settings['input_hook']} and "
                f"{self.settings['output_hook']}; the run is for {model_name} at {config.input_hook} and "
                f"{config.output_hook}"
            )

    def __call__(self, index: int) -> Activations:
        """Read the activations of one buffer; after the last shard they start over, in another order."""
        epoch, place = divmod(index, len(self._shards))
        order = np.random.default_rng([self.settings["seed"], epoch]).permutation(len(self._shards))
        shard = self._shards[int(order[place])]
        path = self.path / shard["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise FileFormatError(f"{path} is missing ({error}); make the cache again") from error
        if hashlib.sha256(content).hexdigest() != shard["sha256"]:
            raise FileFormatError(f"{path} is damaged: its checksum is not that of `{_INDEX}`; make the cache again")
        tensors = _load(path, content)
        return Activations(tensors["x"].float(), tensors["y"].float())


def _load(path: Path, content: bytes) -> dict[str, torch.Tensor]:
    try:
        return load(content)
    except SafetensorError as error:
        raise FileFormatError(f"{path} is damaged ({error}); make the cache again") from error
