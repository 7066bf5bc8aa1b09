"""`ct-widgets train FILE`: a training run whose settings are a TOML file.

    model = "gpt2"              # name on the Hugging Face hub or directory, or "demo"
    texts = "texts.txt"         # text file (one text per line) or parquet file
    directory = "my-transcoder" # where everything goes
    column = "text"             # of a parquet file
    cache = "activations"       # make a disk cache there first, or resume one

    [training]                  # fields of TrainingConfig
    features = 6144

Paths count from the file's directory. Under torchrun, each process takes its share of every batch or, with
`training.shards`, of the features:

    torchrun --nproc-per-node 2 -m ct_widgets.cli train FILE
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import load_bridge
from ct_widgets.training.cache import ActivationCache, cache_activations
from ct_widgets.training.config import TrainingConfig, current_names
from ct_widgets.training.result import Training
from ct_widgets.training.train_transcoder import default_config, train_transcoder

_NEEDED, _OPTIONAL = ("model", "texts", "directory"), ("column", "cache", "training")


def train_from_file(path: Path) -> Training:
    """Train as the file says. Raises TrainingError for a file that is not as above."""
    settings = _read(path)
    config = _config(settings["training"], path) if settings.get("training") else None
    where = {name: path.parent / Path(settings[name]).expanduser() for name in ("texts", "directory")}
    column = settings.get("column", "text")
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if together:
        _join()
    try:
        model = _model(settings["model"])
        config = config or default_config(model)
        texts: Any = where["texts"]
        if "cache" in settings:
            cache = path.parent / settings["cache"]
            if not together:
                texts = cache_activations(model, texts, cache, config, column=column)
            elif cache.exists():
                texts = ActivationCache(cache)
            else:
                raise TrainingError(f"{cache} does not exist; make it with one process first, then train with several")
        return train_transcoder(model, texts, config, directory=where["directory"], column=column, progress=True)
    finally:
        if together:
            dist.destroy_process_group()


def _join() -> None:
    """Meet the other processes of torchrun; each has a GPU of its own, where there are any."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl")
    else:
        dist.init_process_group("gloo")


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error
    missing = [name for name in _NEEDED if name not in settings]
    unknown = [name for name in settings if name not in _NEEDED + _OPTIONAL]
    if missing or unknown:
        wrong = f"does not say {', '.join(missing)}" if missing else f"has an unknown {unknown[0]!r}"
        raise TrainingError(f"{path} {wrong}; it needs {', '.join(_NEEDED)} and may have {', '.join(_OPTIONAL)}")
    return settings


def _config(settings: Mapping[str, Any], path: Path) -> TrainingConfig:
    settings = current_names(settings)
    known = [field.name for field in fields(TrainingConfig)]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise TrainingError(f"{path} has an unknown training.{unknown[0]}; settings are {', '.join(known)}")
    if "features" not in settings:
        raise TrainingError(f"{path} does not say training.features, the number of features per layer")
    return TrainingConfig(**settings)


def _model(name: str) -> Any:
    if name == "demo":
        from ct_widgets.demo import load_demo

        return load_demo()
    return load_bridge(name, device="cuda" if torch.cuda.is_available() else None)
