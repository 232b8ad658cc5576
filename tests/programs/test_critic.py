"""The critic blames no program of the library, and finds what is wrong where something is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from shapegym.agents.programs.abstracting import abstraction_of
from shapegym.agents.programs.evidence import evidence_for
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.critic import Evidence, Finding, blames, criticise
from shapegym.shaping.programs.critic.batch import run
from shapegym.shaping.programs.grammar import random_program, wild_program
from shapegym.shaping.programs.language.meaning import Frame, executor
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.programs.references import Reference, reference, references

DOOR_KEY, KEY_DOOR = "shapegym/MiniGrid-DoorKey-5x5-v0", "shapegym/KeyDoor-v0"
CAR, MAZE = "shapegym/MountainCar-v0", "shapegym/PointMaze-v0"


@cache
def known(env: str) -> tuple[Abstraction, Evidence]:
    abstraction = abstraction_of(env)
    return abstraction, evidence_for(env, abstraction, states=9_000)


def found(env: str, source: str) -> list[Finding]:
    abstraction, evidence = known(env)
    return criticise(read_program(source, abstraction), abstraction, evidence).findings


def rules(env: str, body: str, form: str = "reward") -> dict[str, Finding]:
    head = "def compute_reward(before, after, action):" if form == "reward" else "def potential(state):"
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return {finding.rule: finding for finding in found(env, f"{head}\n{lines}\n")}


@pytest.mark.parametrize("reference", references(), ids=lambda reference: reference.name)
def test_no_reference_program_is_blamed(reference: Reference) -> None:
    findings = found(reference.env.replace("6x6", "5x5"), reference.source)
    assert not blames(findings), "\n".join(map(str, findings))


def test_a_key_that_can_be_dropped_and_picked_up_again_is_a_loop() -> None:
    body = 'key = 0.5 if after.has_key and not before.has_key else 0.0\nreturn key, {"key": key}'
    loop = rules(DOOR_KEY, body)["loop"]
    assert loop.severity == "error"
    assert loop.part == "key"
    assert "'drop'" in str(loop)
    assert "'pick up'" in str(loop)
    assert "loop" not in rules(KEY_DOOR, body), "where a key cannot be dropped that is no loop"


def test_what_is_paid_for_every_step_makes_lingering_pay() -> None:
    close = rules(
        KEY_DOOR,
        'near = 1.0 - 0.05 * manhattan(after.agent_pos, after.goal_pos)\nreturn near, {"near": near}',
    )
    assert close["loop"].severity == "error"


def test_what_costs_too_much_makes_solving_the_task_worse_than_failing_it() -> None:
    body = "cost = -5.0 if after.agent_pos[1] > 3 else 0.0\nreturn cost, {'cost': cost}"
    assert {"stuck", "lingering"} & {*rules(KEY_DOOR, body)}


def test_a_flipped_sign_is_shown_by_a_better_and_a_worse_step() -> None:
    sign = rules(
        DOOR_KEY, "near = 0.1 * manhattan(after.agent_pos, after.goal_pos)\nreturn near, {'near': near}"
    )["sign"]
    worse, better = sign.shown
    assert worse.pays > better.pays
    assert sign.line == 2


def test_what_no_action_moves_and_what_is_never_paid_is_said_of_its_part() -> None:
    unmoved = rules(
        KEY_DOOR, "late = -0.01 * manhattan(before.agent_pos, before.goal_pos)\nreturn late, {'late': late}"
    )
    assert unmoved["unmoved part"].part == "late"
    assert "before" in unmoved["unmoved part"].message
    dead = rules(
        KEY_DOOR,
        "bonus = 1.0 if before.has_key and not after.has_key else 0.0\nreturn bonus, {'bonus': bonus}",
    )
    assert dead["dead part"].line == 2
    assert dead["condition"].line == 2


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("x = 100.0 * (after.position - before.position)\nreturn x, {'x': x}", "scale"),
        ("x = 1e-6 * after.velocity\nreturn x, {'x': x}", "scale"),
        ("x = 0.01 / (after.position - before.position)\nreturn x, {'x': x}", "not finite"),
        ("x = after.position - after.velocity\nreturn x, {'x': x}", "units"),
        ("x = 0.1 if after.position > 3 else 0.0\nreturn x, {'x': x}", "range"),
        ("x = after.velocity\ny = after.position\nreturn x, {'x': x, 'y': y}", "total"),
        ("x = after.velocity\ny = after.height\nreturn x, {'x': x}", "unused"),
        ("x = 0.3\nreturn x, {'x': x}", "constant part"),
    ],
)  # fmt: skip
def test_what_the_numbers_say(body: str, rule: str) -> None:
    assert rule in rules(CAR, body)


def test_a_small_cost_of_every_step_is_a_matter_of_taste() -> None:
    assert "constant part" not in rules(KEY_DOOR, "step = -0.01\nreturn step, {'step': step}")
    assert "constant part" in rules(KEY_DOOR, "step = -1.0\nreturn step, {'step': step}")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("after.carrying == 12", "never 12"),
        ("after.carrying > 4", "codes"),
        ("after.carrying == after.front", "something else"),
        ("after.agent_pos[0] < after.goal_pos[1]", "axes"),
        ("after.doors_open > after.agent_pos[0]", "doors"),
    ],
)  # fmt: skip
def test_codes_axes_and_units_are_kept_apart(expression: str, said: str) -> None:
    units = rules(DOOR_KEY, f"x = 0.1 if {expression} else 0.0\nreturn x, {{'x': x}}")["units"]
    assert said in units.message


def test_a_potential_is_not_blamed_for_loops_but_for_what_it_prefers() -> None:
    body = "near = {sign}0.1 * distance(state.agent_pos, state.goal_pos)\nreturn near, {{'near': near}}"
    open_maze = "shapegym/PointMazeOpen-v0"
    assert not rules(open_maze, body.format(sign="-"), "potential")
    assert "sign" in rules(open_maze, body.format(sign=""), "potential")


def test_guidance_is_how_far_an_agent_comes_that_follows_the_program_alone() -> None:
    near = "near = {}0.1 * distance(after.agent_pos, after.goal_pos)\nreturn near, {{'near': near}}"
    grid = "shapegym/OpenGrid-v0"

    def guidance(env: str, body: str) -> float | None:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        source = f"def compute_reward(before, after, action):\n{lines}\n"
        abstraction, evidence = known(env)
        return criticise(read_program(source, abstraction), abstraction, evidence).guidance

    assert guidance(grid, near.format("-")) == pytest.approx(1.0)
    silent, away = guidance(grid, "none = 0.0\nreturn none, {'none': none}"), guidance(grid, near.format(""))
    assert silent == pytest.approx(_by_chance(grid) / 2, abs=1e-6), "no step is right oftener than by chance"
    assert away is not None
    assert away < 0
    assert guidance(grid, "cost = -0.1\nreturn cost, {'cost': cost}") == silent, "no end has been seen yet"
    assert guidance("CartPole-v1", "x = after.upright\nreturn x, {'x': x}") is None, "no solution is known"


def _by_chance(env: str) -> float:
    """What acting by chance gets of the best discounted return, by plain sweeps."""
    (known_part,) = known(env)[1].known
    values = [0.0] * known_part.states
    for _ in range(3_000):
        for state in range(known_part.states):
            groups = range(known_part.first_group[state], known_part.first_group[state + 1])
            worth = 0.0
            for group in groups:
                for edge in range(known_part.first_edge[group], known_part.first_edge[group + 1]):
                    later = (
                        0.0 if known_part.ends[edge] else known_part.gamma * values[known_part.target[edge]]
                    )
                    worth += known_part.probability[edge] * (known_part.gain[edge] + later)
            values[state] = worth / len(groups)
    return float(known_part.start @ values / (known_part.start @ known_part.worth))


def test_findings_of_a_task_without_snapshots_keep_to_what_is_known() -> None:
    abstraction, evidence = known("CartPole-v1")
    assert not evidence.known
    assert evidence.notes
    source = "def compute_reward(before, after, action):\n    x = sqrt(-1.0 - after.upright**2)\n    return x, {'x': x}"
    assert "not finite" in {
        each.rule for each in criticise(read_program(source, abstraction), abstraction, evidence).findings
    }


def test_what_is_known_of_a_finite_task_is_its_solution() -> None:
    _, evidence = known("shapegym/OpenGrid-v0")
    (grid,) = evidence.known
    assert float(grid.start @ grid.worth) == pytest.approx(0.99**7)  # eight steps, the last of which pays
    assert grid.presence.sum() == pytest.approx(1.0)
    right_or_down = {1.0, 2.0}
    assert {float(a) for a in evidence.action[grid.rows[:-1][grid.good[grid.group_of_edge]]]} == right_or_down


def test_a_search_finds_the_solution_that_the_planner_knows() -> None:
    _, evidence = known(DOOR_KEY)
    assert all(known.solvable for known in evidence.known)
    steps = [np.log(known.start @ known.worth) / np.log(0.99) for known in evidence.known]
    assert all(4 < step < 30 for step in steps)


@pytest.mark.parametrize("env", [KEY_DOOR, MAZE, "CartPole-v1"])
def test_whatever_can_be_read_can_be_criticised(env: str) -> None:
    abstraction, evidence = known(env)
    for seed in range(8):
        for make in (random_program, wild_program):
            program = read_program(make(abstraction, np.random.default_rng(seed)), abstraction)
            for finding in criticise(program, abstraction, evidence).findings:
                assert finding.severity in ("error", "warning", "note")
                assert str(finding)


def test_a_distance_to_the_action_is_nobodys_place() -> None:
    body = "x = -0.1 * distance(after.agent_pos, action)\nreturn x, {'x': x}"
    assert "still" not in rules(MAZE, body)


@pytest.mark.parametrize("name", ["door_key", "mountain_car", "point_maze_potential", "vases", "key_door"])
def test_values_on_arrays_are_those_of_plain_python(name: str) -> None:
    each = reference(name)
    abstraction, evidence = known(each.env)
    program = read_program(each.source, abstraction)
    some = np.random.default_rng(0).integers(len(evidence), size=200)
    sides = evidence.sides(some) if program.form == "reward" else {"state": evidence.sides(some)["after"]}
    batch = run(program, sides)
    for row in range(len(some)):
        frame = Frame(
            {side: {n: _plain(v[row]) for n, v in values.items()} for side, values in sides.items()}
        )
        executor(program.tree)(frame)
        assert batch.total[row] == pytest.approx(frame.total, rel=1e-12)
        assert batch.parts[:, row].tolist() == pytest.approx(
            [frame.parts[part] for part in program.parts], rel=1e-12
        )


def _plain(value: np.ndarray) -> object:
    return tuple(value.tolist()) if value.ndim else value.item()


def test_memory_that_is_never_written_lets_a_bonus_be_collected_again() -> None:
    once = reference("point_maze_open").source
    kept = "    memory.closest = min(closest, distance(after.agent_pos, after.goal_pos))\n"
    assert kept in once
    forgetful = found("shapegym/PointMazeOpen-v0", once.replace(kept, ""))
    assert {"lingering", "loop"} & {finding.rule for finding in forgetful}
    assert not blames(found("shapegym/PointMazeOpen-v0", once))
