"""Statistics of comparisons between a few runs each.

`aggregate`, `probability_of_improvement` and `performance_profile` say what is known of a contender over all tasks;
`kaplan_meier` and `log_rank` treat runs that never succeeded as what they are, censored; `paired_test` and `holm` decide.
Nothing here depends on the clock or on the order of tasks: the same scores give the same numbers.
"""

from shapegym.experiments.stats.bootstrap import Interval
from shapegym.experiments.stats.scores import (
    aggregate,
    area,
    iqm,
    mean_band,
    performance_profile,
    probability_of_improvement,
)
from shapegym.experiments.stats.significance import (
    Test,
    holm,
    holm_by_name,
    paired_test,
    seed_warning,
    shared,
)
from shapegym.experiments.stats.survival import Survival, kaplan_meier, log_rank

__all__ = [
    "Interval",
    "Survival",
    "Test",
    "aggregate",
    "area",
    "holm",
    "holm_by_name",
    "iqm",
    "kaplan_meier",
    "log_rank",
    "mean_band",
    "paired_test",
    "performance_profile",
    "probability_of_improvement",
    "seed_warning",
    "shared",
]
