"""Models that remember lanes: each step is observed once, in order, wherever and whenever it is paid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import shapegym as sg
from shapegym.shaping.errors import ExpressionError, StateFileError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.models.recurrent_encoder import RecurrentEncoder
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.networks import Networks
from shapegym.shaping.promises import Replay
from shapegym.shaping.testing import ComplianceError, ScriptedEnv, check_model, record
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.tree import replay_of
from shapegym.shaping.types import NODES, Model

CODE = RecurrentEncoder(width=3, hidden=8)


@dataclass(frozen=True)
class Averaged(Model):
    """``mean`` of all codes that it learned from: it keeps what it was shown."""

    of: Model = CODE
    outputs: ClassVar[tuple[str, ...]] = ("mean",)

    def init(self, spec: Spec) -> Networks:
        return Networks({}, self, spec, numbers={"mean": 0.0, "shown": np.zeros((0, 0, 0), np.float32)})

    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        return {"mean": inputs[0]["code"][:, 0] - memory.numbers["mean"]}

    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        memory.numbers |= {
            "shown": inputs[0]["code"].copy(),
            "mean": float(experience.flat(inputs[0]["code"])[:, 0].mean()),
        }
        return {}


@dataclass(frozen=True)
class OfEpisodes(Averaged):
    """The same, of whole episodes."""

    fits_on: ClassVar[str] = "episodes"


@dataclass(frozen=True)
class Bound(RecurrentEncoder):
    """Does not say what belongs to open episodes."""

    per_lane: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Forgetful(RecurrentEncoder):
    """Takes in rows that are no transitions."""

    def observe(self, transitions: Transitions, memory: Networks, *inputs: Any) -> None:
        transitions = Transitions(*(getattr(transitions, name) for name in transitions.__slots__))
        transitions.active = np.ones_like(transitions.active)
        super().observe(transitions, memory, *inputs)


OURS = ("averaged", "of_episodes", "bound", "forgetful")
KEPT = {
    name: NODES.pop(name) for name in OURS
}  # other tests go through all nodes, and these are none of the project's


@pytest.fixture(autouse=True)
def _our_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, node in KEPT.items():
        monkeypatch.setitem(NODES, name, node)


@pytest.fixture(scope="module")
def recorded() -> tuple[Spec, list[Transitions]]:
    spec, stream = record(sg.ModelOutput(CODE), ScriptedEnv, lanes=3, steps=40)
    return spec, [step for step in stream if step.active.any()]


def test_codes_are_those_of_a_cell_that_is_called_lane_by_lane(recorded) -> None:
    spec, stream = recorded
    memory = CODE.init(spec)
    hidden = [torch.zeros(1, 3)] * spec.num_lanes

    def follow(state: np.ndarray, code: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return memory["cell"](memory["eye"](torch.from_numpy(state[None].astype(np.float32))), code)

    for step in stream:
        CODE.observe(step, memory, {"before": step.obs, "after": step.next_obs})
        told = CODE.evaluate(step, memory)["code"]
        for lane in np.flatnonzero(step.active):
            if step.first[lane]:
                hidden[lane] = follow(step.obs[lane], torch.zeros(1, 3))
            hidden[lane] = follow(step.next_obs[lane], hidden[lane])
            np.testing.assert_allclose(told[lane], hidden[lane][0].numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("of", [Sight(), Sight(standardise=True)], ids=["fixed", "learned"])
@pytest.mark.parametrize("length", [1, 7, 100])
def test_a_rollout_that_waits_is_gone_through_once_and_in_order(recorded, of: Sight, length: int) -> None:
    """What is never learned is told apart nowhere: with moments that are fitted, a rollout is judged as its last fit left them."""
    spec, stream = recorded
    reward = sg.ModelOutput(RecurrentEncoder(of, width=3, hidden=8)) + sg.ModelOutput(Averaged())
    engine, twin = (RewardEngine(reward, spec, learn_every=None) for _ in range(2))
    encoder = reward.children[0].model
    for start in range(0, len(stream), length):
        block = stream[start : start + length]
        for step in block:
            engine.measure(step)
        parts = engine.learn()[engine.terms.index(reward.children[0])]
        twin.memories[twin.program.models.index(of)].load_state_dict(
            engine.memories[engine.program.models.index(of)].state_dict()
        )
        for t, step in enumerate(block):
            see = of.evaluate(step, twin.memories[twin.program.models.index(of)])
            memory = twin.memories[twin.program.models.index(encoder)]
            encoder.observe(step, memory, see)
            told = encoder.evaluate(step, memory)["code"][:, 0]
            np.testing.assert_allclose(parts[t][step.active], told[step.active], rtol=1e-5)


@pytest.mark.parametrize("learn_every", [None, 9])
def test_who_learns_from_a_recurrent_model_gets_what_it_said(
    recorded, learn_every: int | None, tmp_path: Path
) -> None:
    spec, stream = recorded
    reward = sg.ModelOutput(Averaged())
    engine, resumed = (RewardEngine(reward, spec, learn_every=learn_every) for _ in range(2))
    memory, said = CODE.init(spec), []
    for number, step in enumerate(stream[:9]):
        CODE.observe(step, memory, {"before": step.obs, "after": step.next_obs})
        said.append(CODE.evaluate(step, memory)["code"])
        engine.measure(step)
        if number == 4:
            save_engine(engine, tmp_path / "state.npz")
    if learn_every is None:
        engine.learn()
    shown = engine.memories[engine.program.model_names.index("averaged")].numbers["shown"]
    np.testing.assert_allclose(shown, np.stack(said), rtol=1e-5)
    load_engine(resumed, tmp_path / "state.npz")
    for step in stream[5:9]:
        resumed.measure(step)
    if learn_every is None:
        resumed.learn()
    again = resumed.memories[resumed.program.model_names.index("averaged")].numbers["shown"]
    np.testing.assert_array_equal(shown, again)


def test_what_reads_it_is_stamped_and_no_buffer_asks_again(recorded) -> None:
    spec, stream = recorded
    for model in (CODE, Averaged()):
        assert replay_of(sg.ModelOutput(model)) is Replay.STAMP
    engine = RewardEngine(0.1 * sg.normalize(sg.ModelOutput(CODE)), spec)
    parts = engine.measure(stream[0]).copy()
    before = engine.state_dict()["models"]["recurrent_encoder"]["numbers"]["code"]
    again = engine.remeasure(stream[0], parts, relabelled=True)
    np.testing.assert_array_equal(again[0], parts[0])
    np.testing.assert_array_equal(before, engine.memories[-1].numbers["code"])


def test_whole_episodes_of_it_are_refused_by_name(recorded) -> None:
    with pytest.raises(ExpressionError, match="recurrent"):
        RewardEngine(sg.ModelOutput(OfEpisodes()), recorded[0])


def test_what_others_said_is_refused(recorded) -> None:
    spec, stream = recorded
    engine = RewardEngine(sg.ModelOutput(Averaged()), spec, learn_every=100)
    engine.measure(stream[0])
    state = engine.state_dict()
    state["experience"]["store"]["rows"]["said"] = {"stranger": {"code": np.zeros((1, 3, 2))}}
    with pytest.raises(StateFileError, match="other models"):
        engine.load_state_dict(state)


def test_rows_that_are_no_transitions_may_not_be_taken_in() -> None:
    with pytest.raises(ComplianceError, match="active=False"):
        check_model(Forgetful(width=3, hidden=8))
    with pytest.raises(ComplianceError, match="Name what belongs to open episodes in per_lane"):
        check_model(Bound(width=3, hidden=8))
