"""Audits: planted exploits are found, potential shaping of the same tasks is not blamed, and the exit code says so."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.hack import EXPLOITS
from shapegym.experiments.audit.evidence import audit
from shapegym.experiments.audit.maps import over_cells
from shapegym.experiments.audit.presentation import as_data, html
from shapegym.experiments.audit.shares import exact_shares, run_shares
from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import reward_named
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.audit.loops import find_exploit
from shapegym.shaping.promises import Keeps
from shapegym.shaping.states.functions import Table
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential

GAMMA = 0.99
COMPLAINT = """
reward:
  sum:
    - task_reward
    - event: {of: features.event, value: 0.1, equals: 1}
"""


def exploit(env, expression, gamma=GAMMA):
    tables = tabulate(env, expression, gamma)
    arrays = tables.P, tables.task, tables.shaped
    return find_exploit(*arrays, gamma, terminal=tables.terminal, start=tables.start), tables


def played(tables, actions):
    """The likeliest states that actions lead through."""
    states = [int(tables.start.argmax())]
    for action in actions:
        states.append(int(tables.P[states[-1], action].argmax()))
    return states


@pytest.mark.parametrize("env_id", EXPLOITS)
def test_the_planted_exploit_of_every_hackable_task_is_found(env_id):
    planted = EXPLOITS[env_id]
    found, tables = exploit(env_id, reward_named(planted.proxy)[0])
    assert found.loops is bool(planted.loop)
    assert found.task.exploit < found.task.solution - 0.3
    assert found.shaped.exploit > found.shaped.solution + 0.05
    if not planted.loop:
        assert tuple(move.action for move in found.lead) == planted.prefix
        return
    # What was planted goes round in positive gain too; what is found pays no less a step.
    begin = len(planted.prefix)
    states = played(tables, (*planted.prefix, *planted.loop))
    assert states[-1] == states[begin]
    paid = np.einsum("sat,sat->sa", tables.P, tables.shaped)
    of_planted = np.mean([paid[s, a] for s, a in zip(states[begin:], planted.loop, strict=False)])
    of_found = (1 - GAMMA) * found.shaped.exploit
    assert of_found > of_planted - 0.01 * abs(of_planted)


@pytest.mark.parametrize("env_id", EXPLOITS)
@pytest.mark.parametrize("height", [-3.0, 2.0])
def test_potential_shaping_of_a_hackable_task_has_no_exploit(env_id, height):
    states = tabulate(env_id, TaskReward(), GAMMA).finite.n_states
    phi = Table(tuple(height * np.random.default_rng(1).random(states)), of="features.state")
    for gamma in (0.9, GAMMA, 1.0):
        assert exploit(env_id, 0.7 * TaskReward() + Potential(phi), gamma)[0] is None


def test_shares_are_what_episodes_are_paid():
    """Exact means within the time limit against 4000 played steps of the random policy."""
    expression = TaskReward() + 0.1 * Potential("features.state") - 0.02 * Event("features.event", equals=1)
    tables = tabulate("shapegym/KeyDoorSmall-v0", expression, GAMMA)
    shares = exact_shares(tables, "random", np.full((63, 5), 0.2))
    env = ShapedEnv(gym.make("shapegym/KeyDoorSmall-v0"), expression, gamma=GAMMA)
    env.action_space.seed(3)
    env.reset(seed=3)
    sums, episodes = {}, 0
    while episodes < 300:
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        for name, part in info["reward_parts"].items():
            sums[name] = sums.get(name, 0.0) + abs(part)
        if terminated or truncated:
            episodes += 1
            env.reset()
    total = sum(sums.values())
    assert sum(shares.shares.values()) == pytest.approx(1)
    for name, size in sums.items():
        assert shares.shares[name] == pytest.approx(size / total, abs=0.02)
    assert shares.shaped == pytest.approx(sum(shares.paid.values()))


@pytest.mark.parametrize("gamma", [GAMMA, 1.0])
def test_shares_before_a_deadline_are_what_episodes_are_paid(gamma):
    """The deadline terminates: the potential of the state that it finds the agent in is taken back."""
    expression = TaskReward() + Potential(Table((0.0, 1, 2, 3, 4, 5, 6, 6, 6), of="features.state"))
    tables = tabulate("shapegym/ToolCalls-v0", expression, gamma)
    shares = exact_shares(tables, "calls", np.eye(3)[np.zeros(9, int)])
    env = ShapedEnv(gym.make("shapegym/ToolCalls-v0"), expression, gamma=gamma)
    paid = []
    for seed in range(200):
        _, info = env.reset(seed=seed)
        while "shaping_episode" not in info:
            *_, info = env.step(0)
        paid.append(info["shaping_episode"]["parts"]["potential"])
    assert shares.paid["potential"] == pytest.approx(np.mean(paid), abs=0.01 if gamma < 1 else 1e-9)
    assert shares.shaped == pytest.approx(sum(shares.paid.values()), abs=1e-12)


def test_a_whole_audit_on_tables():
    proxy = reward_named("boat_race_proxy")[0]
    found = audit("shapegym/BoatRace-v0", proxy, GAMMA)
    assert not found.sound
    assert [line.event for line in found.exploit.turn] == ["you pass an arrow", ""]
    assert found.verdict.startswith("Exploit: a loop of 2 steps pays")
    assert [distance.name for distance in found.distances] == [
        "STARC (VAL)",
        "STARC (minimal)",
        "EPIC",
        "DARD",
        "raw L2",
    ]
    assert {each.behaviour for each in found.shares} == {
        "random",
        "optimal for the task",
        "optimal for this reward",
    }
    optimal = {each.behaviour: each.task for each in found.shares}
    assert optimal["optimal for the task"] > optimal["optimal for this reward"]
    assert len(found.maps) == 3
    assert found.maps[0].values.shape == (3, 3)
    page = html(found)
    assert found.exploit.summary.replace("'", "&#39;") in page
    assert "you pass an arrow" in page
    assert "http" not in page.replace("http-equiv", "")
    data = json.loads(json.dumps(as_data(found), allow_nan=False))
    assert data["sound"] is False
    assert data["exploit"]["turn"][0]["event"] == "you pass an arrow"


def test_a_potential_is_sound_and_exactly_so():
    found = audit("shapegym/KeyDoorSmall-v0", TaskReward() + Potential("features.state"), GAMMA)
    assert found.sound
    assert found.verdict.startswith("Sound")
    assert found.distances[0].value < 1e-9
    assert found.maps[-1].title == "potential"


def test_a_claim_that_does_not_hold_is_violated(monkeypatch):
    """A term may claim what is not so. Here it breaks ties among the shortest ways: no exploit, but fewer policies are optimal."""
    ties = TaskReward() + Event("features.agent_pos[1]", 1e-4, equals=3)
    honest = audit("shapegym/KeyDoorSmall-v0", ties, GAMMA)
    assert honest.sound
    assert honest.certificate.optima == "fewer"
    assert honest.verdict.startswith("No exploit: what is optimal for this reward")
    monkeypatch.setattr(Event, "keeps", Keeps.POLICIES)
    claiming = audit("shapegym/KeyDoorSmall-v0", ties, GAMMA)
    assert claiming.exploit is None
    assert claiming.violated
    assert not claiming.sound


def test_grid_worlds_are_searched_and_recorded():
    found = audit(
        "shapegym/MiniGrid-Empty-5x5-v0",
        TaskReward() + Event("features.event", 0.05, equals=10),
        GAMMA,
        rollouts=5,
    )
    assert [(line.action, line.event) for line in found.exploit.turn] == [
        ("forward", "you bump into something")
    ]
    assert found.certificate is None, "its reward counts the steps, so it is no table of its states"
    assert any("does not follow from the state alone" in note for note in found.notes)
    part = audit("shapegym/MiniGrid-Empty-5x5-v0", TaskReward(), GAMMA, rollouts=5, states=4)
    assert part.certificate is None
    assert not part.searched


class Stairs(gym.Env):
    """Four stairs up; an environment of somebody's, without tables or features."""

    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.stair = 0
        return 0, {}

    def step(self, action):
        self.stair = max(self.stair + 2 * int(action) - 1, 0)
        return self.stair, float(self.stair == 4), self.stair == 4, False, {}


def test_an_environment_without_tables_is_audited_exactly_where_its_states_are_few():
    gym.register("Tests/Stairs-v0", entry_point=Stairs, max_episode_steps=50)
    try:
        found = audit("Tests/Stairs-v0", TaskReward() + Potential("obs"), GAMMA, rollouts=5)
        assert (found.exact, found.proved, found.sound) == (True, True, True)
        assert found.certificate.relation == "potential"
        paid = audit("Tests/Stairs-v0", TaskReward() + 0.1 * StateReward("obs"), GAMMA, rollouts=5)
        assert [line.action for line in paid.exploit.turn] == ["action 1", "action 0"]
    finally:
        del gym.registry["Tests/Stairs-v0"]


def test_what_has_no_table_is_recorded_and_says_why():
    found = audit("shapegym/OpenGrid-v0", TaskReward() + CountBonus("obs"), GAMMA, rollouts=20)
    assert found.exploit is None
    assert found.verdict.startswith("Nothing is proved")
    assert "'count_bonus'" in found.notes[0]
    assert found.distances[0].low <= found.distances[0].value <= found.distances[0].high
    assert found.shares[0].episodes == 20


def test_where_random_actions_are_never_paid_no_distance_is_claimed():
    found = audit(
        "shapegym/MountainCar-v0", TaskReward() + Event("features.success"), GAMMA, rollouts=3, states=20
    )
    assert found.distances == ()
    assert any("never paid by the task" in note for note in found.notes)


def test_a_page_says_how_much_the_darkest_cell_is():
    found = audit("shapegym/BoatRace-v0", reward_named("boat_race_proxy")[0], GAMMA)
    assert "this reward, mean over actions, up to 0.125</figcaption>" in html(found)


def test_without_a_discount_behaviour_that_ends_is_not_called_innocent():
    """The vase's exploit ends; a discount finds it, and without one the audit says that it looked for loops only."""
    found = audit("shapegym/Vases-v0", reward_named("vases_proxy")[0], 1.0)
    assert found.exploit is None
    assert "loop" in found.verdict
    assert any("loops only" in note for note in found.notes)


def test_a_task_of_chance_has_no_certificate():
    found = audit("shapegym/MiniGrid-Dynamic-Obstacles-5x5-v0", TaskReward(), GAMMA, states=5000, rollouts=5)
    assert found.certificate is None
    assert any("one outcome" in note for note in found.notes)


def test_without_a_discount_audits_say_what_is_not_defined():
    found = audit("shapegym/BoatRace-v0", reward_named("boat_race_proxy")[0], 1.0)
    assert found.exploit.exploit.loops
    assert any(note.startswith("No certificate: gamma = 1") for note in found.notes)
    assert "on average" in found.verdict


def test_heat_maps_average_the_states_of_a_cell():
    heat = over_cells("x", np.array([[0, 1], [0, 1], [1, 0]]), np.array([1.0, 3.0, -5.0]))
    np.testing.assert_array_equal(heat.values, [[np.nan, 2.0], [-5.0, np.nan]])
    assert heat.reach == 5.0


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command_exits_by_its_verdict_and_writes_files(tmp_path):
    sound = run("goal_distance", "--env", "shapegym/KeyDoorSmall-v0", "--maps", tmp_path / "maps" / "m.png")
    assert sound.exit_code == 0, sound.output
    assert (tmp_path / "maps" / "m.png").read_bytes().startswith(b"\x89PNG")
    page, data = tmp_path / "sub" / "a.html", tmp_path / "a.json"
    exploited = run("boat_race_proxy", "--env", "shapegym/BoatRace-v0", "--out", page)
    assert exploited.exit_code == 1
    assert "Round and round" in exploited.output
    assert (
        page.read_text(encoding="utf-8").startswith("\n<!doctype html>")
        or "<!doctype html>" in page.read_text()
    )
    reward = tmp_path / "reward.yaml"
    reward.write_text(COMPLAINT, encoding="utf-8")
    assert run(reward, "--env", "shapegym/KeyDoorSmall-v0", "--out", data).exit_code == 1
    assert json.loads(data.read_text(encoding="utf-8"))["exploit"]["turn"]


def test_exit_codes_tell_proof_from_ignorance(tmp_path):
    """0 is kept for what is proved; a recording without a finding has a code of its own, and help names all four."""
    cost, count = tmp_path / "cost.yaml", tmp_path / "count.yaml"
    cost.write_text("reward: {sum: [task_reward, {constant: {value: -0.05}}]}", encoding="utf-8")
    count.write_text("reward: {sum: [task_reward, {count_bonus: {key: obs}}]}", encoding="utf-8")
    assert run(cost, "--env", "FrozenLake-v1").exit_code == 1
    assert run("goal_distance", "--env", "FrozenLake-v1").exit_code == 0
    recorded = run(count, "--env", "FrozenLake-v1", "--rollouts", 5, "--out", tmp_path / "a.json")
    assert recorded.exit_code == 3, recorded.output
    assert "Nothing is proved" in recorded.output
    data = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert (data["sound"], data["proved"]) == (True, False)
    said = " ".join(run("--help").output.split())
    assert all(f"{code}: " in said or f"code {code}" in said for code in range(4))


def test_a_task_that_is_a_function_is_reached_from_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "icy_tasks.py").write_text(
        """
from shapegym.envs.outcomes import finite_task
from shapegym.envs.registration import register_task


def outcomes(cell, action):
    there = max(cell - 1, 0) if action == 0 else cell + 1
    return [(0.9, there, float(there == 5), there == 5), (0.1, cell, 0.0, False)]


def corridor():
    return finite_task("icy corridor", outcomes, actions=2, start=0, features={"cell": int})


register_task("Tests/Ice-v0", corridor)
""",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    reward = tmp_path / "reward.yaml"
    reward.write_text("reward: {sum: [task_reward, {potential: {phi: features.cell}}]}", encoding="utf-8")
    try:
        found = run(reward, "--env", "icy_tasks:Tests/Ice-v0")
        assert found.exit_code == 0, found.output
        assert "tables of 6 states and 2 actions: exact" in " ".join(found.output.split())
    finally:
        gym.registry.pop("Tests/Ice-v0", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense", "--env", "shapegym/KeyDoorSmall-v0"], "no ready reward"),
        (["novelty", "--env", "shapegym/KeyDour-v0"], "no environment"),
        (["goal_distance", "--env", "CartPole-v1"], "agent_pos"),
        (["goal_distance", "--env", "shapegym/KeyDoorSmall-v0", "--out", "x.pdf"], "--out writes"),
        (["goal_distance", "--env", "shapegym/RiverSwim-v0", "--maps", "x.png"], "agent_pos"),
        (["tool_calls_proxy", "--env", "shapegym/ToolCalls-v0", "--maps", "x.png"], "has no heat maps"),
        (["goal_distance", "--env", "shapegym/KeyDoorSmall-v0", "--maps", "x.gif"], ".png or .svg"),
        (["goal_distance", "--env", "shapegym/KeyDoorSmall-v0", "--run", "nowhere"], "no run folder"),
    ],
)
def test_bad_input_is_explained(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_a_wrong_suffix_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("goal_distance", "--env", "shapegym/KeyDoorSmall-v0", "--maps", "x.gif")
    assert "STARC" not in result.output


def test_an_audit_is_written_though_there_is_nothing_to_draw(tmp_path):
    page = tmp_path / "a.json"
    result = run(
        "tool_calls_proxy", "--env", "shapegym/ToolCalls-v0", "--maps", tmp_path / "x.png", "--out", page
    )
    assert result.exit_code == 2
    assert json.loads(page.read_text(encoding="utf-8"))["sound"] is False


def test_a_run_folder_tells_its_shares(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    rows = [
        {"step": 1, "task_return": 1.0, "parts": {"task_reward": 1.0, "bonus": -3.0}},
        {"step": 2, "task_return": 0.0, "parts": {"task_reward": 0.0, "bonus": 4.0}},
    ]
    path = folder / "episodes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    shares = run_shares(folder)
    assert (shares.task, shares.shaped, shares.episodes, shares.per) == (0.5, 1.0, 2, "episode")
    assert shares.shares == {"task_reward": 1 / 8, "bonus": 7 / 8}
    path.write_text(json.dumps({"step": 1, "task_return": 1.0}) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="line 1"):
        run_shares(folder)
    path.write_text(json.dumps({"step": 1, "task_return": 1.0, "parts": {}}) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="no parts"):
        run_shares(folder)
