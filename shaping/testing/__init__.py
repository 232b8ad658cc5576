"""Prove that a reward of your own keeps the contract: the checks that every node of this project passes.

    from shapegym.shaping.testing import check_expression

    def test_my_bonus():
        check_expression(TaskReward() + MyBonus(beta=0.1), "shapegym/Corridor-v0")

For terms that need no particular task there is `ScriptedEnv`. `EXAMPLES` holds an instance of every node of this project.
"""

from shapegym.shaping.testing.compliance import ComplianceError, check_expression, record
from shapegym.shaping.testing.examples import EXAMPLES, Example
from shapegym.shaping.testing.scripted import ScriptedEnv

__all__ = ["EXAMPLES", "ComplianceError", "Example", "ScriptedEnv", "check_expression", "record"]
