"""How an agent fails, in words: what the last steps of its failed episodes have in common, as far as features tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.bridge import VectorEnvBridge
from shapegym.agents.environments import env_spec, make_vec_env
from shapegym.agents.model_files import load_model
from shapegym.agents.randomness import isolated_randomness
from shapegym.agents.threads import threads_of_runs, torch_threads
from shapegym.envs.registration import dynamics_class
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.states.names import value_in
from shapegym.shaping.surfaces.collect import success_in

WATCHED_SEED = 2_000_000
"""Far from the seeds of training and of evaluations."""
LAST = 20
"""Steps of an episode that count as its end."""
LANES = 16
MOST_STEPS = 2_000
"""Of a lane: some episodes have no end."""


@dataclass
class Ending:
    """The end of one episode.

    Attributes:
        solved: whether it solved the task; None if the task does not say.
        length: its steps.
        values: feature -> its values in the last `LAST` states, (steps,) or (steps, n).
        actions: in those.
        ever: truths that held at some time.
    """

    solved: bool | None
    length: int
    values: Mapping[str, NDArray[Any]]
    actions: Sequence[Any]
    ever: frozenset[str]


@dataclass
class _Lane:
    states: list[dict[str, Any]] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    ever: set[str] = field(default_factory=set)
    length: int = 0


def watch(folder: Path, abstraction: Abstraction, episodes: int) -> list[Ending]:
    """Play a trained agent and return how its episodes ended, the same ones whenever it is called.

    Args:
        folder: of the finished run.
        abstraction: the features to look at.
        episodes: how many; fewer if they are long.
    """
    config = RunConfig.from_folder(folder)
    kwargs = _reporting(config, abstraction)
    endings: list[Ending] = []
    with torch_threads(threads_of_runs()):
        venv = make_vec_env(config.env, min(episodes, LANES), **kwargs)
        try:
            model = load_model(folder / run_folder.MODEL, venv, algorithm=algorithm_of(config.algo).kind)
            with isolated_randomness(WATCHED_SEED, venv.action_space):
                venv.seed(WATCHED_SEED)
                obs: Any = venv.reset()
                memory, starts = None, np.ones(venv.num_envs, dtype=bool)
                lanes = [_Lane() for _ in range(venv.num_envs)]
                for _ in range(MOST_STEPS):
                    actions, memory = model.predict(obs, memory, starts, deterministic=False)
                    obs, _, starts, infos = venv.step(actions)
                    for number, lane in enumerate(lanes):
                        _take(lane, _state(venv, infos, number, abstraction), actions[number])
                        if starts[number]:
                            endings.append(_ending(lane, success_in(infos[number])))
                            lanes[number] = _Lane()
                    if len(endings) >= episodes:
                        break
        finally:
            venv.close()
    return endings[:episodes]


def in_words(endings: Sequence[Ending], abstraction: Abstraction) -> tuple[str, ...]:
    """Say what the failed episodes had in common, in at most ten sentences; nothing if none failed."""
    failed = [each for each in endings if not each.solved]
    if not failed:
        return ()
    solved = len(endings) - len(failed)
    about = (
        f"{len(failed)} of {len(endings)} episodes that were watched failed"
        if solved
        else f"All of {len(failed)} episodes that were watched failed"
    )
    length = np.median([each.length for each in failed])
    sentences = [f"{about}, after {length:.0f} steps mostly. At the end of the failed ones:"]
    for feature in abstraction.features:
        if feature.name in failed[0].values:
            sentences += _said(feature, failed)
    return (*sentences[:9], _of_actions(abstraction.action, failed))


def _said(feature: Feature, failed: Sequence[Ending]) -> list[str]:
    name, many = feature.name, len(failed)
    last = [each.values[name][-1] for each in failed]
    if feature.kind == "truth" and not feature.length:
        held, ever = sum(map(bool, last)), sum(name in each.ever for each in failed)
        return [f"- {name} was true in {held} of {many} (at some time before: {ever})."]
    if feature.codes and not feature.length:
        words = dict(feature.codes)
        value, often = Counter(int(each) for each in last).most_common(1)[0]
        return [f"- {name} was {value} ({words.get(value, 'of no name')}) in {often} of {many}."]
    still = sum(bool(np.all(each.values[name] == each.values[name][-1])) for each in failed)
    stood = f" It did not change in the last {LAST} steps of {still}." if still else ""
    if feature.length:
        if feature.length > _LONGEST:
            return []
        means = ", ".join(f"{value:.3g}" for value in np.mean(last, axis=0))
        return [f"- {name} was ({means}) on average.{stood}"]
    return [
        f"- {name} was {np.mean(last):.3g} on average, from {np.min(last):.3g} to {np.max(last):.3g}.{stood}"
    ]


_LONGEST = 4
"""Of a vector whose numbers are told."""


def _of_actions(action: Feature, failed: Sequence[Ending]) -> str:
    taken = [each for ending in failed for each in ending.actions]
    if action.length:
        means = ", ".join(f"{value:.3g}" for value in np.mean([np.ravel(each) for each in taken], axis=0))
        return f"- The action was ({means}) on average in the last {LAST} steps."
    words = dict(action.codes)
    counts = Counter(int(np.ravel(each)[0]) for each in taken).most_common(3)
    shares = ", ".join(f"{value} ({words[value]})" * (value in words) or f"{value}" for value, _ in counts)
    often = ", ".join(f"{count / len(taken):.0%}" for _, count in counts)
    return f"- The most frequent actions in the last {LAST} steps were {shares}: {often} of them."


def _reporting(config: RunConfig, abstraction: Abstraction) -> dict[str, Any]:
    """The arguments of the environment with which it reports the features."""
    if "features" in config.env_kwargs:
        return dict(config.env_kwargs)
    on_request = dynamics_class(env_spec(config.env)).reports_on_request
    wanted = [each.name for each in abstraction.features if on_request(each.name)]
    return {**config.env_kwargs, **({"features": wanted} if wanted else {})}


def _state(
    venv: Any, infos: Sequence[Mapping[str, Any]], lane: int, abstraction: Abstraction
) -> dict[str, Any]:
    """The features after the step of a lane, as far as they are reported."""
    found: dict[str, Any] = {}
    told: Any = venv.last_step.next_features if isinstance(venv, VectorEnvBridge) and venv.last_step else None
    for feature in abstraction.features:
        value = value_in(infos[lane] if told is None else told, feature.name)
        if value is not None:
            found[feature.name] = np.array(value if told is None else np.asarray(value)[lane])
    return found


def _take(lane: _Lane, state: dict[str, Any], action: Any) -> None:
    lane.length += 1
    lane.states = [*lane.states[1 - LAST :], state]
    lane.actions = [*lane.actions[1 - LAST :], np.array(action)]
    lane.ever |= {
        name for name, value in state.items() if value.shape == () and value.dtype == bool and value
    }


def _ending(lane: _Lane, success: Any) -> Ending:
    names = lane.states[-1]
    values = {name: np.stack([state[name] for state in lane.states]) for name in names}
    return Ending(
        None if success is None else bool(success), lane.length, values, lane.actions, frozenset(lane.ever)
    )
