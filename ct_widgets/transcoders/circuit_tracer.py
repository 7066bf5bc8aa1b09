"""circuit-tracer's transcoder directories, the interchange format that we write.

CLT: `W_enc_{i}.safetensors` (W_enc_{i} [f, d], b_enc_{i}, b_dec_{i}, optional threshold_{i}, and W_skip_{i}, which is
our addition) and `W_dec_{i}.safetensors` (W_dec_{i} [f, L - i, d]). PLT: `layer_{i}.safetensors`, where W_skip is
applied transposed. `config.yaml` beside them says the kind, the model and the hook points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ct_widgets import atomic
from ct_widgets.errors import FileFormatError, TranscoderError
from ct_widgets.transcoders.weights import Kind, Weights

W = TypeVar("W", bound=Weights)

CONFIG = "config.yaml"
_KINDS: Mapping[str, Kind] = {"cross_layer_transcoder": "clt", "transcoder_set": "plt"}
_PLT_THRESHOLD = "activation_function.threshold"


def read(directory: Path, build: Callable[..., W]) -> W:
    """Read a CLT or PLT directory; `build` makes the transcoder from its fields. See `Transcoder.load`."""
    config = read_config(directory)
    kind = _KINDS[config["model_kind"]]
    weights = _read_clt(directory) if kind == "clt" else _read_plt(directory, config)
    k = weights.pop("k", None) or config.get("k")
    if weights.get("threshold") is not None:
        activation, k = "jumprelu", None
    else:
        activation = str(config.get("activation") or ("relu" if k is None else "topk"))
    return build(
        kind=kind,
        activation=activation,
        k=int(k) if k is not None and activation == "topk" else None,
        feature_input_hook=str(config["feature_input_hook"]),
        feature_output_hook=str(config["feature_output_hook"]),
        model_name=cast("str | None", config.get("model_name")),
        name=str(config.get("scan") or directory.name),
        **weights,
    )


def read_config(directory: Path) -> dict[str, Any]:
    """The directory's `config.yaml`, checked."""
    path = directory / CONFIG
    if not path.is_file():
        raise FileFormatError(
            f"{directory} has no {CONFIG}; a transcoder directory needs one with model_kind, feature_input_hook "
            "and feature_output_hook"
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is not YAML: {error}") from error
    if not isinstance(config, dict):
        raise FileFormatError(f"{path} does not hold settings by name")
    settings = cast("dict[str, Any]", config)
    missing = [key for key in ("model_kind", "feature_input_hook", "feature_output_hook") if not settings.get(key)]
    if missing:
        raise FileFormatError(f"{path} does not say {', '.join(missing)}")
    if settings["model_kind"] not in _KINDS:
        raise FileFormatError(f"{path}: model_kind {settings['model_kind']!r} is none of {', '.join(_KINDS)}")
    return settings


def _read_clt(directory: Path) -> dict[str, Any]:
    encoders = _numbered(directory, r"W_enc_(\d+)\.safetensors")
    decoders = _numbered(directory, r"W_dec_(\d+)\.safetensors")
    if len(decoders) != len(encoders):
        raise FileFormatError(f"{directory} has {len(encoders)} W_enc files and {len(decoders)} W_dec files")
    parts = [_tensors(path, re.compile(rf"(.+)_{i}")) for i, path in enumerate(encoders)]
    dec = [_tensors(path, re.compile(rf"(.+)_{i}")) for i, path in enumerate(decoders)]
    return _by_layer(parts, encoders) | {"W_dec": _column(dec, "W_dec", decoders)}


def _read_plt(directory: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    listed = cast("list[str] | None", config.get("transcoders"))
    if listed:
        files = [_locate(directory, item) for item in listed]
    else:
        files = _numbered(directory, r"layer_(\d+)\.safetensors")
    parts = [_tensors(path, re.compile(r"(.+)")) for path in files]
    for part in parts:
        if _PLT_THRESHOLD in part:
            # A scalar threshold stands for all features of its layer.
            part["threshold"] = part.pop(_PLT_THRESHOLD).expand(part["b_enc"].shape[0])
        if "W_skip" in part:
            part["W_skip"] = part["W_skip"].T
        if part["W_dec"].ndim != 2:
            raise TranscoderError(f"W_dec of {files[0].name} has {part['W_dec'].ndim} axes; a per-layer one has 2")
        part["W_dec"] = part["W_dec"][:, None]
    k = {int(part["k"]) for part in parts if "k" in part}
    if len(k) > 1:
        raise TranscoderError(f"layers of {directory} keep different numbers of features: {sorted(k)}")
    return _by_layer(parts, files) | {"W_dec": _column(parts, "W_dec", files), "k": k.pop() if k else None}


def _locate(directory: Path, item: str) -> Path:
    """A file named in `config.yaml`: `hf://owner/repo/path`, or a path from the directory."""
    if not item.startswith("hf://"):
        return directory / item
    from huggingface_hub import hf_hub_download

    owner, repo, name = [*item.removeprefix("hf://").split("/", 2), "", ""][:3]
    if not name:
        raise FileFormatError(f"{CONFIG} names {item!r}; expected hf://owner/repo/path, optionally with @revision")
    name, _, revision = name.partition("@")
    return Path(hf_hub_download(f"{owner}/{repo}", name, revision=revision or None))


def _by_layer(parts: list[dict[str, Tensor]], files: list[Path]) -> dict[str, Any]:
    columns: dict[str, Any] = {name: _column(parts, name, files) for name in ("W_enc", "b_enc", "b_dec")}
    for name in ("threshold", "W_skip"):
        # All layers or none: a file that lost its threshold must not turn into a ReLU.
        columns[name] = _column(parts, name, files) if any(name in part for part in parts) else None
    return columns


def _column(parts: list[dict[str, Tensor]], name: str, files: list[Path]) -> list[Tensor]:
    for part, file in zip(parts, files, strict=True):
        if name not in part:
            raise FileFormatError(f"{file} has no {name}; it holds {', '.join(sorted(part)) or 'nothing'}")
    return [part[name] for part in parts]


def _numbered(directory: Path, pattern: str) -> list[Path]:
    """Files of the directory whose names match, by their number; raises unless numbered 0, 1, 2, ..."""
    found = {int(m[1]): path for path in directory.iterdir() if (m := re.fullmatch(pattern, path.name))}
    plain = pattern.replace(r"(\d+)\.", "{i}.")
    if sorted(found) != list(range(len(found))) or not found:
        raise FileFormatError(f"{directory} should hold {plain} for i = 0, 1, ...; it has i = {sorted(found)}")
    return [found[i] for i in range(len(found))]


def _tensors(path: Path, pattern: re.Pattern[str]) -> dict[str, Tensor]:
    """Tensors of a file by the first group of `pattern`. They are views of the mapped file: nothing is read yet."""
    try:
        with safe_open(path, framework="pt") as file:
            names = {m[1]: name for name in file.keys() if (m := pattern.fullmatch(name))}  # noqa: SIM118
            return {short: file.get_tensor(name) for short, name in names.items()}
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{path} is missing, truncated or not safetensors ({error}); copy it again") from error


def write(transcoder: Weights, directory: Path) -> None:
    """Write `directory`, all of it or nothing. An older transcoder there is replaced; anything else is refused."""
    if directory.is_dir() and any(directory.iterdir()) and not (directory / CONFIG).is_file():
        raise FileFormatError(f"{directory} exists and is not a transcoder; choose another directory")
    with atomic.directory(directory) as unfinished:
        for layer in range(transcoder.n_layers):
            for name, tensors in _files(transcoder, layer).items():
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, unfinished / name)
                (unfinished / name).chmod(0o644)  # safetensors makes files that nobody else can read
        (unfinished / CONFIG).write_text(yaml.safe_dump(_config(transcoder), sort_keys=False), encoding="utf-8")


def _files(transcoder: Weights, layer: int) -> dict[str, dict[str, Tensor]]:
    weights = {name: getattr(transcoder, name)[layer] for name in ("W_enc", "b_enc", "b_dec")}
    if transcoder.threshold is not None:
        weights["threshold"] = transcoder.threshold[layer]
    if transcoder.W_skip is not None:
        weights["W_skip"] = transcoder.W_skip[layer]
    if transcoder.kind == "clt":
        named = {f"{name}_{layer}": tensor for name, tensor in weights.items()}
        decoder = {f"W_dec_{layer}": transcoder.W_dec[layer]}
        return {f"W_enc_{layer}.safetensors": named, f"W_dec_{layer}.safetensors": decoder}
    weights["W_dec"] = transcoder.W_dec[layer][:, 0]
    if "threshold" in weights:
        weights[_PLT_THRESHOLD] = weights.pop("threshold")
    if "W_skip" in weights:
        weights["W_skip"] = weights["W_skip"].T
    return {f"layer_{layer}.safetensors": weights}


def _config(transcoder: Weights) -> dict[str, Any]:
    kinds = {short: long for long, short in _KINDS.items()}
    config: dict[str, Any] = {
        "model_kind": kinds[transcoder.kind],
        "model_name": transcoder.model_name,
        "feature_input_hook": transcoder.feature_input_hook,
        "feature_output_hook": transcoder.feature_output_hook,
        "scan": transcoder.name,
    }
    if transcoder.activation != "jumprelu":  # a threshold in the files says JumpReLU
        config["activation"] = transcoder.activation
    if transcoder.k is not None:
        config["k"] = transcoder.k
    return config
