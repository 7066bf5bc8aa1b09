"""Does the explanation hold? Dictionaries, graphs and single claims measured [CT25, "Evaluating"]."""

from ct_widgets.evaluation.ablation import Ablation, ablate, correlations
from ct_widgets.evaluation.dictionaries import Measured, Variant, measure, sparsity_variants
from ct_widgets.evaluation.evaluate import evaluate
from ct_widgets.evaluation.faithfulness import faithfulness
from ct_widgets.evaluation.graphs import graphs_table, paths_table, pruning_table, reach
from ct_widgets.evaluation.report import Evaluation
from ct_widgets.evaluation.texts import Text
from ct_widgets.evaluation.validation import Validation, validate

__all__ = [
    "Ablation",
    "Evaluation",
    "Measured",
    "Text",
    "Validation",
    "Variant",
    "ablate",
    "correlations",
    "evaluate",
    "faithfulness",
    "graphs_table",
    "measure",
    "paths_table",
    "pruning_table",
    "reach",
    "sparsity_variants",
    "validate",
]
