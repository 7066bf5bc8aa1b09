"""The files of the demo model: where they are, and how they are read and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ct_widgets.demo.tokenizer import load_tokenizer
from ct_widgets.errors import FileFormatError
from ct_widgets.language_model import native_bridge, native_state

ARTIFACTS = Path(__file__).parent / "artifacts"

_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A JSON object, readable in a diff."""
    path.write_text(json.dumps(dict(values), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
