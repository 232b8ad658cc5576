"""Models: evaluated once a batch, fitted before a rollout is paid, saved and resumed, and what they must not do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from torch import nn

import shapegym as sg
from shapegym.agents.environments import make_vec_env
from shapegym.shaping.errors import LearningError, StateFileError, UnknownNameError
from shapegym.shaping.evaluation import recorder
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.networks import Networks, as_tensor, perceptron
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.testing import ComplianceError, ScriptedEnv, check_expression, check_model
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.tree import models_of, terms_of
from shapegym.shaping.types import NODES, Model, Term, snake_case

CALLS: list[tuple[str, int]] = []
"""(what, rows) of every evaluation and fit of `Counting`."""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    CALLS.clear()
    before = dict(NODES)
    NODES.update({snake_case(node.__name__): node for node in (Counting, Surprise, EpisodeLengths)})
    yield
    NODES.clear()
    NODES.update(before)


@dataclass(frozen=True)
class Counting(Model):
    """Learns the mean observation; says how far a state is from it."""

    scale: float = 1.0

    outputs: ClassVar[tuple[str, ...]] = ("far", "both")

    def init(self, spec: Spec) -> Networks:
        width = spec.observation_space.shape[0]
        return Networks({"mean": lambda: nn.Linear(1, width)}, self, spec, learning_rate=0.05)

    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        CALLS.append(("evaluate", len(transitions.reward)))
        mean = memory.evaluate("mean", np.zeros((1, 1), np.float32))
        gap = self.scale * (transitions.next_obs.astype(np.float32) - mean)
        return {
            "far": np.square(gap).mean(axis=1),
            "both": np.stack([gap.sum(axis=1), gap.max(axis=1)], axis=1),
        }

    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        rows = as_tensor(experience.rows().next_obs)
        CALLS.append(("fit", len(rows)))
        for chosen in memory.minibatches(len(rows), 16):
            loss = (rows[chosen] - memory["mean"](torch.zeros(1, 1))).square().mean()
            memory.descend(loss)
        return {"loss": loss.item()}


@dataclass(frozen=True)
class Surprise(Term):
    """How far a state is, by the largest gap of its episode so far: what is read depends on the order of experience."""

    model: Model = field(default_factory=Counting)

    replay: ClassVar[Replay] = Replay.STAMP

    def init(self, spec: Spec) -> dict[str, Any]:
        return {"largest": np.zeros(spec.num_lanes)}

    def observe(self, transitions: Transitions, state: dict[str, Any], *inputs: Any) -> None:
        before = np.where(transitions.first, 0.0, state["largest"])
        now = np.maximum(before, inputs[0]["far"])
        state["largest"] = np.where(transitions.active, now, state["largest"])

    def measure(self, transitions: Transitions, state: dict[str, Any], *inputs: Any) -> np.ndarray:
        return state["largest"].astype(np.float64)


def stream(steps: int, lanes: int = 2, seed: int = 0) -> list[Transitions]:
    rng = np.random.default_rng(seed)
    found, first = [], np.ones(lanes, dtype=bool)
    for _ in range(steps):
        terminated = rng.random(lanes) < 0.2
        found.append(
            Transitions(
                obs=rng.normal(size=(lanes, 3)).astype(np.float32),
                action=rng.integers(0, 3, lanes),
                next_obs=rng.normal(size=(lanes, 3)).astype(np.float32),
                reward=rng.normal(size=lanes),
                terminated=terminated,
                truncated=np.zeros(lanes, dtype=bool),
                first=first,
                active=np.ones(lanes, dtype=bool),
            )
        )
        first = terminated
    return found


def engine(expression: Any, lanes: int = 2, **options: Any) -> RewardEngine:
    box, moves = gym.spaces.Box(-9, 9, (3,), np.float32), gym.spaces.Discrete(3)
    return RewardEngine(expression, Spec(lanes, box, moves, seed=options.pop("seed", 0)), **options)


# ---------------------------------------------------------------- once


def test_equal_models_are_one_and_evaluated_once_a_batch() -> None:
    expression = ModelOutput(Counting()) + ModelOutput(Counting(), "both", 1) * Surprise(Counting())
    assert models_of(expression) == (Counting(),)
    made = engine(expression, learn_every=1000)
    for step in stream(5):
        made.step(step)
    assert CALLS == [("evaluate", 2)] * 5


def test_two_terms_share_an_encoder() -> None:
    """Of another term's model too: a predictor over the encoder that a term reads itself."""

    @dataclass(frozen=True)
    class OverCode(Model):
        encoder: Model = field(default_factory=Counting)
        outputs: ClassVar[tuple[str, ...]] = ("twice",)
        learned: ClassVar[bool] = False

        def init(self, spec: Spec) -> Networks:
            return Networks({}, self, spec)

        def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
            return {"twice": 2 * inputs[0]["both"]}

    made = engine(ModelOutput(OverCode()) + ModelOutput(Counting(), "both"), learn_every=1000)
    parts = [made.measure(step).copy() for step in stream(3)]
    assert CALLS == [("evaluate", 2)] * 3
    for twice, once in parts:
        np.testing.assert_allclose(twice, 2 * once)


def test_a_rollout_costs_one_evaluation_and_one_fit() -> None:
    venv = make_vec_env("shapegym/Corridor-v0", 4, seed=0)
    model = PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, device="cpu")
    expression = sg.TaskReward() + 0.1 * sg.normalize(ModelOutput(_Width1()))
    sg.wire(model, expression)
    model.learn(3 * 64)
    assert CALLS == [("fit", 64), ("evaluate", 64)] * 3


@dataclass(frozen=True)
class _Width1(Counting):
    """The same over one discrete observation."""

    def init(self, spec: Spec) -> Networks:
        return Networks({"mean": lambda: nn.Linear(1, 1)}, self, spec, learning_rate=0.05)

    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        return super().evaluate(_column(transitions), memory)

    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        rows = experience.rows()
        CALLS.append(("fit", len(rows.reward)))
        return {"loss": 0.0}


def _column(transitions: Transitions) -> Transitions:
    rows = np.asarray(transitions.next_obs, np.float32).reshape(len(transitions.reward), -1)
    return replace(transitions, next_obs=rows[:, :1])


# ---------------------------------------------------------------- fitted before it is paid


def test_the_parts_of_a_rollout_are_those_of_the_model_that_was_fitted_to_it() -> None:
    expression = sg.TaskReward() + ModelOutput(Counting()) + Surprise(Counting())
    made, twin = engine(expression, learn_every=None), Counting()
    steps = stream(12)
    for step in steps:
        assert not made.measure(step)[1:].any()  # they wait
    assert made.waits
    parts = made.learn()
    memory = twin.init(made.spec)
    block = {name: np.stack([getattr(step, name) for step in steps]) for name in _NAMES}
    twin.fit(Experience(Transitions(**block), np.arange(12)), memory)
    largest = np.zeros(2)
    for t, step in enumerate(steps):
        far = twin.evaluate(step, memory)["far"]
        largest = np.maximum(np.where(step.first, 0.0, largest), far)
        np.testing.assert_allclose(parts[:, t], [step.reward, far, largest], rtol=1e-5)
    assert made.fitted.keys() == {"counting/loss"}
    assert made.clock == 24


_NAMES = ("obs", "action", "next_obs", "reward", "terminated", "truncated", "first", "active")


def test_where_rewards_are_paid_at_once_a_fit_counts_from_the_next_step_on() -> None:
    made, before = (
        engine(ModelOutput(Counting()), learn_every=8),
        engine(ModelOutput(Counting()), learn_every=1000),
    )
    for index, step in enumerate(stream(20)):
        same = np.array_equal(made.step(step)[0], before.step(step)[0])
        assert same is (index < 8)


def test_replayed_parts_are_those_of_the_model_of_now_and_cost_one_evaluation() -> None:
    made = engine(
        ModelOutput(Counting()) + Surprise(Counting()) + ModelOutput(Counting(), "both"), learn_every=8
    )
    steps = stream(9)
    for step in steps:
        stored = made.measure(step).copy()
    assert made.moves
    CALLS.clear()
    fresh = made.remeasure(steps[0], stored)
    assert CALLS == [("evaluate", 2)]
    np.testing.assert_array_equal(fresh[1], stored[1])  # stamped
    far = Counting().evaluate(steps[0], made.memories[0])["far"]
    np.testing.assert_allclose(fresh[0], far)


@dataclass(frozen=True)
class EpisodeLengths(Term):
    """Learns from whole episodes: the mean length of those of the last fit, seen as blocks."""

    learned: ClassVar[bool] = True
    fits_on: ClassVar[Any] = "episodes"
    replay: ClassVar[Replay] = Replay.FROZEN

    def init(self, spec: Spec) -> dict[str, Any]:
        return {"mean": 0.0, "returns": np.zeros(0), "starts": 0}

    def fit(self, experience: Experience, state: dict[str, Any], *inputs: Any) -> dict[str, float]:
        steps = experience.steps
        lengths = steps.active.sum(axis=0)
        assert steps.first.sum(axis=0).tolist() == [1] * len(lengths)
        assert (steps.terminated[-1] | steps.truncated[-1]).all()  # aligned at the end
        assert not (steps.terminated[:-1] | steps.truncated[:-1]).any()
        state["mean"] = float(lengths.mean())
        state["returns"] = np.where(steps.active, steps.reward, 0.0).sum(axis=0)
        return {"mean": state["mean"]}

    def measure(self, transitions: Transitions, state: dict[str, Any], *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, state["mean"])


@pytest.mark.parametrize("every", [1, 3, 7, 50])
def test_whole_episodes_reach_a_fit_once_each_however_often_it_comes(every: int) -> None:
    made = engine(EpisodeLengths(), lanes=3, learn_every=every)
    steps = stream(50, lanes=3, seed=1)
    seen: list[float] = []
    for step in steps:
        made.states[0]["returns"] = np.zeros(0)
        made.step(step)
        seen.extend(made.states[0]["returns"].tolist())
    expected, total = [], np.zeros(3)
    for index, step in enumerate(steps):
        total = np.where(step.first, 0.0, total) + step.reward
        if index < 50 - 50 % every:
            expected.extend(total[step.terminated].tolist())
    np.testing.assert_allclose(sorted(seen), sorted(expected))


def test_an_episode_that_never_ends_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "LONGEST_EPISODE", 20)
    made = engine(EpisodeLengths(), learn_every=5)
    for step in stream(100):
        step.terminated[1] = False
        step.first[1] = False
        made.step(step)
    kept = made._recorder
    assert kept is not None
    assert kept._store.length <= 40


# ---------------------------------------------------------------- saved and resumed


def test_a_resumed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    expression = (
        sg.TaskReward() + sg.normalize(ModelOutput(Counting())) + Surprise(Counting()) + EpisodeLengths()
    )
    through, stopped, resumed = (engine(expression, learn_every=5) for _ in range(3))
    steps = stream(31)
    expected = [through.step(step)[0] for step in steps]
    for step in steps[:18]:
        stopped.step(step)
    save_engine(stopped, tmp_path / "state.npz")
    load_engine(resumed, tmp_path / "state.npz")
    for step, paid in zip(steps[18:], expected[18:], strict=True):
        np.testing.assert_array_equal(resumed.step(step)[0], paid)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    made = engine(ModelOutput(Counting()), learn_every=5)
    for step in stream(11):
        made.step(step)
    save_engine(made, tmp_path / "state.npz")
    other = engine(ModelOutput(Counting()), learn_every=6)
    with pytest.raises(StateFileError, match="every 5 steps, here it comes every 6"):
        load_engine(other, tmp_path / "state.npz")
    state = made.state_dict()
    state["models"]["counting"]["modules"]["mean"]["weight"] = np.zeros((7, 7), np.float32)
    before = made.step(stream(1, seed=3)[0])[0].copy()
    with pytest.raises(StateFileError, match="does not fit the model 'counting'"):
        made.load_state_dict(state)
    assert np.isfinite(before).all()
    state["models"].pop("counting")
    with pytest.raises(StateFileError, match="does not fit"):
        made.load_state_dict(state)


def test_memory_is_data_without_pickle_and_independent_of_what_comes() -> None:
    made = engine(ModelOutput(Counting()), learn_every=4)
    steps = stream(9)
    for step in steps[:5]:
        made.step(step)
    state = made.state_dict()["models"]["counting"]
    weight = state["modules"]["mean"]["bias"].copy()
    for step in steps[5:]:
        made.step(step)
    np.testing.assert_array_equal(state["modules"]["mean"]["bias"], weight)


def test_equal_seeds_begin_equal_and_torchs_stream_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    spec = Spec(1, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2), seed=4)
    one, other = (RandomEncoder(width=4).init(spec) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    rows = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(one.evaluate("encoder", rows), other.evaluate("encoder", rows))
    after = RandomEncoder(side="before", width=4).init(spec)
    np.testing.assert_array_equal(one.evaluate("encoder", rows), after.evaluate("encoder", rows))


def test_large_batches_go_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from shapegym.shaping import networks

    spec = Spec(1, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2))
    memory = Networks({"net": lambda: perceptron(3, 8, 2)}, RandomEncoder(), spec)
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    whole = memory.evaluate("net", rows)
    monkeypatch.setattr(networks, "LARGEST_BATCH", 16)
    np.testing.assert_allclose(memory.evaluate("net", rows), whole, rtol=1e-6)
    with pytest.raises(TypeError, match="nothing of them is trained"):
        memory.descend(torch.zeros(1, requires_grad=True).sum())


# ---------------------------------------------------------------- expressions that hold models


def test_a_model_is_written_in_a_reward_file() -> None:
    expression = sg.TaskReward() + ModelOutput(RandomEncoder(Sight(("obs",)), width=8), "code", 3)
    data = to_data(expression)
    assert from_data(data) == expression
    assert (
        from_data(
            {"model_output": {"model": {"random_encoder": {"width": 8}}, "output": "code", "column": 3}}
        )
        == expression.of[1]
    )
    assert [type(term).__name__ for term in terms_of(expression)] == ["TaskReward", "ModelOutput"]


def test_an_output_that_does_not_exist_is_named_when_the_reward_is_bound() -> None:
    with pytest.raises(UnknownNameError, match=r"RandomEncoder has no output 'codes'\. Did you mean 'code'"):
        engine(ModelOutput(RandomEncoder(), "codes"))

    @dataclass(frozen=True)
    class Careless(Term):
        model: Model = field(default_factory=Counting)

        def measure(self, transitions: Transitions, state: Any, *inputs: Any) -> np.ndarray:
            return inputs[0]["distant"]

    with pytest.raises(UnknownNameError, match="The model 'counting' has no output 'distant'"):
        engine(Careless()).step(stream(1)[0])


# ---------------------------------------------------------------- hostile models


def hostile(**methods: Any) -> Model:
    kind = dataclass(frozen=True)(type("Hostile", (Counting,), {"__module__": __name__, **methods}))
    globals()["Hostile"] = kind  # where pickle looks for it
    return kind()  # type: ignore[no-any-return]


def test_a_fit_that_diverges_is_a_typed_error_that_says_what_to_do() -> None:
    made = engine(ModelOutput(hostile(fit=lambda *_: {"loss": float("nan")})), learn_every=2)
    first, second = stream(2)
    made.step(first)
    with pytest.raises(LearningError, match=r"loss = nan at global step 4.*Lower its learning rate"):
        made.step(second)


def test_outputs_that_are_not_finite_or_not_declared_are_typed_errors() -> None:
    def broken(self: Any, transitions: Transitions, memory: Any, *inputs: Any) -> dict[str, np.ndarray]:
        return {
            "far": np.full(len(transitions.reward), np.nan),
            "both": np.zeros((len(transitions.reward), 2)),
        }

    with pytest.raises(LearningError, match="output 'far' is not finite"):
        engine(ModelOutput(hostile(evaluate=broken))).step(stream(1)[0])
    with pytest.raises(LearningError, match="declares the outputs far, both and returned near"):
        engine(ModelOutput(hostile(evaluate=lambda *_: {"near": np.zeros(2)}))).step(stream(1)[0])
    short = {"far": np.zeros(1), "both": np.zeros((2, 2))}
    with pytest.raises(LearningError, match="one row for each of 2 transitions"):
        engine(ModelOutput(hostile(evaluate=lambda *_: short))).step(stream(1)[0])


# ---------------------------------------------------------------- compliance


def test_the_checks_pass_models_that_keep_the_contract() -> None:
    check_model(Counting(), steps=60)
    check_expression(sg.TaskReward() + 0.1 * sg.normalize(ModelOutput(Counting())), steps=60)


def _growing(self: Any, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
    memory.numbers["all"] = np.append(memory.numbers.get("all", np.zeros(0)), experience.rows().reward)
    return {}


def _diverging(self: Any, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
    with torch.no_grad():
        memory["mean"].bias.fill_(float("nan"))
    return {}


def _with_idle_rows(self: Any, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
    memory.numbers["mean"] = float(experience.steps.reward.mean())
    return {}


def _global_stream(self: Any, spec: Spec) -> Networks:
    torch.rand(1)
    return Counting.init(self, spec)


def _batch_statistics(
    self: Any, transitions: Transitions, memory: Networks, *inputs: Any
) -> dict[str, np.ndarray]:
    outputs = Counting.evaluate(self, transitions, memory)
    return {**outputs, "far": outputs["far"] - outputs["far"].mean()}


def _changing(self: Any, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
    memory.numbers["calls"] = memory.numbers.get("calls", 0) + 1
    return Counting.evaluate(self, transitions, memory)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"fit": _growing}, "grows with every fit"),
        ({"fit": _diverging}, "is not finite"),
        ({"fit": _with_idle_rows}, "rows with active=False"),
        ({"fit": lambda *_: {"loss": float("inf")}}, "finite numbers by name"),
        ({"fit": lambda *_: None}, "finite numbers by name"),
        ({"init": _global_stream}, "global stream"),
        ({"evaluate": _batch_statistics}, "which others are evaluated with it"),
        ({"evaluate": _changing}, "only fit may"),
        ({"outputs": ()}, "names of its outputs"),
    ],
)
def test_the_checks_name_what_a_model_does_wrong(methods: dict[str, Any], message: str) -> None:
    with pytest.raises(ComplianceError, match=message):
        check_model(hostile(**methods), ScriptedEnv)


for _name in ("counting", "surprise", "episode_lengths", "_width1"):
    NODES.pop(_name, None)  # other tests go through all nodes, and these are none of the project's
