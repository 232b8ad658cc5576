"""Alarms: the planted signs are seen, in time, and noise is not."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapegym import shaping as sh
from shapegym.shaping import TaskReward
from shapegym.shaping.audit.alarms import Watch, harmless_parts, task_parts

BUDGET = 50_000
LENGTH = 20


def episodes(
    task: Callable[[float], float],
    bonus: Callable[[float], float],
    *,
    seed: int = 0,
    noise: float = 0.3,
    potential: Callable[[float], float] = lambda _: 0.0,
) -> list[dict]:
    """Rows of a run: a Bernoulli task return and a noisy bonus, by the fraction of the budget that is spent."""
    generator = np.random.default_rng(seed)
    rows = []
    for step in range(LENGTH, BUDGET + 1, LENGTH):
        done = step / BUDGET
        earned = float(generator.random() < task(done))
        paid = bonus(done) + noise * generator.standard_normal()
        kept = potential(done)
        rows.append(
            {
                "step": step,
                "task_return": earned,
                "shaped_return": earned + paid + kept,
                "success": bool(earned),
                "parts": {"task_reward": earned, "bonus": paid, "phi": kept},
            }
        )
    return rows


def kinds(rows: list[dict], harmless: tuple[str, ...] = ("phi",)) -> dict[str, int]:
    return {alarm.kind: alarm.step for alarm in Watch(BUDGET, harmless).append(rows) or []}


def learns(done: float) -> float:
    return float(np.clip(2 * done, 0.0, 0.95))


def test_a_fall_is_noticed_before_half_is_lost() -> None:
    def task(done: float) -> float:
        return 0.9 if done < 0.4 else max(0.0, 0.9 - 3 * (done - 0.4))

    rows = episodes(task, lambda done: 0.5 if done < 0.4 else 0.5 + 10 * (done - 0.4))
    half = 0.4 + 0.45 / 3
    assert 0.4 * BUDGET < kinds(rows)["falling"] < half * BUDGET


def test_a_fall_that_does_not_pay_is_no_exploit() -> None:
    rows = episodes(lambda done: 0.9 if done < 0.5 else 0.3, lambda _: 0.5)
    assert kinds(rows) == {}


def test_pay_that_settled_without_the_task_is_noticed() -> None:
    rows = episodes(lambda _: 0.02, lambda done: min(5.0, 20 * done))
    assert 0.3 * BUDGET < kinds(rows)["flat"] < 0.6 * BUDGET


def test_a_flat_return_is_fine_where_the_task_is_solved_or_still_coming() -> None:
    assert "flat" not in kinds(episodes(lambda _: 0.9, lambda done: min(1.0, 4 * done)))
    assert "flat" not in kinds(
        episodes(lambda done: 0.0 if done < 0.4 else 0.9, lambda done: 2 * min(done, 0.35))
    )


def test_a_part_that_dwarfs_the_task_is_named() -> None:
    watch = Watch(BUDGET)
    watch.append(episodes(learns, lambda _: 4.0, noise=0.0))
    (alarm,) = [alarm for alarm in watch.alarms if alarm.kind == "dominant"]
    assert "bonus pays 4" in alarm.message
    assert "dominant" not in kinds(episodes(learns, lambda _: 2.0))


def test_a_task_that_is_paid_tenfold_dominates_nothing() -> None:
    rows = episodes(learns, lambda _: 4.0, noise=0.0)
    for row in rows:
        row["shaped_return"] += 9 * row["task_return"]
        row["parts"]["task_reward"] *= 10
    expression = 10 * TaskReward() + sh.CountBonus("obs") + sh.Potential(sh.Read("features.progress"))
    assert task_parts(expression) == {"task_reward"}
    watch = Watch(BUDGET, {"phi"}, task_parts(expression))
    assert watch.append(rows) == []
    for row in rows:
        row["parts"]["bonus"] *= 10
    (alarm,) = Watch(BUDGET, {"phi"}, task_parts(expression)).append(rows)
    assert alarm.kind == "dominant"
    assert "bonus pays 40" in alarm.message


def test_rounding_errors_of_potentials_are_no_pay_to_be_ranked() -> None:
    """Long episodes, which fail, leave more rounding in shaped return minus potentials."""
    rows = episodes(lambda _: 0.5, lambda _: 0.0, noise=0.0)
    for row in rows:
        row["parts"] = {"phi": 3.0}
        row["shaped_return"] = 3.0 + (0.0 if row["success"] else 4e-15)
    assert kinds(rows) == {}


def test_pay_against_the_task_is_noticed() -> None:
    rows = episodes(lambda _: 0.5, lambda _: 0.0, noise=0.0)
    for row in rows:
        row["parts"]["bonus"] = 0.0 if row["success"] else 2.0
        row["shaped_return"] = row["task_return"] + row["parts"]["bonus"]
    assert "reversed" in kinds(rows)


def test_potentials_are_no_pay() -> None:
    rows = episodes(lambda _: 0.02, lambda _: 0.0, potential=lambda done: 50 * done)
    assert kinds(rows) == {}
    assert "dominant" in kinds(rows, harmless=())
    potential = sh.Potential(sh.Read("features.progress"), gamma=0.99)
    expression = TaskReward() + potential.named("phi") + 0.1 * sh.CountBonus("obs")
    assert harmless_parts(expression) == {"phi"}
    assert harmless_parts(TaskReward() + sh.clip(potential)) == frozenset()


def test_episodes_may_come_one_by_one_and_each_sign_sounds_once() -> None:
    rows = episodes(lambda _: 0.02, lambda done: min(5.0, 20 * done))
    whole, bit_by_bit = Watch(BUDGET), Watch(BUDGET)
    whole.append(rows)
    found = [alarm for row in rows for alarm in bit_by_bit.append([row])]
    assert found == bit_by_bit.alarms == whole.alarms
    assert len({alarm.kind for alarm in found}) == len(found) > 0


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rate=st.floats(0.0, 1.0),
    height=st.floats(-1.0, 1.0),
    noise=st.floats(0.0, 5.0),
)
def test_noise_sounds_no_alarm(seed: int, rate: float, height: float, noise: float) -> None:
    assert kinds(episodes(lambda _: rate, lambda _: height, seed=seed, noise=noise)) == {}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), fading=st.floats(0.0, 1.0))
def test_learning_with_a_bonus_that_fades_sounds_no_alarm(seed: int, fading: float) -> None:
    assert kinds(episodes(learns, lambda done: fading * (1 - done), seed=seed)) == {}


def test_few_episodes_say_nothing() -> None:
    assert Watch(BUDGET).append(episodes(lambda _: 0.0, lambda done: 50 * done)[:100]) == []
    assert Watch(1).append([]) == []


@pytest.mark.parametrize("success", [None, False])
def test_tasks_without_success_and_returns_that_never_vary(success: bool | None) -> None:
    rows = episodes(lambda _: 0.0, lambda done: min(5.0, 20 * done))
    for row in rows:
        row["success"] = success
    assert "flat" in kinds(rows)


def test_long_episodes_make_few_blocks_and_still_an_alarm() -> None:
    rows = episodes(lambda _: 0.02, lambda done: min(5.0, 20 * done))
    few = [{**row, "step": 250 * (1 + place)} for place, row in enumerate(rows[:: len(rows) // 200][:200])]
    watch = Watch(BUDGET, ("phi",))
    watch.append(few)
    assert len(watch.blocks) == 10
    assert "flat" in {alarm.kind for alarm in watch.alarms}


@pytest.mark.parametrize("extra", [0.0, 2.0])
def test_a_dense_return_that_falls_while_success_rises_is_no_exploit(extra: float) -> None:
    """Hovering pays 20, solving 4: the environment's own dense return is no measure of the task then."""
    rng, watch = np.random.default_rng(0), Watch(BUDGET, {"potential"})
    for place in range(2000):
        done = place / 2000
        success = bool(rng.random() < 0.2 + 0.8 * done)
        paid = float(success) + extra * done
        dense = 20 * (1 - done) + 4 * done + rng.normal()
        parts = {"success": paid, "potential": 0.0}
        row = {
            "step": 25 * (place + 1),
            "task_return": dense,
            "shaped_return": paid,
            "success": success,
            "parts": parts,
        }
        watch.append([row])
    assert watch.alarms == []
