"""Suites: what is written in them is what runs, and every mistake is named with its line before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.experiments.sweeps.loop import Fixed, OnEvent, attempt, run_jobs
from shapegym.experiments.sweeps.plan import Job, Plan
from shapegym.experiments.sweeps.results import Results, contender
from shapegym.experiments.sweeps.search import make_search, parse_axes
from shapegym.experiments.sweeps.suite import Suite, load_suite, ready_suites
from shapegym.experiments.sweeps.workspace import open_workspace
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.files.reward_files import dump_reward, to_data
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.schedules import Linear, Piecewise

SUITE = """\
title: Two rewards
seeds: 3
eval: {points: 4, episodes: 8}
settings: {learning_rate: 1e-3, clip_range: 0.1}
rewards:
  sparse: null
  count: {sum: [task_reward, {count_bonus: {key: features.state, beta: 0.1}}]}
tasks:
  corridor:
    env: shapegym/Corridor-v0
    steps: 1000
    tags: [easy]
  sea:
    env: shapegym/DeepSea-v0
    env_kwargs: {size: 5}
    steps: 2000
    algo: DQN
    settings: {batch_size: 16}
    rewards:
      count: {sum: [task_reward, {count_bonus: {key: obs, beta: 0.5}}]}
      own: novelty
quick: {tags: [easy], seeds: [7], budget: 0.5}
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "two.yaml"
        path.write_text(text)
        return path

    return write


def edited(old: str, new: str) -> str:
    assert SUITE.count(old) == 1, old
    return SUITE.replace(old, new)


# ---------------------------------------------------------------------- what a suite says


def test_plan_holds_every_entry_with_every_seed_in_fair_order(write):
    plan = load_suite(write(SUITE)).plan()
    entries = ["corridor/sparse", "corridor/count", "sea/sparse", "sea/count", "sea/own"]
    assert [job.id for job in plan.jobs] == [f"{entry}/{seed}" for seed in range(3) for entry in entries]
    assert (plan.name, plan.title) == ("two", "Two rewards")


def test_tasks_override_rewards_and_settings_of_their_suite(write):
    jobs = {job.id: job.config for job in load_suite(write(SUITE)).plan().jobs}
    corridor, sea = jobs["corridor/count/0"], jobs["sea/count/0"]
    assert corridor.settings == {"learning_rate": 1e-3, "clip_range": 0.1}
    assert (sea.algo, sea.settings, sea.env_kwargs) == ("DQN", {"batch_size": 16}, {"size": 5})
    assert [config.reward["sum"][1]["count_bonus"]["beta"] for config in (corridor, sea)] == [0.1, 0.5]
    assert jobs["sea/sparse/0"].reward is None
    assert (sea.steps, sea.eval_every, sea.eval_episodes, sea.checkpoint_every) == (2000, 500, 8, 1000)


def test_tasks_are_evaluated_as_they_say_and_else_as_the_suite_does(write):
    text = SUITE.replace("    algo: DQN\n", "    algo: DQN\n    eval: {points: 10}\n")
    jobs = {job.id: job.config for job in load_suite(write(text)).plan().jobs}
    corridor, sea = jobs["corridor/count/0"], jobs["sea/count/0"]
    assert (corridor.eval_every, corridor.eval_episodes) == (250, 8)
    assert (sea.eval_every, sea.eval_episodes) == (200, 8)


def test_a_strategy_may_have_a_learner_of_its_own(write):
    learners = "learners: {count: {settings: {ent_coef: 0.1}}, own: {algo: A2C, settings: {n_steps: 5}}}\n"
    text = (
        edited("      own: novelty\n", "      own: novelty\n    learners: {count: {algo: PPO}}\n") + learners
    )
    jobs = {job.id: job.config for job in load_suite(write(text)).plan().jobs}
    corridor, sea, own = (jobs[f"{entry}/0"] for entry in ("corridor/count", "sea/count", "sea/own"))
    assert (corridor.algo, corridor.settings) == (
        "PPO",
        {"learning_rate": 1e-3, "clip_range": 0.1, "ent_coef": 0.1},
    )
    assert (sea.algo, sea.settings) == ("PPO", {"ent_coef": 0.1})
    assert (own.algo, own.settings) == ("A2C", {"n_steps": 5})
    assert (jobs["sea/sparse/0"].algo, jobs["sea/sparse/0"].settings) == ("DQN", {"batch_size": 16})


def test_a_learner_may_train_elsewhere_than_where_it_is_judged(write):
    learners = "learners: {count: {train_kwargs: {length: 4}, eval_kwargs: {slip: 0.5}}}\n"
    text = edited(
        "      own: novelty\n", "      own: novelty\n    learners: {count: {train_kwargs: {size: 3}}}\n"
    )
    suite = load_suite(write(text + learners))
    config = suite.request("corridor", "count", 0)
    assert (config.env_kwargs, config.trained_on, config.judged_on) == ({}, {"length": 4}, {"slip": 0.5})
    sea = suite.request("sea", "count", 0)
    assert (sea.trained_on, sea.judged_on) == ({"size": 3, "length": 4}, {"size": 5, "slip": 0.5})
    plain = suite.request("corridor", "sparse", 0)
    assert "train_kwargs" not in plain.as_data(), "the ids and digests of what has none stay as they were"


def test_a_run_trains_on_the_one_and_is_judged_on_the_other(tmp_path):
    config = RunConfig(
        "shapegym/MiniGrid-DoorKey-5x5-v0",
        64,
        reward="sum: [task_reward, {subgoal: {alpha: 1.0}}]",
        train_kwargs={"subgoals": "oracle"},
        eval_kwargs={"subgoals": "none", "max_steps": 1},
        settings={"num_envs": 4, "n_steps": 16, "batch_size": 16},
        eval_episodes=2,
    )
    assert train(config, tmp_path / "run").mean_length == 1.0
    assert RunConfig.from_folder(tmp_path / "run").judged_on == {"subgoals": "none", "max_steps": 1}


def test_spaces_are_the_same_in_training_and_evaluation(write):
    learners = "learners: {own: {train_kwargs: {size: 3}}}\n"
    with pytest.raises(
        RunError, match=r"(?s)tasks.sea.rewards.own: .*observation_space is .* in training and "
    ):
        load_suite(write(SUITE + learners)).plan(only="sea/own")


def test_strategies_may_belong_to_tasks_of_a_tag(write):
    suite = load_suite(write(SUITE + "only_on: {count: [easy]}\n"))
    entries = ["corridor/sparse", "corridor/count", "sea/sparse", "sea/count", "sea/own"]
    assert ["/".join(entry) for entry in suite.entries()] == entries, "a task's own strategies are its own"
    suite = load_suite(write(SUITE + "only_on: {sparse: [easy]}\n"))
    assert ("sea", "sparse") not in suite.entries()


def test_quick_takes_its_tasks_seeds_and_budget(write):
    plan = load_suite(write(SUITE)).plan(quick=True)
    assert [job.id for job in plan.jobs] == ["corridor/sparse/7", "corridor/count/7"]
    assert {job.config.steps for job in plan.jobs} == {500}
    assert plan.name == "two-quick"


def test_seeds_and_entries_can_be_chosen(write):
    suite = load_suite(write(SUITE))
    assert [job.id for job in suite.plan(seeds=2, only="sea/c").jobs] == ["sea/count/0", "sea/count/1"]
    assert [job.id for job in suite.plan(seeds=[4], only="own").jobs] == ["sea/own/4"]


def test_a_reward_is_the_same_request_however_it_is_written(write):
    short = load_suite(write(SUITE)).plan(only="corridor/count").jobs
    full = edited(
        "{count_bonus: {key: features.state, beta: 0.1}}",
        "{count_bonus: {beta: 0.1, scope: lifetime, exponent: 0.5, hashing: null, resolution: null, key: features.state}}",
    )
    assert [job.digest for job in load_suite(write(full)).plan(only="corridor/count").jobs] == [
        job.digest for job in short
    ]


def test_reward_files_are_found_beside_the_suite(write, tmp_path):
    (tmp_path / "bonus.yaml").write_text("reward: {sum: [task_reward, {count_bonus: {key: obs}}]}\n")
    jobs = load_suite(write(edited("own: novelty", "own: bonus.yaml"))).plan(only="own").jobs
    assert jobs[0].config.reward["sum"][1]["count_bonus"]["key"] == "obs"


def test_a_swept_field_becomes_an_axis(write):
    text = SUITE + "sweep: {reward.count_bonus.beta: [0.1, 0.2], settings.learning_rate: 'log:1e-4..1e-2'}\n"
    suite = load_suite(write(text))
    assert [axis.path for axis in suite.axes] == ["reward.count_bonus.beta", "settings.learning_rate"]
    assert len(suite.plan().jobs) == 15  # the plan itself is not varied


# ---------------------------------------------------------------------- what of a reward is paid

PAYS = """\
title: What is paid
seeds: 1
pay: anneal:500
rewards:
  sparse: null
  count: {sum: [task_reward, {count_bonus: {key: features.state}}]}
  alone: {reward: novelty, pay: bonus}
tasks:
  corridor: {env: shapegym/Corridor-v0, steps: 1000}
  rooms:
    env: shapegym/FourRooms-v0
    steps: 1000
    pay: task
    rewards:
      gated: {reward: gated_progress, pay: until:300}
"""


def test_what_is_paid_is_said_of_a_reward_a_task_or_the_suite(write):
    """The nearest counts; a reward without a bonus stays as it is. Written out and read again the suite asks for the same."""
    suite = load_suite(write(PAYS))
    jobs = {f"{job.task}/{job.strategy}": job for job in suite.plan().jobs}
    paid = {entry: job.config.expression() for entry, job in jobs.items()}
    task, fades = TaskReward(), Linear(1.0, 0.0, 500)
    stops = Piecewise(((0, 1.0), (300, 0.0)))
    near = DynamicPotential(Distance("features.agent_pos", to="features.goal_pos"), stops)
    assert paid == {
        "corridor/sparse": None,
        "corridor/count": task + CountBonus("features.state") * fades,
        "corridor/alone": CountBonus("obs", beta=0.02),
        "rooms/sparse": None,
        "rooms/count": task,
        "rooms/alone": CountBonus("obs", beta=0.02),
        "rooms/gated": gate(0.1 * near, threshold=0.01),
    }
    for again in (suite, suite.as_source()):
        digests = {job.id: job.digest for job in load_suite(again).plan().jobs}
        assert digests == {job.id: job.digest for job in jobs.values()}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "pay: anneal:500",
            "pay: nonsense",
            r"two.yaml:3:1: pay: .*both, task, bonus, anneal:STEPS.*'nonsense'",
        ),
        ("pay: anneal:500", "pay: 3", r"two.yaml:3:1: pay: .*string"),
        ("pay: task", "pay: until:0", r"two.yaml:13:5: tasks.rooms.pay: .*STEPS from 1 on.*'until:0'"),
        ("pay: bonus", "pay: []", r"two.yaml:7:28: rewards.alone.pay: .*got \[\]"),
        ("pay: bonus", "pay: ''", r"rewards.alone.pay: .*got ''"),
        ("reward: novelty, pay", "reward: null, pay", r"rewards.alone.pay: corridor/alone: .*needs a bonus"),
        ("reward: novelty, pay", "reward: noveltyy, pay", r"rewards.alone: .*Did you mean 'novelty'"),
        ("reward: novelty, pay", "rewad: novelty, pay", r"rewards.alone"),
        (
            "{sum: [task_reward, {count",
            "{product: [task_reward, {count",
            r":3:1: pay: corridor/count: Product is no sum of what its operands pay",
        ),
        (
            "reward: gated_progress, pay: until:300",
            "reward: {clip: {of: {sum: [task_reward, {count_bonus: {key: obs}}]}}}, pay: bonus",
            r"tasks.rooms.rewards.gated.pay: rooms/gated: Clip is no sum",
        ),
    ],
)
def test_what_cannot_be_paid_is_named_with_file_line_and_key(write, old, new, message):
    assert PAYS.count(old) == 1, old
    with pytest.raises(RunError, match=message):
        load_suite(write(PAYS.replace(old, new)))


def test_a_reward_that_its_algorithm_refuses_is_named_before_anything_trains(write):
    text = PAYS.replace("pay: anneal:500", "algo: TwoHeadPPO").replace("sum: [task", "product: [task")
    text = text.replace("    pay: task\n", "")
    with pytest.raises(RunError, match=r"tasks.corridor: TwoHeadPPO: Product is no sum"):
        load_suite(write(text)).plan(only="corridor/count")


# ---------------------------------------------------------------------- what a person can get wrong

MISTAKES = {
    "unknown key": (("about: x\ntitel: x\n" + SUITE), r"two.yaml:2:1: titel: .*Did you mean 'title'"),
    "a key for another": (edited("seeds: 3", "seed: 3"), r"two.yaml:2:1: seed: .*Did you mean 'seeds'"),
    "unknown key of a task": (
        edited("env_kwargs:", "env_args:"),
        r":15:5: tasks.sea.env_args: .*Did you mean 'env_kwargs'",
    ),
    "unknown key of quick": (edited("budget: 0.5", "budge: 0.5"), r"quick.budge: .*Did you mean 'budget'"),
    "missing key": (edited("    steps: 1000\n", ""), r":9:3: tasks.corridor: The key 'steps' is missing"),
    "text for a number": (
        edited("steps: 1000", "steps: many"),
        r":11:5: tasks.corridor.steps: .*integer.*'many'",
    ),
    "no steps": (edited("steps: 1000", "steps: 0"), r"tasks.corridor.steps: .*greater than or equal to 1"),
    "seeds": (edited("seeds: 3", "seeds: some"), r":2:1: seeds: .*integer, or .*list.*'some'"),
    "no seeds": (edited("seeds: 3", "seeds: []"), r":2:1: seeds"),
    "the same seed twice": (edited("[7]", "[7, 7]"), r"quick.seeds\[1\]: The seed 7 is there twice"),
    "seeds without end": (
        edited("seeds: 3", "seeds: 1000000000000"),
        r":2:1: seeds: .*less than or equal to 100000.*got 1000000000000\.",
    ),
    "a seed that no stream takes": (edited("[7]", "[4294967296]"), r"quick.seeds: .*less than 4294967296"),
    "steps without end": (edited("steps: 1000", f"steps: {10**30}"), r"tasks.corridor.steps: .*less than or"),
    "points without end": (edited("points: 4", f"points: {10**12}"), r"eval.points: .*less than or equal to"),
    "checkpoints without end": (SUITE + f"checkpoints: {10**12}\n", r":23:1: checkpoints: .*less than or"),
    "the same task twice": (
        edited("  sea:\n", "  corridor:\n"),
        r":13:3: The key 'corridor' is repeated \(first in line 9\)",
    ),
    "the same strategy twice": (edited("      own:", "      count:"), r"The key 'count' is repeated"),
    "a name that is no path": (
        edited("      own:", "      own/2:"),
        r"tasks.sea.rewards.own/2: should match pattern",
    ),
    "unknown environment": (
        edited("shapegym/Corridor-v0", "shapegym/Coridor-v0"),
        r":10:5: tasks.corridor.env: .*Did you mean shapegym/Corridor-v0",
    ),
    "missing package": (
        edited("shapegym/Corridor-v0", "absent_package:Env-v0"),
        r":10:5: tasks.corridor.env: .*absent_package",
    ),
    "unknown algorithm": (edited("algo: DQN", "algo: DQM"), r":17:5: tasks.sea.algo: .*Did you mean 'DQN'"),
    "unknown setting": (
        edited("clip_range", "clip_rang"),
        r":4:33: settings.clip_rang: .*Did you mean 'clip_range'",
    ),
    "unknown setting of a task": (
        edited("{batch_size", "{batchsize"),
        r":18:16: tasks.sea.settings.batchsize: .*Did you mean 'batch_size'",
    ),
    "value that the algorithm rejects": (
        edited("{batch_size: 16}", "{learning_rate: fast}"),
        r":18:16: tasks.sea.settings.learning_rate: .*must be a number",
    ),
    "learner of no strategy": (
        SUITE + "learners: {cuont: {algo: PPO}}\n",
        r":23:12: learners.cuont: There is no strategy 'cuont'. Did you mean 'count'",
    ),
    "learner with an unknown algorithm": (
        SUITE + "learners: {count: {algo: PPI}}\n",
        r":23:20: learners.count.algo: .*Did you mean 'PPO'",
    ),
    "learner with an unknown setting": (
        SUITE + "learners: {own: {settings: {batchsize: 3}}}\n",
        r"learners.own.settings.batchsize: .*Did you mean 'batch_size'",
    ),
    "unknown key of a learner": (
        SUITE + "learners: {own: {setings: {}}}\n",
        r"learners.own.setings: .*Did you mean 'settings'",
    ),
    "unknown node": (
        edited("features.state, beta: 0.1}}]}", "features.state}}, curiosity]}"),
        r":7:3: rewards.count: sum\[2\]: 'curiosity' is not known here",
    ),
    "unknown ready reward": (
        edited("novelty", "noveltea"),
        r":21:7: tasks.sea.rewards.own: .*Did you mean 'novelty'",
    ),
    "missing reward file": (edited("novelty", "bonus.yaml"), r":21:7: tasks.sea.rewards.own: .*bonus.yaml"),
    "no strategies": (
        "title: x\nseeds: 1\ntasks: {a: {env: shapegym/Corridor-v0, steps: 5}}\n",
        r":3:9: tasks.a: a has no strategies",
    ),
    "no tasks": ("title: x\nseeds: 1\ntasks: {}\n", r":3:1: tasks: "),
    "unknown quick task": (
        edited("tags: [easy], seeds", "tasks: [corridr], seeds"),
        r"quick.tasks\[0\]: There is no task 'corridr'. Did you mean 'corridor'",
    ),
    "a tag that no task has": (
        SUITE + "only_on: {count: [eazy]}\n",
        r":23:19: only_on.count\[0\]: There is no tag 'eazy'. Did you mean 'easy'",
    ),
    "tags of no strategy": (
        SUITE + "only_on: {own: [easy]}\n",
        r":23:11: only_on.own: The suite's rewards have no 'own'",
    ),
    "unknown quick tag": (
        edited("{tags: [easy]", "{tags: [hard]"),
        r"quick.tags\[0\]: There is no tag 'hard'",
    ),
    "too large a quick part": (
        edited("budget: 0.5", "budget: 2"),
        r"quick.budget: .*less than or equal to 1",
    ),
    "empty grid": (SUITE + "sweep: {steps: []}\n", r":23:9: sweep.steps: "),
    "the same value twice": (SUITE + "sweep: {steps: [5, 5]}\n", r":23:9: sweep.steps: .*twice"),
    "range that goes down": (SUITE + "sweep: {steps: 9..5}\n", r":23:9: sweep.steps: .*goes up"),
    "not YAML": ("title: [", r"two.yaml:.*Not YAML"),
    "no mapping": ("just text", r"two.yaml:1:1: should be a valid dictionary; got 'just text'\.$"),
    "nothing": ("", r"two.yaml:1:1: "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_with_file_line_and_key(write, name):
    text, message = MISTAKES[name]
    with pytest.raises(RunError, match=message):
        load_suite(write(text))


MISFITS = {
    "feature that the task lacks": (
        edited("features.state, beta: 0.1", "features.room"),
        r":9:3: tasks.corridor: .*room",
    ),
    "argument that the environment lacks": (edited("{size: 5}", "{sise: 5}"), r":13:3: tasks.sea: .*sise"),
    "algorithm that cannot act there": (edited("algo: DQN", "algo: SAC"), r"tasks.sea: .*Box actions"),
    "gate where none can be": (
        edited("own: novelty", "own: {clip: {of: {gate: {of: [task_reward, 1], thresholds: [0]}}}}").replace(
            "    algo: DQN\n    settings: {batch_size: 16}\n", ""
        ),
        r"tasks.sea.rewards.own: ",
    ),
    "grid that fits no reward": (
        SUITE + "sweep: {reward.potential.gamma: [1]}\n",
        r"sweep.reward.potential.gamma: ",
    ),
    "grid of unknown fields": (
        SUITE + "sweep: {reward.count_bonus.betta: [1]}\n",
        r"sweep.reward.count_bonus.betta: .*Did you mean",
    ),
    "value that a swept field refuses": (SUITE + "sweep: {reward.count_bonus.beta: [much]}\n", r"much"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_run_is_named_before_anything_trains(write, name):
    text, message = MISFITS[name]
    suite = load_suite(write(text))
    with pytest.raises(RunError, match=message):
        suite.plan()


def test_comparisons_without_end_are_refused_by_their_number_of_runs(write):
    suite = load_suite(write(SUITE))
    with pytest.raises(RunError, match=r"seeds \(5 x 20,001\) ask for 100,005 runs; .*at most 100,000"):
        suite.plan(seeds=20_001)
    plan = suite.plan(quick=True)
    with pytest.raises(RunError, match=r"trials of a search ask for 1,000,000,000 runs"):
        make_search("random", plan, parse_axes(["settings.gamma=0.9..0.99"]), trials=10**9)
    values = ",".join(f"0.{value}" for value in range(101, 419))
    with pytest.raises(RunError, match=r"gamma, settings.gae_lambda ask for 101,124 runs"):
        make_search("grid", plan, parse_axes([f"settings.gamma={values}", f"settings.gae_lambda={values}"]))


def test_a_suite_in_python_takes_data_expressions_and_paths(tmp_path):
    expression = TaskReward() + CountBonus("features.state")
    path = tmp_path / "reward.yaml"
    dump_reward(expression, path)
    rewards = {"data": to_data(expression), "written": expression, "path": path, "text": str(path)}
    tasks = {"corridor": {"env": "shapegym/Corridor-v0", "steps": 500}}
    plan = load_suite({"title": "Ways", "seeds": 1, "rewards": rewards, "tasks": tasks}).plan()
    assert [job.config.reward for job in plan.jobs] == [to_data(expression)] * 4


@pytest.mark.parametrize(
    ("steps", "every", "episodes"), [(500, 0, 1), (8000, 0, 8), (200_000, 15_385, 14), (10**7, 500_000, 48)]
)
def test_evaluations_grow_with_the_budget(steps, every, episodes):
    tasks = {"corridor": {"env": "shapegym/Corridor-v0", "steps": steps}}
    (job,) = (
        load_suite({"title": "Sizes", "seeds": 1, "rewards": {"sparse": None}, "tasks": tasks}).plan().jobs
    )
    assert (job.config.eval_every, job.config.eval_episodes) == (every, episodes)
    alone = RunConfig("shapegym/Corridor-v0", steps, eval_every=None).settled()
    assert (alone.eval_every, alone.eval_episodes) == (every, episodes)


def test_nothing_to_run_is_an_error(write):
    suite = load_suite(write(SUITE))
    with pytest.raises(
        RunError, match=r"No entry of two contains 'seee'. `shapegym suites .*two.yaml` lists them"
    ):
        suite.plan(only="seee")
    with pytest.raises(RunError, match="at least one seed"):
        suite.plan(seeds=0)
    with pytest.raises(RunError, match="no quick part"):
        load_suite(write(SUITE[: SUITE.index("quick")])).plan(quick=True)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RunError, match="Did you mean 'ladder'"):
        load_suite("lader")
    with pytest.raises(RunError, match="cannot be read"):
        load_suite(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: é".encode("latin-1"))
    with pytest.raises(RunError, match="not UTF-8"):
        load_suite(tmp_path / "latin.yaml")


# ---------------------------------------------------------------------- the ready suites


@pytest.fixture(scope="module", params=ready_suites())
def ready(request) -> Suite:
    return load_suite(request.param)


def test_every_entry_of_every_ready_suite_can_run(ready):
    plan = ready.plan(seeds=1)
    assert {(job.task, job.strategy) for job in plan.jobs} == set(ready.entries())
    assert ready.about


def test_the_quick_part_is_a_part(ready):
    whole = {(job.entry): job.config.steps for job in ready.plan(seeds=1).jobs}
    quick = ready.plan(quick=True).jobs
    assert all(job.config.steps <= whole[job.entry] for job in quick)
    assert len(quick) == len(ready.entries(quick=True)) * len(ready.seeds_of(quick=True))


def test_tuning_seeds_are_apart_from_those_of_the_suites(ready):
    assert not {100, 101, 102} & set(ready.seeds_of())


def test_the_quick_ladder_is_what_it_promises():
    plan = load_suite("ladder").plan(quick=True)
    assert len({job.task for job in plan.jobs}) == 6
    assert {"sparse", "potential", "count", "gated"} <= {job.strategy for job in plan.jobs}
    assert {job.config.seed for job in plan.jobs} == set(range(5))


class Here:
    """Runs jobs in this process."""

    def run(self, jobs: Sequence[Job], folder: Path, on_event: OnEvent) -> None:
        for job in jobs:
            on_event(attempt(job, folder, on_event))


def test_a_ready_suite_sweeps(tmp_path):
    plan = load_suite("ladder").plan(seeds=1, only="deep_sea")
    small = {"num_envs": 4, "n_steps": 24, "batch_size": 48}
    jobs = tuple(
        replace(job, config=replace(job.config, steps=400, eval_every=200, eval_episodes=4, settings=small))
        for job in plan.jobs
    )
    workspace = open_workspace(tmp_path / "sweep", Plan(plan.name, plan.title, jobs))
    assert run_jobs(workspace, Fixed(workspace.plan), Here(), lambda event: None) == {}
    rows = Results.open(tmp_path / "sweep").rows
    assert [contender(row) for row in rows] == ["sparse", "potential", "count", "gated"]
    assert all(len(row.curve["step"]) == 2 for row in rows)


def test_suites_are_listed_and_shown(write):
    def say(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["suites", *arguments], env={"COLUMNS": "200"})
        assert result.exit_code == code, result.output
        return result.output

    assert all(name in say() for name in ready_suites())
    shown = say(str(write(SUITE)))
    assert "sparse, count, own" in shown
    assert "whole: 15 runs" in shown
    assert "--quick: 2 runs" in shown
    assert "Did you mean 'ladder'" in say("lader", code=2)


@pytest.mark.parametrize("name", ready_suites())
def test_names_are_shown_whole_in_eighty_columns(name):
    shown = CliRunner().invoke(app, ["suites", name], env={"COLUMNS": "80"}).output
    assert "…" not in shown
    for task, body in load_suite(name).tasks.items():
        assert task in shown
        assert body.env in shown
