"""ONI's reward as a product of parts."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from shapegym.shaping.annotate.classification import Classification
from shapegym.shaping.annotate.judge import Judge
from shapegym.shaping.annotate.labellers import Labeller
from shapegym.shaping.annotate.ranking import Ranking
from shapegym.shaping.annotate.retrieval import Retrieval
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.types import Expression

Variant: TypeAlias = Literal["retrieval", "classification", "ranking"]

JUDGES: dict[Variant, type[Judge]] = {
    "retrieval": Retrieval,
    "classification": Classification,
    "ranking": Ranking,
}


def oni(
    by: Labeller,
    variant: Variant = "retrieval",
    *,
    weight: float = 0.4,
    exponent: float = 3.0,
    of: str = "features.caption",
    counted: str = "",
    **settings: Any,
) -> Expression:
    """Return ``weight * r(m_t) / N(m_t)^exponent``, with m_t the caption after the step and N how often the episode has seen it.

    Zheng et al. 2024 (ONI); with `Recorded` labels and ``variant="ranking"`` it is the reward of Klissarov et al. 2024 (Motif). Add
    it to the task's reward::

        TaskReward() + oni(Oracle((("you pick up the * key", 1.0),)))

    Without the count an agent repeats the one caption that pays best.

    Args:
        by: who labels.
        variant: what is made of the labels.
        weight: of the reward; 0.4 is published for retrieval.
        exponent: how fast what is seen again fades.
        of: selector of the caption.
        counted: selector of what is counted; empty: the caption. Where captions never come twice, something coarser.
        settings: of the model: `Retrieval`, `Classification` or `Ranking`.
    """
    judge = JUDGES[variant](by=by, of=of, **settings)
    return (
        weight
        * ModelOutput(judge).named("oni")
        * CountBonus(counted or of, exponent=exponent, scope="episode")
    )
