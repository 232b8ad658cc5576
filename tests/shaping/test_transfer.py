"""A model that has learned in one run goes on in another: of other lanes, in another reward, beside another agent."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import shapegym as sg
from shapegym.shaping import DEIR, ICM, RND, CountBonus
from shapegym.shaping.arrays import flatten
from shapegym.shaping.errors import StateFileError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_models, save_engine
from shapegym.shaping.testing import ScriptedEnv, record
from shapegym.shaping.transitions import Spec
from shapegym.shaping.types import Expression


def engine_after(expression: Expression, lanes: int, steps: int = 24, seed: int = 0) -> RewardEngine:
    spec, stream = record(expression, ScriptedEnv, lanes=lanes, steps=steps, seed=seed)
    engine = RewardEngine(expression, spec, learn_every=8 * lanes)
    for transitions in stream:
        engine.step(transitions)
    return engine


def leaves(engine: RewardEngine, name: str) -> dict[tuple[str, ...], np.ndarray]:
    return flatten(engine.memories[engine.program.model_names.index(name)].state_dict())


RND_BONUS, DEIR_BONUS = RND(hidden=8), DEIR(width=3, hidden=8, queue=16, memory=4, share=1.0)


@pytest.mark.parametrize(
    "bonus", [RND_BONUS, DEIR_BONUS, ICM(hidden=8)], ids=lambda each: type(each).__name__
)
def test_learned_in_one_run_known_in_another(bonus: Expression, tmp_path: Path) -> None:
    taught = engine_after(sg.TaskReward() + bonus, lanes=2)
    save_engine(taught, tmp_path / "taught.npz")
    pupil = engine_after(CountBonus("obs") + 0.5 * bonus, lanes=3, seed=5)
    loaded = load_models(pupil, tmp_path / "taught.npz")
    assert loaded
    for name in loaded:
        model = pupil.program.models[pupil.program.model_names.index(name)]
        theirs, ours = leaves(taught, taught.program.name_of(model)), leaves(pupil, name)
        assert theirs.keys() == ours.keys()
        for path, value in ours.items():
            if "/".join(path) in model.per_lane:
                assert len(value) == 3
                assert not np.any(value)  # no episode of the other run is open here
            else:
                assert np.array_equal(value, theirs[path])
    spec, stream = record(pupil.expression, ScriptedEnv, lanes=3, steps=24, seed=6)
    assert spec.num_lanes == 3
    for transitions in stream:
        assert np.isfinite(pupil.step(transitions)[0]).all()


def test_what_is_not_found_stays_as_it_was(tmp_path: Path) -> None:
    taught = engine_after(sg.TaskReward() + RND_BONUS, lanes=2)
    save_engine(taught, tmp_path / "taught.npz")
    pupil = engine_after(sg.TaskReward() + RND(hidden=9), lanes=2)
    before = pupil.state_dict()["models"]
    with pytest.raises(StateFileError, match=r"Models that learn are there .*make them equal"):
        load_models(pupil, tmp_path / "taught.npz")
    after = pupil.state_dict()["models"]
    assert all(np.array_equal(value, flatten(after)[path]) for path, value in flatten(before).items())


def test_a_model_of_other_spaces_is_refused(tmp_path: Path) -> None:
    taught = engine_after(sg.TaskReward() + RND_BONUS, lanes=2)
    save_engine(taught, tmp_path / "taught.npz")
    other = RewardEngine(
        sg.TaskReward() + RND_BONUS, Spec(2, gym.spaces.Box(-1, 1, (7,)), gym.spaces.Discrete(2))
    )
    with pytest.raises(StateFileError, match="does not fit the model"):
        load_models(other, tmp_path / "taught.npz")
