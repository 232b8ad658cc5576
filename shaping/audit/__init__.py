"""Audits: how far a reward is from the task's, and whether optimising it still solves the task.

On the tables of finite tasks: `starc`, `epic`, `dard` and `raw_l2` are distances between rewards, `worst_regret` and
`optimal_regret` what the one costs under the other, `certificate` says whether they ask for the same policies, and `find_exploit`
finds behaviour that pays more than solving the task. From recordings: `Rollouts`, `telescoping`, and the distances of the same
names in `shapegym.shaping.audit.sampled`.
"""

from shapegym.shaping.audit import sampled
from shapegym.shaping.audit.exact import dard, epic, raw_l2, starc
from shapegym.shaping.audit.invariance import Certificate, Witness, certificate
from shapegym.shaping.audit.loops import FoundExploit, find_exploit
from shapegym.shaping.audit.regret import optimal_regret, worst_regret
from shapegym.shaping.audit.rollouts import Rollouts
from shapegym.shaping.audit.telescoping import Telescoping, telescoping

__all__ = [
    "Certificate",
    "FoundExploit",
    "Rollouts",
    "Telescoping",
    "Witness",
    "certificate",
    "dard",
    "epic",
    "find_exploit",
    "optimal_regret",
    "raw_l2",
    "sampled",
    "starc",
    "telescoping",
    "worst_regret",
]
