"""Prove that a reward of your own keeps the contract: the checks that every node of this project passes.

    from shapegym.shaping.testing import check_expression

    def test_my_bonus():
        check_expression(TaskReward() + MyBonus(beta=0.1), "shapegym/Corridor-v0")
        check_model(MyPredictor(), "shapegym/Corridor-v0")

For terms that need no particular task there is `ScriptedEnv`, on which the `examples` of every node can be measured.
"""

from shapegym.shaping.testing.compliance import ComplianceError, check_expression, check_model
from shapegym.shaping.testing.recording import record
from shapegym.shaping.testing.scripted import GAMMA, ScriptedEnv, examples

__all__ = ["GAMMA", "ComplianceError", "ScriptedEnv", "check_expression", "check_model", "examples", "record"]
