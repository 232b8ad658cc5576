"""Sweeps: how axes are written, what a value changes, and which runs follow from which results."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapegym.experiments.errors import RunError
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.loop import Search
from shapegym.experiments.sweeps.plan import Job, Plan
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.search import (
    Choices,
    Range,
    ablated,
    ablation,
    apply,
    grid,
    halving,
    make_search,
    optuna,
    parse_axes,
    parse_axis,
    random,
)
from shapegym.experiments.sweeps.search.halving import rung_sizes
from shapegym.shaping.algebra import Scale, Sum, TaskReward, clip
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.types import Expression

TASK = TaskReward()
COUNT = CountBonus("features.state", beta=0.1)
BETA = "reward.count_bonus.beta"


def a_job(
    reward: Expression | None = TASK + COUNT, *, strategy: str = "count", seed: int = 0, **config
) -> Job:
    data = None if reward is None else to_data(reward)
    request = RunConfig("shapegym/Corridor-v0", config.pop("steps", 2700), reward=data, seed=seed, **config)
    return Job("corridor", strategy, request)


def a_plan(*jobs: Job) -> Plan:
    seeds = [replace(job, config=replace(job.config, seed=seed)) for seed in (0, 1) for job in jobs]
    return Plan("made", "Made by hand", tuple(seeds))


def a_row(job: Job, success: float | None, task_return: float = 0.0, shaped: float = 0.0) -> ResultRow:
    return ResultRow(
        id=job.id,
        task=job.task,
        strategy=job.strategy,
        entry=job.entry,
        seed=job.config.seed,
        stage=job.stage,
        variant=dict(job.variant),
        digest=job.digest,
        steps=job.config.steps,
        success_rate=success,
        mean_return=task_return,
        mean_length=1.0,
        episodes=10,
        first_success=None,
        shaped_return=shaped,
        parts={},
        curve={},
        versions={},
    )


def run_to_the_end(search, measure, rows=None):
    """Play sweeper: finish what the search asks for until it asks for nothing new."""
    rows = {} if rows is None else rows
    while new := [job for job in search.jobs(rows) if job.id not in rows]:
        rows |= {job.id: measure(job) for job in new}
    return rows


# ---------------------------------------------------------------------- axes


def test_axes_are_values_or_ranges():
    assert parse_axis("a.b=0.01,1e-3,1") == Choices("a.b", (0.01, 1e-3, 1))
    assert parse_axis("x=tanh,null,true,[64, 64],{a: 1}") == Choices(
        "x", ("tanh", None, True, [64, 64], {"a": 1})
    )
    assert parse_axis("x=0.001..0.1") == Range("x", 0.001, 0.1)
    assert parse_axis("x=lin:-1..1") == Range("x", -1, 1)
    assert parse_axis("x=log:1e-4..1e-2") == Range("x", 1e-4, 1e-2, log=True)
    assert not parse_axis("x=1..4.0").whole
    assert parse_axis("x=1..4").whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "is written FIELD=V1,V2"),
        ("=1,2", "is written FIELD=V1,V2"),
        ("x=", "has no values"),
        ("x=1,2,1", "has the value 1 twice"),
        ("x=[1,2", "is no list of values"),
        ("x=3..1", "a range goes up"),
        ("x=2..2", "a range goes up"),
        ("x=log:0..1", "starts above 0"),
    ],
)
def test_what_is_no_axis(text, message):
    with pytest.raises(RunError, match=message):
        parse_axis(text)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, unique_by=float))
def test_different_numbers_make_different_runs(values):
    names = {replace(a_job(), variant={BETA: value}).id for value in values}
    assert len(names) == len(values)
    assert Choices(BETA, tuple(values)).probes == tuple(values)


@pytest.mark.parametrize("values", [(1, "1"), (None, "null"), (True, "true"), ("a b", "a_b"), ([1], "_1_")])
def test_values_that_would_be_called_alike_are_refused(values):
    with pytest.raises(RunError, match="would both be called"):
        Choices("env_kwargs.size", values)


def test_names_too_long_for_a_folder_are_refused():
    with pytest.raises(RunError, match="too long for the name of a folder"):
        grid(a_plan(a_job()), [Choices("settings.policy_kwargs", ({"net_arch": [8] * 90},))])


def test_a_field_is_swept_once():
    with pytest.raises(RunError, match="x is swept twice"):
        parse_axes(["x=1,2", "y=1", "x=3"])
    assert parse_axis("x=1,true") == Choices("x", (1, True))


@given(
    ends=st.tuples(st.integers(1, 1000), st.integers(1, 1000)).filter(lambda ends: ends[0] < ends[1]),
    log=st.booleans(),
    seed=st.integers(0, 99),
    whole=st.booleans(),
)
def test_draws_stay_within_their_range(ends, log, seed, whole):
    low, high = ends if whole else (ends[0] / 7, ends[1] / 7)
    axis = Range("x", low, high, log)
    value = axis.sample(np.random.default_rng(seed))
    assert low <= value <= high
    assert isinstance(value, int if whole else float)


def test_logarithmic_draws_are_even_in_the_logarithm():
    generator = np.random.default_rng(0)
    axis = Range("x", 1e-4, 1e-1, log=True)
    decades = np.floor(np.log10([axis.sample(generator) for _ in range(3000)]))
    assert np.all(np.abs(np.unique(decades, return_counts=True)[1] - 1000) < 100)
    whole = Range("x", 1, 3)
    assert np.all(np.unique([whole.sample(generator) for _ in range(3000)], return_counts=True)[1] > 850)


# ---------------------------------------------------------------------- fields


def test_a_value_goes_where_its_path_says():
    job = a_job(settings={"n_steps": 32}, env_kwargs={"length": 10})
    values = {BETA: 0.5, "settings.learning_rate": 1e-3, "env_kwargs.length": 8, "steps": 1000}
    changed = apply(job, values)
    assert from_data(changed.config.reward) == TASK + CountBonus("features.state", beta=0.5)
    assert changed.config.settings == {"n_steps": 32, "learning_rate": 1e-3}
    assert changed.config.env_kwargs == {"length": 8}
    assert changed.config.steps == 1000
    assert changed.variant == values
    assert changed.config.seed == job.config.seed
    assert job.config.steps == 2700  # what was given is as it was
    assert apply(job, {"algo": "A2C"}).config.algo == "A2C"


def test_a_value_is_set_in_every_node_of_a_name_and_a_name_of_its_own_tells_them_apart():
    reward = Sum((TASK, 0.5 * COUNT, CountBonus("obs", scope="episode").named("episodic")))
    job = a_job(reward)
    both = from_data(apply(job, {"reward.count_bonus.exponent": 1.0}).config.reward)
    assert both.of[1].of.exponent == both.of[2].exponent == 1.0
    one = from_data(apply(job, {"reward.episodic.exponent": 1.0}).config.reward)
    assert (one.of[1].of.exponent, one.of[2].exponent) == (0.5, 1.0)
    assert one.of[2].name == "episodic"


def test_nodes_within_fields_are_reached():
    hashed = a_job(TASK + CountBonus("obs", hashing=SimHash(bits=16)))
    assert from_data(apply(hashed, {"reward.sim_hash.bits": 8}).config.reward).of[1].hashing == SimHash(
        bits=8
    )
    whole = apply(a_job(), {"reward.count_bonus.hashing": {"sim_hash": {"bits": 4}}})
    assert from_data(whole.config.reward).of[1].hashing == SimHash(bits=4)
    gated = a_job(Gate((TASK, COUNT), (-math.inf,)))
    assert from_data(apply(gated, {BETA: 0.3}).config.reward) == Gate(
        (TASK, CountBonus("features.state", beta=0.3)), (-math.inf,)
    )


def test_a_job_without_the_field_has_no_such_variant():
    assert apply(a_job(None), {BETA: 0.1}) is None
    assert apply(a_job(), {"reward.potential.gamma": 0.9}) is None
    assert apply(a_job(), {"reward.count_bonus.gamma": 0.9}) is None
    assert apply(a_job(), {BETA: 0.2, "reward.potential.gamma": 0.9}) is None
    assert apply(a_job(), {"settings.buffer_size": 100}) is None  # PPO has none
    assert apply(a_job(), {"algo": "DQN", "settings.buffer_size": 100}) is not None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            BETA,
            "much",
            "beta='much' does not fit corridor/count: .*beta: must be a finite number, got 'much'",
        ),
        ("reward.count_bonus.scope", "forever", "does not fit corridor/count"),
        ("steps", 0, "steps must be an integer of at least 1"),
        ("seed", 3, "What can be swept is"),
        ("count_bonus.beta", 3, "What can be swept is"),
        ("reward.beta", 3, "What can be swept is"),
        ("settings", 3, "What can be swept is"),
    ],
)
def test_a_value_that_does_not_fit_says_where(path, value, message):
    with pytest.raises(RunError, match=message):
        apply(a_job(), {path: value})


# ---------------------------------------------------------------------- grid and random


def test_a_grid_varies_each_job_in_the_fields_that_it_has():
    plan = a_plan(a_job(None, strategy="sparse"), a_job())
    jobs = grid(plan, parse_axes([f"{BETA}=0.1,0.2", "settings.n_steps=32,64"])).jobs({})
    ids = [job.id for job in jobs]
    assert len(ids) == len(set(ids)) == 2 * (2 + 4)
    assert "corridor/sparse~settings.n_steps=32/0" in ids
    assert f"corridor/count~{BETA}=0.1,settings.n_steps=64/1" in ids
    assert [job.config.seed for job in jobs] == [0] * 6 + [1] * 6
    untouched = grid(plan, parse_axes([f"{BETA}=0.1,0.2"])).jobs({})
    assert [job.id for job in untouched if job.strategy == "sparse"] == [
        "corridor/sparse/0",
        "corridor/sparse/1",
    ]


def test_variants_differ_in_what_is_swept_and_in_nothing_else():
    jobs = grid(a_plan(a_job()), [Choices(BETA, (0.1, 0.2))]).jobs({})
    by_variant = {job.variant[BETA]: job for job in jobs if job.config.seed == 1}
    assert from_data(by_variant[0.2].config.reward) == TASK + CountBonus("features.state", beta=0.2)
    assert replace(by_variant[0.1].config, reward=None) == replace(by_variant[0.2].config, reward=None)


def test_settings_follow_the_swept_algorithm():
    axes = parse_axes(["settings.buffer_size=1000,2000", "algo=PPO,DQN"])
    found = {job.entry for job in grid(a_plan(a_job()), axes).jobs({})}
    assert found == {
        "corridor/count~algo=PPO",
        "corridor/count~algo=DQN,settings.buffer_size=1000",
        "corridor/count~algo=DQN,settings.buffer_size=2000",
    }


def test_random_variants_are_the_same_everywhere_and_shared_by_all_jobs():
    plan = a_plan(a_job(None, strategy="sparse"), a_job())
    axes = parse_axes([f"{BETA}=log:0.001..1", "settings.learning_rate=0.0001..0.001"])
    jobs = random(plan, axes, trials=5, seed=3).jobs({})
    assert jobs == random(plan, axes, trials=5, seed=3).jobs({})
    assert jobs != random(plan, axes, trials=5, seed=4).jobs({})
    rates = {
        strategy: {job.variant["settings.learning_rate"] for job in jobs if job.strategy == strategy}
        for strategy in ("sparse", "count")
    }
    assert rates["sparse"] == rates["count"]
    assert len(jobs) == 5 * 2 * 2
    few = random(plan, [Choices(BETA, (0.1, 0.2, 0.3))], trials=50).jobs({})
    assert {job.variant[BETA] for job in few if job.variant} == {0.1, 0.2, 0.3}


@pytest.mark.parametrize("search", [grid, random, halving])
def test_an_axis_that_fits_nothing_says_what_would_fit(search):
    plan = a_plan(a_job(None, strategy="sparse"), a_job())
    with pytest.raises(
        RunError, match=r"reward.count.beta fits no run of made. Did you mean '.*count_bonus.beta'.*Known:"
    ):
        search(plan, [Choices("reward.count.beta", (0.1, 0.2))])
    with pytest.raises(RunError, match=r"settings\.learning_rat fits no run.*settings.learning_rate"):
        search(plan, [Choices("settings.learning_rat", (0.1, 0.2))])
    with pytest.raises(RunError, match="Nothing is swept"):
        search(plan, [])


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (
            Choices("env_kwargs.size", (4, 5)),
            "env_kwargs.size=4 does not fit corridor/count: .*rejects its arguments",
        ),
        (Choices("settings.n_steps", (32, "many")), "settings.n_steps='many' does not fit"),
        (Choices("env", ("shapegym/Nowhere-v0",)), "There is no environment"),
        (Choices("algo", ("SAC",)), "algo='SAC' does not fit"),
        (Choices(BETA, (0.1, "much")), "beta: must be a finite number"),
        (
            Choices("reward.count_bonus.key", ("obs", "features.absent")),
            "key='features.absent' does not fit corridor/count: .*'absent', which this environment does not",
        ),
    ],
)
def test_a_value_that_cannot_run_is_refused_before_anything_runs(axis, message):
    with pytest.raises(RunError, match=message):
        grid(a_plan(a_job()), [axis])


def test_ranges_are_not_for_grids():
    with pytest.raises(RunError, match="a grid is made of values"):
        grid(a_plan(a_job()), [Range(BETA, 0.1, 0.2)])


# ---------------------------------------------------------------------- halving

NINE = [Choices(BETA, tuple(i / 100 for i in range(1, 10)))]


def peak(at):
    """Success that falls off from the best value; the shaped return says the opposite."""

    def measure(job: Job) -> ResultRow:
        beta = job.variant.get(BETA, 0.0)
        return a_row(job, success=1 - abs(beta - at) - job.config.seed / 1e6, shaped=beta)

    return measure


def test_halving_gives_the_best_more_budget_and_compares_the_winner_on_the_plans_seeds():
    plan = a_plan(a_job(None, strategy="sparse"), a_job())
    rows = run_to_the_end(halving(plan, NINE), peak(0.04))
    first = [row for row in rows.values() if row.stage == 1]
    second = [row for row in rows.values() if row.stage == 2]
    assert {row.steps for row in first} == {900}
    assert {row.steps for row in second} == {2700}
    assert {row.seed for row in first + second} == {100, 101, 102}
    assert len(first) == 9 * 3
    assert {row.variant[BETA] for row in second} == {0.03, 0.04, 0.05}
    compared = {row.id: row for row in rows.values() if row.stage == 0}
    assert set(compared) == {
        f"corridor/{name}/{seed}" for name in ("sparse", "count-tuned") for seed in (0, 1)
    }
    winner = next(job for job in halving(plan, NINE).jobs(rows) if job.id == "corridor/count-tuned/1")
    assert from_data(winner.config.reward) == TASK + CountBonus("features.state", beta=0.04)
    assert winner.config.steps == 2700


@cache
def nine() -> Search:
    """Making one asks whether all of its variants can run, which takes longer than the rest."""
    return halving(a_plan(a_job()), NINE)


@settings(max_examples=10)
@given(order=st.randoms(use_true_random=False), at=st.sampled_from([0.01, 0.05, 0.09]))
def test_halving_does_not_depend_on_which_run_finishes_first_nor_on_being_asked_again(order, at):
    search = nine()
    expected = run_to_the_end(search, peak(at))
    rows: dict[str, ResultRow] = {}
    before: set[str] = set()
    while True:
        jobs = deepcopy(search).jobs(rows)  # as by another process
        assert before <= {job.id for job in jobs}  # what was asked for stays
        before = {job.id for job in jobs}
        if not (new := [job for job in jobs if job.id not in rows]):
            break
        for job in order.sample(new, order.randint(1, len(new))):
            rows[job.id] = peak(at)(job)
    assert rows == expected


def test_halving_alone_decides_about_steps():
    with pytest.raises(RunError, match="steps cannot be swept"):
        halving(a_plan(a_job()), [Choices("steps", (900, 2700))])


def test_a_rung_waits_for_all_of_its_runs():
    plan = a_plan(a_job())
    rows = {job.id: peak(0.04)(job) for job in halving(plan, NINE).jobs({})}
    rows.popitem()
    assert {job.stage for job in halving(plan, NINE).jobs(rows)} == {1}


def test_success_goes_before_return_and_return_decides_where_there_is_no_success():
    two = [Choices(BETA, (0.1, 0.2))]
    plan = a_plan(a_job())

    def winner(measure):
        rows = run_to_the_end(halving(plan, two), measure)
        jobs = halving(plan, two).jobs(rows)
        return from_data(next(job for job in jobs if job.stage == 0).config.reward).of[1].beta

    assert (
        winner(
            lambda job: a_row(
                job, 0.5 if job.variant.get(BETA) == 0.1 else 0.4, 10 * job.variant.get(BETA, 0)
            )
        )
        == 0.1
    )
    assert winner(lambda job: a_row(job, None, job.variant.get(BETA, 0))) == 0.2
    assert (
        winner(lambda job: a_row(job, None, 1.0, shaped=job.variant.get(BETA, 0))) == 0.1
    )  # a tie: the first


def test_rungs():
    assert rung_sizes(27, 3) == [27, 9, 3]
    assert rung_sizes(10, 3) == [10, 3]
    assert rung_sizes(2, 3) == [2]
    assert rung_sizes(1, 2) == []


def test_a_single_variant_is_compared_at_once():
    jobs = halving(a_plan(a_job()), [Choices(BETA, (0.3,))]).jobs({})
    assert [job.id for job in jobs] == ["corridor/count-tuned/0", "corridor/count-tuned/1"]


def test_a_seed_is_for_tuning_or_for_comparing():
    with pytest.raises(RunError, match="Seed 1 is one of made's"):
        halving(a_plan(a_job()), NINE, seeds=(1, 100))


# ---------------------------------------------------------------------- optuna


def a_search(sampler="tpe", seed=0, trials=20):
    axes = parse_axes(
        [f"{BETA}=log:0.001..1", "settings.n_steps=16..64", "reward.count_bonus.scope=lifetime,episode"]
    )
    plan = a_plan(a_job(None, strategy="sparse"), a_job(steps=300))
    return optuna(plan, axes[:1] + axes[2:] if sampler == "gp" else axes, trials, seed, sampler=sampler)


def near(job: Job) -> ResultRow:
    distance = abs(math.log10(job.variant.get(BETA, 1)) + 1.5)  # best at 0.03
    return a_row(
        job, success=1 / (1 + distance) / (1 + (job.variant.get("reward.count_bonus.scope") == "episode"))
    )


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_optuna_proposes_the_same_from_the_same_rows(sampler):
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install shapegym[optuna]")
    rows = run_to_the_end(a_search(sampler, trials=10), near)
    again: dict[str, ResultRow] = {}
    while True:
        jobs = a_search(sampler, trials=10).jobs(again)  # made anew, as after a restart
        new = [job for job in jobs if job.id not in again]
        if not new:
            break
        again |= {job.id: near(job) for job in new[-2:]}  # two at a time, the last first
    assert rows == again


def test_optuna_learns_from_results():
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install shapegym[optuna]")
    first, later = [], []
    for seed in range(5):
        rows = run_to_the_end(a_search(seed=seed), near)
        tried = (row for row in rows.values() if row.stage == 1 and row.strategy == "count")
        worth = [row.success_rate for row in tried if row.seed == 100]
        assert len(worth) == 20
        first += worth[:5]  # before there is a model
        later += worth[5:]
    assert np.mean(later) > 1.1 * np.mean(first)


def test_the_best_trial_is_compared_on_the_plans_seeds():
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install shapegym[optuna]")
    search = a_search()
    batch = [job for job in search.jobs({}) if job.strategy == "count"]
    assert len(batch) == 4 * 3  # on each tuning seed
    rows = run_to_the_end(search, near)
    tuning = [row for row in rows.values() if row.stage == 1 and row.strategy == "count"]
    assert {row.seed for row in tuning} == {100, 101, 102}
    best = max(tuning, key=lambda row: row.success_rate)
    compared = [job for job in search.jobs(rows) if job.stage == 0 and job.strategy == "count-tuned"]
    assert [job.id for job in compared] == ["corridor/count-tuned/0", "corridor/count-tuned/1"]
    assert from_data(compared[0].config.reward).of[1].beta == best.variant[BETA]


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(RunError, match=r'pip install "shapegym\[optuna\]"'):
        a_search()


def test_searches_by_name():
    plan, axes = a_plan(a_job()), [Choices(BETA, (0.1, 0.2, 0.3))]
    assert make_search("grid", plan, axes).jobs({}) == grid(plan, axes).jobs({})
    assert make_search("random", plan, axes, trials=2).jobs({}) == random(plan, axes, trials=2).jobs({})
    assert make_search("halving", plan, axes) == halving(plan, axes)
    with pytest.raises(RunError, match=r"no search 'halvin'\. Did you mean 'halving'"):
        make_search("halvin", plan, axes)
    with pytest.raises(RunError, match="leave out the number of trials"):
        make_search("grid", plan, axes, trials=3)


# ---------------------------------------------------------------------- ablation

PHI = Potential("features.state")


def rewards_of(reward: Expression | None, name: str = "all") -> dict[str, Expression]:
    return {job.strategy: from_data(job.config.reward) for job in ablation(a_job(reward, strategy=name))}


def test_each_addend_is_left_out_once_and_the_task_never():
    assert rewards_of(TASK + COUNT + 0.5 * PHI) == {
        "all-without-count_bonus": TASK + 0.5 * PHI,
        "all-without-potential": TASK + COUNT,
    }
    assert rewards_of(TASK + COUNT) == {"all-without-count_bonus": TASK}
    assert rewards_of(None) == rewards_of(TASK) == rewards_of(COUNT) == {}


def test_parts_within_scales_clips_and_gates_are_left_out():
    inner = Scale(clip(COUNT + PHI), 0.1)
    assert rewards_of(TASK + inner) == {
        "all-without-count_bonus": TASK + Scale(clip(PHI), 0.1),
        "all-without-potential": TASK + Scale(clip(COUNT), 0.1),
    }
    assert rewards_of(Gate((TASK, COUNT + PHI), (0.5,))) == {
        "all-without-count_bonus": Gate((TASK, PHI), (0.5,)),
        "all-without-potential": Gate((TASK, COUNT), (0.5,)),
    }
    assert rewards_of(Gate((TASK, COUNT), (0.5,))) == {"all-without-count_bonus": TASK}
    assert rewards_of(Gate((TASK, COUNT, PHI), (0.5, 0.6))) == {
        "all-without-count_bonus": Gate((TASK, PHI), (0.5,)),
        "all-without-potential": Gate((TASK, COUNT), (0.5,)),
    }
    assert rewards_of(TASK + COUNT * PHI) == {"all-without-count_bonus": TASK}  # a product is one part


def test_equal_parts_have_names_of_their_own():
    reward = Sum((TASK, COUNT, CountBonus("obs"), CountBonus("obs", beta=2.0).named("mine")))
    assert set(rewards_of(reward)) == {
        "all-without-count_bonus",
        "all-without-count_bonus_2",
        "all-without-mine",
    }


def test_an_ablation_that_is_a_strategy_already_is_not_run_twice():
    plan = a_plan(a_job(None, strategy="sparse"), a_job(), a_job(TASK + COUNT + PHI, strategy="both"))
    assert [job.id for job in ablated(plan).jobs] == [
        f"corridor/{name}/{seed}"
        for seed in (0, 1)
        for name in ("sparse", "count", "both", "both-without-count_bonus")
    ]
    swept = grid(ablated(plan), [Choices(BETA, (0.1, 0.2))]).jobs({})
    assert len({job.id for job in swept}) == 2 * (1 + 2 + 2 + 1)
