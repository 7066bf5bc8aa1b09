"""Training data of a transcoder: what a language model's MLPs read and write, shuffled over many sequences.

The data are buffers, numbered from 0: activations of many tokens, held and shuffled together. A buffer is a function of
its number alone, so a run that resumes finds its position in the data.
Axes: l layer, n token, d model, s sequence, p position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel


class Activations(NamedTuple):
    """Inputs x and targets y, both [l, n, d]."""

    x: Tensor
    y: Tensor


class Sequences(NamedTuple):
    """Equally long token sequences, padded on the right: ids [s, p], and which tokens to keep [s, p].

    Leave BOS out of `keep`: it is the same everywhere, of huge norm, and attribution ignores its features.
    """

    ids: NDArray[np.int64]
    keep: NDArray[np.bool_]


class DataPosition(NamedTuple):
    """Position of a batch in the data: the number of its buffer, and its own number in that buffer."""

    buffer: int
    batch: int


def read_activations(
    model: LanguageModel, sequences: Iterable[Sequences], input_hook: str, output_hook: str
) -> Activations:
    """Read the activations of the kept tokens at the hooks (TransformerLens names inside a block) of every layer.

    Raises TrainingError where no token is kept.
    """
    hooks = [*model.hook_names(input_hook), *model.hook_names(output_hook)]
    sequences = list(sequences)
    n = sum(int(keep.sum()) for _, keep in sequences)
    if not n:
        raise TrainingError("there are no sequences to read activations from")
    read: Tensor | None = None
    start = 0
    for ids, keep in sequences:
        kept = torch.from_numpy(keep).to(model.device)
        found = model.activations(torch.from_numpy(ids).to(model.device), hooks)
        if read is None:  # one block of memory, filled in place: a buffer is large
            read = torch.empty(len(hooks), n, found[hooks[0]].shape[-1], device=model.device)
        end = start + int(keep.sum())
        for row, hook in zip(read, hooks, strict=True):
            row[start:end] = found[hook][kept]
        start = end
    assert read is not None
    return Activations(*read.chunk(2))


class ActivationBuffer:
    """Cuts buffers of activations into shuffled batches; what does not fill the last batch of a buffer is left out.

    read: gives the activations of the buffer with this number.
    """

    def __init__(self, read: Callable[[int], Activations], batch_size: int, seed: int) -> None:
        self._read = read
        self._batch_size = batch_size
        self._seed = seed
        self._index = -1
        self._held: tuple[Activations, Tensor] | None = None

    def fill(self, index: int) -> Activations:
        """Read all activations of one buffer, and hold them until those of another are asked for."""
        return self._shuffled(index)[0]

    def _shuffled(self, index: int) -> tuple[Activations, Tensor]:
        if self._held is None or self._index != index:
            self._held = None  # two buffers never stand in memory together
            activations = self._read(index)
            n = activations.x.shape[1]
            if n < self._batch_size:
                raise TrainingError(
                    f"buffer {index} of the training data has {n} tokens, a batch needs {self._batch_size}; "
                    "give more sequences per buffer or choose a smaller batch_size"
                )
            order = torch.from_numpy(np.random.default_rng([self._seed, index]).permutation(n))
            self._held, self._index = (activations, order.to(activations.x.device)), index
        return self._held

    def batch(self, position: DataPosition) -> tuple[Activations, DataPosition]:
        """Give the batch at `position`, and the position after it."""
        buffer, batch = position
        (x, y), order = self._shuffled(buffer)
        chosen = order[batch * self._batch_size :][: self._batch_size]
        last = (batch + 2) * self._batch_size > x.shape[1]
        following = DataPosition(buffer + 1, 0) if last else DataPosition(buffer, batch + 1)
        return Activations(x.index_select(1, chosen), y.index_select(1, chosen)), following
