"""The fast path: the rows that `sweep.py` defines, at the speed of matrix products. Its one entry is `FastRows`.

Forward mode (JVP) pushes what sources write up through the layers, once for all targets (forward_pass.py). Reverse mode
(VJP) pulls what targets read down, once for all sources (reverse_pass.py). They meet in the middle, at the cut layer
for which the fewest multiplications are left (`memory_plan.py`): there, one product per position yields the edges
between all sources below and all targets above. attention_maps.py is the frozen attention that both go through, forward
and transposed; fast_rows.py says what is computed when; padded_writes.py is for GPUs, matmul.py for CPUs.
"""

from ct_widgets.attribution.fast.fast_rows import FastRows

__all__ = ["FastRows"]
