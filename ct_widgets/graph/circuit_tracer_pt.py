"""Graphs that circuit-tracer saved as `.pt`, read only.

Such a file is a pickle, which could run any code, so torch's own restricted unpickler reads it: tensors, plain values,
and the classes named below, for which records of ours without any behaviour stand in. The adjacency has rows =
targets and columns = sources, both in the order features, errors (layer by layer), embeddings, logits. Files hold no
text of tokens but that of the logits.

Axes: n nodes, p prompt positions.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import FileFormatError
from ct_widgets.graph.node_id import KIND_NAMES, NO_INDEX, NodeId, sort_key

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[Any]

_NEEDED = (
    "input_string",
    "input_tokens",
    "adjacency_matrix",
    "cfg",
    "active_features",
    "selected_features",
    "activation_values",
    "logit_probabilities",
)
_CONFIGS = (
    "circuit_tracer.utils.tl_nnsight_mapping.UnifiedConfig",
    "transformer_lens.HookedTransformerConfig.HookedTransformerConfig",  # before 0.4
)
_LOGIT_TARGET = "circuit_tracer.attribution.targets.LogitTarget"
_IGNORED = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
"""Classes of values inside of older configurations, of which nothing is needed."""


class Tokenizer(Protocol):
    """Turns token ids into text, as a tokenizer of Hugging Face does."""

    def decode(self, token_ids: list[int]) -> str:
        """Text of the tokens."""
        ...


def decode(data: bytes, tokenizer: Tokenizer | None = None) -> dict[str, Any]:
    """The columns in the bytes of a `.pt` file; without a tokenizer, the text of prompt token 17 is "#17"."""
    saved = _unpickled(data)
    missing = [key for key in _NEEDED if key not in saved]
    if missing:
        raise FileFormatError(f"no graph of circuit-tracer: it lacks {', '.join(missing)}")
    tokens: list[int] = _array(saved["input_tokens"]).tolist()
    targets = _logit_targets(saved, tokenizer)
    n_layers = int(saved["cfg"].n_layers)
    activation, selected = _array(saved["activation_values"]), _array(saved["selected_features"])
    if len(activation) == len(saved["active_features"]):  # some files hold those of all active features
        activation = activation[selected]
    theirs = _nodes(saved, n_layers, tokens, targets)
    dense = _array(saved["adjacency_matrix"])
    if dense.shape != (len(theirs), len(theirs)):
        raise FileFormatError(f"it has {len(theirs)} nodes, and an adjacency matrix of shape {dense.shape}")
    probability = np.full(len(theirs), np.nan, dtype=np.float32)
    probability[len(theirs) - len(targets) :] = _array(saved["logit_probabilities"])
    order = sorted(range(len(theirs)), key=lambda row: sort_key(theirs[row], float(probability[row])))
    ids = [theirs[row] for row in order]
    texts = [_text(token, tokenizer) for token in tokens]
    names = dict(zip((target.vocab_idx for target in targets), (target.token_str for target in targets), strict=True))
    unknown = np.full(len(ids), np.nan, dtype=np.float32)
    return {
        "prompt": str(saved["input_string"]),
        "tokens": texts,
        "token_ids": tokens,
        "n_layers": n_layers,
        "kind": [KIND_NAMES.index(node.kind) for node in ids],
        "layer": [node.layer for node in ids],
        "position": [node.position for node in ids],
        "index": [node.index for node in ids],
        "activation": [activation[row] if row < len(activation) else np.nan for row in order],
        "probability": probability[order],
        "node_token": [
            texts[node.position] if node.kind == "embedding" else names[node.index] if node.kind == "logit" else ""
            for node in ids
        ],
        **_edges(dense, np.array(order, dtype=np.int64)),
        "bias": unknown,
        "preactivation": unknown,
        "provenance": _provenance(saved),
    }


class _Target(NamedTuple):
    """Stands in for circuit-tracer's LogitTarget."""

    token_str: str
    vocab_idx: int


class _Ignored:
    """Stands in for a value of which nothing is needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _stand_in(path: str, base: type) -> type:
    """A subclass of `base` by another class's name: torch knows what is allowed by the name that it gives itself."""
    module, _, name = path.rpartition(".")
    return type(name, (base,), {"__module__": module})


def _unpickled(data: bytes) -> dict[str, Any]:
    """Read the file if it is a mapping of tensors, plain values and the classes above."""
    import torch
    from torch.serialization import safe_globals

    allowed: list[Any] = [
        *(_stand_in(path, object) for path in _CONFIGS),
        *(_stand_in(path, _Ignored) for path in _IGNORED),
        _stand_in(_LOGIT_TARGET, _Target),
    ]
    try:
        with safe_globals(allowed):
            saved: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = found[1] if found else "it was not written by torch.save"
        raise FileFormatError(f"it holds more than a graph, and nothing of it was run ({what})") from error
    except (RuntimeError, EOFError) as error:
        raise FileFormatError(f"not written by torch.save, or truncated ({error})") from error
    if not isinstance(saved, dict):
        raise FileFormatError(f"no graph of circuit-tracer: it holds a {type(saved).__name__}")
    return saved  # pyright: ignore[reportUnknownVariableType]


def _logit_targets(saved: dict[str, Any], tokenizer: Tokenizer | None) -> list[_Target]:
    """The logits: records in newer files, token ids in files before 0.4."""
    found: Any = saved.get("logit_targets", saved.get("logit_tokens"))
    if found is None:
        raise FileFormatError("no graph of circuit-tracer: it lacks logit_targets")
    if not isinstance(found, list):
        found = [("", token) for token in _array(found).tolist()]
    targets = [_Target(str(text), int(index)) for text, index in found]
    return [
        target if target.token_str else _Target(_text(target.vocab_idx, tokenizer), target.vocab_idx)
        for target in targets
    ]


def _nodes(saved: dict[str, Any], n_layers: int, tokens: list[int], targets: list[_Target]) -> list[NodeId]:
    """The nodes in the order of the adjacency matrix."""
    features: Array = _array(saved["active_features"])[_array(saved["selected_features"])]
    last = len(tokens) - 1
    return [
        *(NodeId("feature", layer, position, index) for layer, position, index in features.tolist()),
        *(NodeId("error", layer, position, NO_INDEX) for layer in range(n_layers) for position in range(len(tokens))),
        *(NodeId("embedding", -1, position, token) for position, token in enumerate(tokens)),
        *(NodeId("logit", n_layers, last, target.vocab_idx) for target in targets),
    ]


def _edges(dense: Array, order: npt.NDArray[np.int64]) -> dict[str, Array]:
    """Compressed rows of the adjacency matrix with rows and columns in `order`."""
    from scipy.sparse import csr_array

    edges: Any = csr_array(dense)[order][:, order]
    edges.sort_indices()
    return {"indptr": edges.indptr, "source": edges.indices, "weight": edges.data}


def _provenance(saved: dict[str, Any]) -> dict[str, Any]:
    scan = saved.get("scan_name", saved.get("scan"))
    return {
        "model": str(getattr(saved["cfg"], "model_name", "unknown")),
        "transcoder": " + ".join(map(str, scan)) if isinstance(scan, list) else scan and str(scan),
        "made_by": "circuit-tracer",
    }


def _text(token: int, tokenizer: Tokenizer | None) -> str:
    return f"#{token}" if tokenizer is None else tokenizer.decode([token])


def _array(tensor: Tensor) -> Array:
    import torch

    # numpy has no bfloat16, in which large graphs are saved.
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).detach().numpy()
