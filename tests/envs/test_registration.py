"""Every id of the table, as users meet it."""

from __future__ import annotations

import inspect
import json
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import shapegym  # noqa: F401  # registers the ids
from shapegym.envs.dynamics import Dynamics, State, StepOutcome
from shapegym.envs.native import NativeEnv, NativeVectorEnv
from shapegym.envs.registration import TABLE, EnvRow, build, register_all
from shapegym.envs.tabular.corridor import corridor
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics
from shapegym.envs.testing import EnvComplianceError, check_sparse_env


def short(row: EnvRow) -> dict[str, Any]:
    """A time limit under which episodes end within the checks, where the task has that knob."""
    builder = inspect.signature(gym.envs.registration.load_env_creator(row.builder))
    return {"max_steps": 40} if "max_steps" in builder.parameters else {}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_id_complies(row: EnvRow) -> None:
    check_sparse_env(row.id, **short(row))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_stable_baselines_finds_nothing_to_say(row: EnvRow) -> None:
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*is out of date", DeprecationWarning)
        # Stable-Baselines3 takes neither texts nor images smaller than 36 x 36.
        knobs = {"observation": "flat"} if ".grid." in row.builder else {}
        check_env(gym.make(row.id, **knobs).unwrapped)


@pytest.mark.parametrize("observation", ["one_hot", "coordinates", "index"])
@pytest.mark.parametrize(
    "row",
    [row for row in TABLE if ".tabular." in row.builder or ".hack." in row.builder],
    ids=lambda row: row.name,
)
def test_finite_tasks_comply_in_every_observation(row: EnvRow, observation: str) -> None:
    env = gym.make_vec(row.id, num_envs=2, observation=observation)
    obs, _ = env.reset(seed=0)
    for _ in range(5):
        assert obs in env.observation_space
        obs, *_ = env.step(env.action_space.sample())


def test_every_row_is_registered_and_says_its_ids() -> None:
    for row in TABLE:
        spec = gym.spec(row.id)
        kwargs = {"builder": row.builder, "id_limit": row.max_steps, **row.knobs}
        assert json.loads(spec.to_json())["kwargs"] == json.loads(json.dumps(kwargs))
        documentation = inspect.getdoc(gym.envs.registration.load_env_creator(row.builder)) or ""
        assert row.id in documentation, f"{row.id} is not named in its builder's docstring"
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names)


def test_registering_twice_changes_nothing() -> None:
    before = dict(gym.registry)
    register_all()
    assert gym.registry == before


def test_make_and_make_vec_return_the_native_forms() -> None:
    assert isinstance(gym.make("shapegym/Corridor-v0", length=5).unwrapped, NativeEnv)
    vector = gym.make_vec(
        "shapegym/Corridor-v0", num_envs=2, length=5, autoreset_mode=AutoresetMode.SAME_STEP, copy=False
    )
    assert isinstance(vector, NativeVectorEnv)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert vector.single_observation_space.shape == (5,)
    assert isinstance(build("shapegym.envs.tabular.corridor:corridor", length=3), FiniteDynamics)


class Flawed(FiniteDynamics):
    """A corridor with one flaw, to see the suite find it."""

    def __init__(self, flaw: str) -> None:
        super().__init__(corridor(4, slip=0.2, max_steps=30).task)
        self.flaw = flaw
        self._steps = 0
        if flaw == "feature outside its space":
            self.features = {**self.features, "state": gym.spaces.Discrete(2)}

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        if self.flaw == "hidden randomness":
            noise = np.random.default_rng().random(noise.shape)
        if self.flaw == "lanes disturb each other":
            noise = noise[::-1].copy()
        if self.flaw == "state outside the state":
            self._steps += 1
            noise = (noise + 0.37 * self._steps) % 1
        super().step(state, actions, noise, active, outcome)
        if self.flaw == "infinite reward":
            outcome.reward[...] = np.inf


def flawed(flaw: str) -> Dynamics:
    """A corridor without documentation."""
    return Flawed(flaw)


def documented(flaw: str) -> Dynamics:
    """A flawed corridor.

    Description: .
    Why it is sparse: .
    Actions: .
    Observations: .
    Reward: .
    Termination and truncation: .
    Features: .
    Ids: .
    """
    return Flawed(flaw)


FLAWS = {
    "undocumented": "documentation",
    "feature outside its space": "features",
    "infinite reward": "gymnasium_rules",
    "hidden randomness": "gymnasium_rules|forms_agree",
    "lanes disturb each other": "forms_agree",
    "state outside the state": "gymnasium_rules|forms_agree|snapshots",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_the_suite_finds_flaws(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from shapegym.envs import registration

    builder = flawed if flaw == "undocumented" else documented
    monkeypatch.setattr(registration, "load_env_creator", lambda _: builder)
    monkeypatch.setattr("shapegym.envs.testing.load_env_creator", lambda _: builder)
    id = f"shapegym-tests/{flaw.title().replace(' ', '')}-v0"
    gym.register(
        id,
        entry_point="shapegym.envs.registration:make_env",
        vector_entry_point="shapegym.envs.registration:make_vector_env",
        kwargs={"builder": "flawed", "flaw": flaw},
    )
    try:
        with pytest.raises(EnvComplianceError, match=FLAWS[flaw]):
            check_sparse_env(id)
    finally:
        del gym.registry[id]
