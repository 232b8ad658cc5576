"""What the benchmarks compute from their measurements, and that their contestants play what they say."""

from __future__ import annotations

import grid_peers
import grid_worlds
import gymnasium as gym
import numpy as np
import pytest
from ppo_grid import FreeLanes
from racing import Contestant, Spread, race, ratio, table

from shapegym.agents.bridge import VectorEnvBridge

SMALL = "MiniGrid-DoorKey-5x5-v0"


def test_contestants_play_once_a_round_in_changing_order():
    turns = []

    def player(name: str) -> Contestant:
        return Contestant(name, 1, lambda steps: turns.append((name, steps)))

    results = race([player("a"), player("b"), player("c")], rounds=8, seconds=1e-7)
    assert {name: len(speeds) for name, speeds in results.items()} == {"a": 8, "b": 8, "c": 8}
    timed = [name for name, _ in turns[-48::2]]  # an untimed step goes before each
    rounds = [tuple(timed[start : start + 3]) for start in range(0, 24, 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) > 2


def test_speed_counts_the_lanes_of_timed_steps_alone(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("racing.time.perf_counter", lambda: clock[0])

    def play(steps: int) -> None:
        clock[0] += 0.25 * steps

    assert race([Contestant("a", 10, play)], rounds=2, seconds=2.0) == {"a": [40.0, 40.0]}


def test_ratio_pairs_the_rounds():
    spread = ratio({"fast": [10.0, 40.0, 90.0], "slow": [10.0, 20.0, 30.0]}, "fast", "slow")
    assert spread == Spread(1.5, 2.0, 2.5)
    assert spread.text(1) == "2.0 [1.5, 2.5]"
    assert Spread.of([1234.0]).text() == "1,234 [1,234, 1,234]"


def test_table_is_markdown():
    assert table(("id", "speed"), [("a", "1")]) == "| id | speed |\n| --- | --- |\n| a | 1 |"


def test_least_ratio_names_its_id():
    ratios = {"a": Spread(1, 20, 30), "b": Spread(9, 10, 11)}
    assert grid_worlds.least("one lane", ratios) == "Least ratio, one lane: 10.0 (b)."


def test_actions_are_common_to_all_and_within_range():
    actions = grid_peers.random_actions(32)
    np.testing.assert_array_equal(actions, grid_peers.random_actions(32))
    assert set(actions.ravel()) == set(range(6))
    assert set(grid_peers.random_actions(32, 3).ravel()) == {0, 1, 2}


def test_missing_peers_are_left_out_and_named(monkeypatch, capsys):
    def missing(lanes: int) -> Contestant:
        raise ImportError(f"no module for {lanes} lanes")

    monkeypatch.setattr(grid_worlds, "PEERS", {"absent": missing, "minigrid": grid_worlds.PEERS["minigrid"]})
    (present,) = grid_worlds._peers(4)
    assert present.name.startswith("minigrid 3.")
    assert "absent is left out (no module for 4 lanes)" in capsys.readouterr().err


def test_every_id_gets_a_row_with_its_ratios():
    lines = grid_worlds.ids_section([SMALL], lanes=4, rounds=2, seconds=0.001).splitlines()
    assert lines[2].startswith(f"| {SMALL} |")
    assert lines[2].count("|") == lines[0].count("|")
    assert [line for line in lines if line.startswith("Least ratio")] == lines[4::2]


def test_state_of_a_lane_is_what_a_snapshot_of_it_holds():
    assert grid_worlds.bytes_per_lane(SMALL, 3) == grid_worlds.bytes_per_lane(SMALL, 64)
    env = gym.make(f"shapegym/{SMALL}").unwrapped
    env.reset(seed=0)
    rows = [array for name, array in env.snapshot().items() if name not in ("fingerprint", "checksum")]
    assert grid_worlds.bytes_per_lane(SMALL) == sum(row.nbytes for row in rows)


def test_first_use_reports_what_a_new_process_says(tmp_path):
    with pytest.raises(RuntimeError, match=r"could not use NoSuchId-v0"):
        grid_worlds._first_use("NoSuchId-v0", 1, str(tmp_path))


def test_free_lanes_are_lanes_for_an_agent():
    native = gym.make_vec(f"shapegym/{SMALL}", 3, observation="flat")
    free = VectorEnvBridge(FreeLanes(3, native.single_observation_space, native.single_action_space))
    first = free.reset()
    obs, reward, done, infos = free.step(np.zeros(3, np.int64))
    assert obs.dtype == first.dtype == np.uint8
    assert obs.shape == (3, 147)
    assert not done.any()
    assert not reward.any()
    assert infos == [{}, {}, {}]
