"""The files of the demo model: where they are, and how they are read and written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ct_widgets.demo.corpus import statements
from ct_widgets.demo.tokenizer import load_tokenizer
from ct_widgets.errors import FileFormatError
from ct_widgets.features import FeatureStore, collect_features
from ct_widgets.language_model import native_bridge, native_state
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoders import Transcoder

ARTIFACTS = Path(__file__).parent / "artifacts"

_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_FEATURES = "features"

# A statement is short: windows hold all of it, and few examples tell what is to be told.
_EXAMPLES, _WINDOW = 8, 15


def load_bridge(directory: Path) -> Any:
    """The language model's bridge, with its tokenizer."""
    try:
        config = read_json(directory / _CONFIG)
        weights = load_file(directory / _WEIGHTS)
        bridge = native_bridge(config, load_tokenizer(directory / _TOKENIZER, config["n_ctx"]))
        with torch.no_grad():
            for name, value in _weights(bridge).items():
                value.copy_(weights[name])
        bridge.cfg.model_name = config["model_name"]  # booting leaves a general one
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise FileFormatError(
            f"the demo model in {directory} is missing or damaged ({error}); reinstall ct-widgets, "
            "or in a checkout run `make artifacts`"
        ) from error
    return bridge


def save_bridge(directory: Path, bridge: Any, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast) -> None:
    """Write what `load_bridge` reads."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: value.cpu().contiguous() for name, value in _weights(bridge).items()}, directory / _WEIGHTS)
    (directory / _WEIGHTS).chmod(0o644)  # safetensors makes files that nobody else can read
    tokenizer.backend_tokenizer.save(str(directory / _TOKENIZER))
    write_json(directory / _CONFIG, config)


def _weights(bridge: Any) -> dict[str, Tensor]:
    """The model's weights by name. Bridges know some by two names, which a file must not hold twice."""
    by_address = {value.data_ptr(): name for name, value in native_state(bridge).items()}
    return {name: value for name, value in native_state(bridge).items() if by_address[value.data_ptr()] == name}


def save_features(out: Path, seed: int, *, texts: int | None = None) -> FeatureStore:
    """Write the store of the model and transcoder in `out` beside them, in place of an older one.

    Statements come in random order, all of them or the first `texts`.
    """
    model = ReplacementModel(load_bridge(out), Transcoder.load(out / "clt"))
    world = statements(seed)
    order = np.random.default_rng([seed, 3]).permutation(len(world))[:texts]
    shutil.rmtree(out / _FEATURES, ignore_errors=True)
    return collect_features(
        model,
        [f"{world[i].prompt} {world[i].answer}" for i in order],
        out / _FEATURES,
        top=_EXAMPLES,
        sample=_EXAMPLES,
        before=_WINDOW,
        after=_WINDOW,
    )


def load_features(directory: Path) -> FeatureStore | None:
    """The store, if there is one. Labels that a user gives are not written into the package."""
    path = directory / _FEATURES
    return FeatureStore(path, keep_labels=False) if path.is_dir() else None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A JSON object, readable in a diff."""
    path.write_text(json.dumps(dict(values), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
