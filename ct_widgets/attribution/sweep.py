"""The definition of a row: one reverse sweep (VJP) through the frozen linear map [CT25, "Attribution graphs"].

    A[t, s] = a_s * sum_{l_s <= l < l_t} (W_dec,s^{l_s->l})^T J_{(p_s,l)->(p_t,l_t)} W_enc,t

`sweep` is this formula and nothing else. `fast/` computes the same rows in a fraction of the time, `reference.py` by
automatic differentiation; each of the three is tested against the others.
Axes: t target, s source, p (q, k) position, l layer, d (f) model, h head, e head dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.rows import Rows, TargetBlock


def sweep(local: LocalReplacementModel, writes: FeatureWrites, targets: TargetBlock) -> Rows:
    """Compute the rows of a block of targets; positions after the last of them are never touched.

    G[t, p] = J_{(p,l)->(p_t,l_t)} W_enc,t: [t, p, d], the gradient of what t reads by the output of layer l.

    >>> sweep(local, writes, Targets(local, logits).block(np.arange(5))).embedding  # [t, p]
    """
    run, frozen_map, W_skip = local.run, local.frozen_map, local.model.transcoder.W_skip
    end = int(targets.position.max()) + 1
    rows = Rows.zeros(local, len(targets.vector), end)
    G = frozen_map.final_norm.pull_back(_inject(targets, run.n_layers, end), run.scales["final"][:end])
    for layer in reversed(range(run.n_layers)):
        # Sources: what errors and features write to the MLP output of this layer l.
        rows.error[:, layer] = torch.einsum("tpd,pd->tp", G, local.error[layer, :end])
        for p in range(end):
            rows.feature[:, writes.columns(layer, p)] += G[:, p] @ writes.at(layer, p).T  # a_s W_dec,s^{l_s->l}
        # Targets of layer l read its transcoder's input, and so does a skip connection.
        read = _inject(targets, layer, end)
        if W_skip is not None:
            read += G @ W_skip[layer].to(G).T
        read = run.pull_back_read(frozen_map, layer, read, slice(end))
        if run.reads_before_attention(frozen_map):
            G = G + _attention_transposed(local, layer, G) + read
        else:
            G = G + read
            G = G + _attention_transposed(local, layer, G)
    rows.embedding[:] = torch.einsum("tpd,pd->tp", G, run.embedding[:end])
    return rows


def _inject(targets: TargetBlock, layer: int, end: int) -> Tensor:
    """W_enc,t at (p_t, l_t) for the targets of a layer, and zeros elsewhere. -> [t, p, d]."""
    t, d = targets.vector.shape
    injected = targets.vector.new_zeros(t, end, d)
    here = (targets.layer == layer).nonzero().flatten()
    injected[here, targets.position[here]] = targets.vector[here]
    return injected


def _attention_transposed(local: LocalReplacementModel, layer: int, G: Tensor) -> Tensor:
    """sum_h sum_q pattern_h[q, k] / (s_post[q] s_1[k]) G[t, q] W_O^hT W_V^hT. G: [t, q, d] -> [t, k, f]."""
    attention, end = local.frozen_map.attention[layer], G.shape[1]
    pattern = local.run.weighted_pattern(layer)[:, :end, :end]
    W_V = attention.W_V.repeat_interleave(len(pattern) // attention.n_groups, dim=0)  # [h, f, e], of each head's group
    return torch.einsum("tqd,hed,hqk,hfe->tkf", G, attention.W_O, pattern, W_V)
