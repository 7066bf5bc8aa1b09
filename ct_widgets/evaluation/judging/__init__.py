"""Do examples of a feature tell what it is? Questions with two answers, put to a judge: chance is 50 %.

A judge is anything that answers a prompt: a language model behind an `Endpoint`, a person, or `StatisticalJudge`,
which needs no model.

>>> judged = sort_eval(model.features, Endpoint("http://localhost:11434/v1", "llama3.2"))
>>> judged
<sort eval: 87.0 % of 200 right, 95 % interval 81.6 to 91.0 %>
>>> judged.transcript
"""

from ct_widgets.evaluation.judging.baselines import random_features
from ct_widgets.evaluation.judging.evals import contrastive_eval, sort_eval
from ct_widgets.evaluation.judging.judged import Judged
from ct_widgets.evaluation.judging.questions import Question, contrastive_questions, sort_questions
from ct_widgets.evaluation.judging.statistical import StatisticalJudge
from ct_widgets.features.endpoint import Endpoint

__all__ = [
    "Endpoint",
    "Judged",
    "Question",
    "StatisticalJudge",
    "contrastive_eval",
    "contrastive_questions",
    "random_features",
    "sort_eval",
    "sort_questions",
]
