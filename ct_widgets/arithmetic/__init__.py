"""How a model calculates: what its features do over all pairs of operands [CT25, "Addition"].

These values and families of features need no torch; what runs a model is in `collect`, `figures` and `weights`.
"""

from ct_widgets.arithmetic.families import Family, classify
from ct_widgets.arithmetic.numbers import number_tokens
from ct_widgets.arithmetic.operands import OperandActivations

__all__ = ["Family", "OperandActivations", "classify", "number_tokens"]
