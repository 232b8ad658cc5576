"""How many threads torch has while agents learn. What is fastest is made up: nothing here looks at a clock's readings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
import torch

from shapegym import CountBonus, TaskReward
from shapegym.agents import threads
from shapegym.agents.factory import make_agent
from shapegym.agents.threads import threads_of_runs, torch_threads

TINY = {"num_envs": 2, "policy_kwargs": {"net_arch": [8]}}
PPO = {**TINY, "n_steps": 16, "batch_size": 8, "n_epochs": 2}
DQN = {**TINY, "learning_starts": 4, "buffer_size": 100, "batch_size": 8}


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which nobody has chosen, on four cores, with torch's own number of threads."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_own", lambda: frozenset({4}))
    monkeypatch.setattr(threads, "_HERE", threads._Here())
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class InTurn:
    """Uses one number after the other, whatever they take."""

    def __init__(self, ways: list[int]) -> None:
        self.ways, self._cycle, self.told = ways, cycle(ways), 0
        self.way = next(self._cycle)

    def took(self, seconds: float) -> None:
        self.told += 1
        self.way = next(self._cycle)


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> list[InTurn]:
    made: list[InTurn] = []

    def make(ways: list[int]) -> InTurn:
        made.append(InTurn(ways))
        return made[-1]

    monkeypatch.setattr(threads, "Fastest", make)
    return made


def corridor(algo: str = "PPO", seed: int | None = 0, **settings: object):
    chosen = {"PPO": PPO, "DQN": DQN}[algo]
    return make_agent(algo, "shapegym/Corridor-v0", seed=seed, **{**chosen, **settings})


def test_an_agent_with_a_seed_learns_on_one_thread() -> None:
    corridor().learn(32)
    assert torch.get_num_threads() == 1


def test_so_it_learns_the_same_on_any_number_of_cores() -> None:
    def learnt() -> list[torch.Tensor]:
        reward = TaskReward() + 0.1 * CountBonus("features.agent_pos")
        model = make_agent("PPO", "shapegym/FourRooms-v0", reward, seed=3, num_envs=64, n_steps=64)
        return [parameter.detach().clone() for parameter in model.learn(8_192).policy.parameters()]

    first = learnt()
    with torch_threads(1):
        assert all(torch.equal(one, other) for one, other in zip(first, learnt(), strict=True))


def test_a_large_network_is_left_to_torch() -> None:
    corridor(policy_kwargs={"net_arch": [1024, 1024]})
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("algo", ["PPO", "DQN"])
def test_without_a_seed_gradient_steps_are_timed_and_the_number_follows(
    algo: str, in_turn: list[InTurn]
) -> None:
    model = corridor(algo, seed=None)
    assert torch.get_num_threads() == 1
    model.learn(64)
    (choice,) = in_turn
    assert choice.ways == [1, 4, 2]
    assert choice.told == model._n_updates * (4 if algo == "PPO" else 1)  # minibatches of an epoch
    assert torch.get_num_threads() == choice.way


def test_saving_and_loading_know_nothing_of_it(in_turn: list[InTurn], tmp_path) -> None:
    model = corridor(seed=None)
    model.save(tmp_path / "model")
    type(model).load(tmp_path / "model", env=model.env).learn(32)
    assert in_turn[0].told == 0


def choose_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)  # as torch itself does when it is loaded


def choose_before(_: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)


def choose_after_another_agent(_: pytest.MonkeyPatch) -> None:
    corridor()
    torch.set_num_threads(3)


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("choose", [choose_by_environment, choose_before, choose_after_another_agent])
def test_what_a_person_chose_stands(
    choose: Callable[[pytest.MonkeyPatch], None], seed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch)
    corridor(seed=seed).learn(32)
    assert torch.get_num_threads() == 3
    assert threads_of_runs() == 3


def test_a_choice_is_obeyed_from_then_on(in_turn: list[InTurn]) -> None:
    model = corridor(seed=None).learn(32)
    torch.set_num_threads(3)
    told = in_turn[0].told
    model.learn(32)
    assert torch.get_num_threads() == 3
    assert in_turn[0].told == told


def test_a_block_with_a_number_is_a_choice(in_turn: list[InTurn]) -> None:
    with torch_threads(2):
        assert threads_of_runs() == 2
        corridor(seed=None).learn(32)
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 4
    assert not in_turn
    assert threads_of_runs() == 1


def test_threads_are_put_back_after_a_block() -> None:
    with pytest.raises(KeyError), torch_threads(1):
        raise KeyError
    assert torch.get_num_threads() == 4


def test_each_thread_of_python_has_its_own_number() -> None:
    corridor()
    seen: list[int] = []

    def elsewhere() -> None:
        torch.set_num_threads(4)
        corridor()
        seen.append(torch.get_num_threads())

    other = threading.Thread(target=elsewhere)
    other.start()
    other.join()
    assert seen == [1]


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    threads._say.cache_clear()
    for _ in range(2):
        corridor()
    (record,) = (record for record in caplog.records if record.name == threads.__name__)
    assert record.getMessage().startswith("torch learns on 1 thread, as agents with a seed do, instead of 4;")
