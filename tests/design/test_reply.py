"""What models write is read if there is a program in it, and complained about in words if there is none."""

from __future__ import annotations

import json

import pytest

from shapegym.experiments.design.reply import read_reply
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.language.complaint import ProgramError

SEEN = Abstraction(
    "Reach the goal.",
    (
        Feature("x", 0, "number", -1.0, 1.0),
        Feature("pos", 2, "number", 0.0, 1.0),
        Feature("held", 0, "truth"),
    ),
    Feature("action", 0, "whole", 0, 2),
)
GOOD = """def compute_reward(before, after, action):
    gain = after.x - before.x
    return gain, {"gain": gain}
"""
BODY = GOOD.split("\n", 1)[1]


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}```\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        fenced(GOOD),
        fenced(GOOD, "py"),
        fenced(GOOD, "Python 3"),
        fenced(GOOD, ""),
        f"~~~python\n{GOOD}~~~",
        f"Sure! Here is the reward:\n\n{fenced(GOOD)}\n\nIt pays for `x`. Hope that helps!",
        f"Sure! Here is it:\n\n{GOOD}",
        f"```python\n{GOOD.strip()}```",
        f"```python\n{GOOD}",  # the closing fence was cut off
        fenced(GOOD).replace("\n", "\r\n"),
        f"1. First:\n    ```python\n    {GOOD.replace(chr(10), chr(10) + '    ')}\n    ```",
        f"````markdown\n{fenced(GOOD)}\n````",
        "An example:\n" + fenced("x = f(1)\n") + "and the answer:\n" + fenced(GOOD),
        fenced("int main() { return 0; }\n", "c") + "\n" + fenced(GOOD),
        fenced(json.dumps({"thoughts": "def inite", "code": GOOD}), "json"),
        json.dumps({"code": fenced(GOOD)}),
        json.dumps({"reward": GOOD, "why": "it pays"})[:-20],  # truncated JSON
        json.dumps({"reward": GOOD})[:-2],  # truncated within the text
        ">>> " + GOOD.strip().replace("\n", "\n... "),
    ],
)
def test_a_program_is_found_whatever_is_around_it(text):
    writing = read_reply(text, SEEN)
    assert writing.program.parts == ("gain",)
    assert writing.program.form == "reward"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (GOOD.replace("compute_reward", "dense_reward"), "called compute_reward now"),
        (fenced("import math\n" + GOOD + "\nprint(compute_reward(1, 2, 3))\n"), "beside the function"),
        (fenced("import os\n" + GOOD), "beside the function"),
        (
            "def reward(state, next_state, action):\n    gain = next_state.x - state.x\n    return gain, {'gain': gain}\n",
            "before, after",
        ),
        (
            "class R:\n    def compute_reward(self, before, after, action):\n        gain = after.x\n"
            "        return gain, {'gain': gain}\n",
            "beside",
        ),
        ("def phi(s):\n    gain = s.x\n    return gain, {'gain': gain}\n", "called potential now"),
        ("@staticmethod\n" + GOOD, ""),
        (
            "def compute_reward(before, after, action):\n    distance = distance(after.pos, before.pos)\n"
            "    gain = after.x - distance\n    return gain, {'gain': gain}\n",
            "underscore",
        ),
        (
            "def compute_reward(before, after, action):\n    gain = distance(after.pos, Vector(0, 1))\n"
            "    return gain, {'gain': gain}\n",
            "",
        ),
        (
            "def compute_reward(before, after, action):\n    gain = after.x\n    if after.held:\n"
            "        return gain, {'gain': gain}\n",
            "pays nothing",
        ),
        (GOOD.replace("action):", "action: int) -> Tuple[float, Dict[str, float]]:"), ""),
        (GOOD + "\n\ndef helper(a):\n    b = a +", "end"),
        (GOOD + "This function pays for progress.\nHope it's fine!", "end"),
    ],
)
def test_what_can_be_mended_is_mended_and_said(text, note):
    writing = read_reply(text, SEEN)
    assert writing.program.parts == ("gain",)
    assert note in " ".join(writing.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no Python code"),
        ("I cannot help with that.", "no Python code"),
        ("Ich bin ein Sprachmodell.\n" * 20_000, "no Python code"),
        (fenced("function reward(s) { return s.x; }\n", "js"), "no Python"),
        (fenced("fn reward(s: State) -> f64 { s.x }\n", "rust"), "no Python"),
        (fenced(GOOD.replace("after.x", "after.speed")), "speed"),
        (fenced("def compute_reward(before, after, action):\n    return"), ""),
        (fenced("def compute_reward(before, after, action):\n    gain = (after.x"), "no Python"),
        (fenced("import os\nos.system('true')\n"), ""),
        (
            fenced(
                "def compute_reward(before, after, action):\n    x = eval('1')\n    return 0.0, {'a': 0.0}"
            ),
            "eval",
        ),
        (fenced("x = 1\n" * 50_000), ""),
        (fenced("def compute_reward(before, after, action):\n    while True:\n        pass\n"), ""),
        ("```python\n" * 5_000, ""),
        ("{" * 100_000, ""),
        ('{"' * 50_000, ""),
        ("(" * 50_000, ""),
        (fenced("x = " + "(" * 10_000), ""),
        ("\0\ud800 def f(): pass", ""),
    ],
)
def test_what_is_no_program_is_complained_about(text, said):
    with pytest.raises(ProgramError) as caught:
        read_reply(text, SEEN)
    assert caught.value.complaints
    assert said in str(caught.value)


def test_of_several_programs_the_first_that_can_be_read_counts():
    broken = GOOD.replace("after.x", "after.speed")
    better = GOOD.replace("gain", "rise")
    assert read_reply(fenced(broken) + "Corrected:\n" + fenced(better), SEEN).program.parts == ("rise",)
    assert read_reply(fenced(GOOD) + "or\n" + fenced(better), SEEN).program.parts == ("gain",)


def test_complaints_are_about_the_piece_that_came_nearest():
    text = fenced("console.log(1);\n", "js") + fenced(GOOD.replace("after.x", "after.speed"))
    with pytest.raises(ProgramError, match="speed"):
        read_reply(text, SEEN)


@pytest.mark.parametrize("arguments", ["before, after, action", "before, after, action, memory"])
@pytest.mark.parametrize("slot", ["MEMORY['best']", "MEMORY.best", "memory['best']", "memory.best"])
def test_memory_is_read_however_it_is_spelled(slot, arguments):
    code = (
        f"MEMORY = {{'best': 0.0}}\n\n\ndef compute_reward({arguments}):\n    {slot} = max({slot}, after.x)\n"
        f"    return {slot}, {{'best': {slot}}}\n"
    )
    assert read_reply(fenced(code), SEEN).program.slots == (("best", 0.0),)


def test_constants_and_memory_beside_the_function_are_kept():
    code = "WEIGHT = 2.0\nMEMORY = {'best': 0.0}\n" + (
        "def f(before, after, action, memory):\n    memory.best = max(memory.best, after.x)\n"
        "    gain = WEIGHT * memory.best\n    return gain, {'gain': gain}\n"
    )
    program = read_reply(fenced(code), SEEN).program
    assert program.slots == (("best", 0.0),)
