"""The compliance suite: what every id of shapegym passes, and what an environment of yours may pass too.

Example:
    >>> from shapegym.envs.testing import check_sparse_env
    >>> check_sparse_env("shapegym/DeepSea-v0", size=5)
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from shapegym.texts import Text

SECTIONS = (
    "Description", "Why it is sparse", "Actions", "Observations", "Reward", "Termination and truncation",
    "Features", "Ids",
)  # fmt: skip


class EnvComplianceError(AssertionError):
    """An environment breaks the contract; the text says which part, and where."""


@dataclass(frozen=True)
class _Subject:
    id: str
    knobs: Mapping[str, Any]
    lanes: int
    steps: int

    def single(self) -> gym.Env[Any, Any]:
        # With its own limit inside, as the vector form has it, and not in a wrapper around it.
        own = {"id_limit": None} if "id_limit" in gym.spec(self.id).kwargs else {}
        return gym.make(self.id, **own, **self.knobs).unwrapped

    def vector(self, lanes: int | None = None, **knobs: Any) -> Any:
        return gym.make_vec(self.id, num_envs=lanes or self.lanes, **{**self.knobs, **knobs}).unwrapped

    @cached_property
    def _action_space(self) -> gym.Space[Any]:
        return self.single().action_space

    def actions(self, lanes: int) -> Iterator[Any]:
        """The same stream of (lanes, ...) actions on every call; the first lanes do not depend on their number."""
        space = deepcopy(self._action_space)  # streams are read side by side
        space.seed(0)
        for _ in range(self.steps):
            yield np.stack([space.sample() for _ in range(self.lanes)])[:lanes]


def check_sparse_env(id: str, *, lanes: int = 3, steps: int = 200, **knobs: Any) -> None:
    """Check an id against Gymnasium's rules and the contract of `shapegym.envs`.

    The contract: documentation with the sections `SECTIONS`; declared features, `success`, `event` and
    captions; one dynamics for the single form and the vector form in all three autoreset modes; seeds that
    mean the same episodes everywhere; snapshots that continue bit for bit; invalid input that is refused and
    changes nothing.

    Args:
        id: A registered id with a single and a vector entry point.
        lanes: Lanes to compare, at least 2.
        steps: Steps of each comparison; an episode must end within them (give a small time limit in `knobs`).
        **knobs: Arguments of the environment.

    Raises:
        EnvComplianceError: A part of the contract does not hold.
    """
    subject = _Subject(id, knobs, lanes, steps)
    for check in CHECKS:
        try:
            check(subject)
        except AssertionError as error:
            raise EnvComplianceError(f"{id} {dict(knobs)}: {check.__name__}: {error}") from error


def gymnasium_rules(subject: _Subject) -> None:
    """Gymnasium's own checker finds nothing, not even a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", ".*is out of date", DeprecationWarning
        )  # an older version is no fault
        try:
            check_env(subject.single(), skip_render_check=True)
        except Warning as warning:
            raise EnvComplianceError(f"Gymnasium's checker warns: {warning}") from warning


def documentation(subject: _Subject) -> None:
    """The docstring has every section."""
    spec = gym.spec(subject.id)
    source = load_env_creator(spec.kwargs["builder"]) if "builder" in spec.kwargs else type(subject.single())
    text = inspect.getdoc(source) or ""
    missing = [name for name in SECTIONS if not re.search(rf"^\s*{name}:", text, re.MULTILINE)]
    _hold(not missing, f"the docstring lacks the sections {missing}")


def features(subject: _Subject) -> None:
    """Info provides exactly the declared features, within their spaces, on reset and on every step."""
    env: Any = subject.single()
    vector = subject.vector()
    declared = env.features
    _hold({"success", "event"} <= set(declared), "`success` and `event` must be declared in `features`")
    _hold(env.captions[0] == "", "caption 0 is the empty text of 'nothing happened'")
    _hold(declared["event"] == spaces.Discrete(len(env.captions)), "each event id needs a caption")
    _hold(dict(vector.features) == dict(declared), "single and vector form must declare the same features")
    _hold(vector.captions == env.captions, "single and vector form must have the same captions")
    _, info = env.reset(seed=0)
    _hold(info["success"] is False and info["event"] == 0, "a reset is no success and no event")
    ended = False
    for actions in subject.actions(1):
        _hold(set(info) == set(declared), f"info has {sorted(info)}, declared are {sorted(declared)}")
        for name, space in declared.items():
            value = _read(info[name])
            _hold(np.asarray(value, space.dtype) in space, f"feature {name} = {value} is not in {space}")
        _hold(type(info["success"]) is bool, "in the single form `success` is a bool")
        _, reward, terminated, truncated, info = env.step(actions[0])
        _hold(type(reward) is float and np.isfinite(reward), f"reward {reward!r} is no finite float")
        if terminated or truncated:
            ended = True
            _, info = env.reset()
    _hold(ended, f"no episode ended within {subject.steps} steps, so its end went unchecked: see `steps`")


def forms_agree(subject: _Subject) -> None:
    """The vector form equals Gymnasium's SyncVectorEnv of single forms, in every autoreset mode."""
    for mode in AutoresetMode:
        native = subject.vector(autoreset_mode=mode)
        loop = SyncVectorEnv([subject.single] * subject.lanes, autoreset_mode=mode)
        _hold(native.metadata["autoreset_mode"] is mode, "metadata names another autoreset mode")
        for t, (ours, theirs) in enumerate(
            zip(_rollout(native, subject, 7), _rollout(loop, subject, 7), strict=True)
        ):
            for name, a, b in zip(("obs", "reward", "terminated", "truncated"), ours, theirs, strict=False):
                _hold(
                    _same(a, b),
                    f"{mode.value}, step {t}: {name} is {{}} in the vector form, {{}} in the single",
                    a,
                    b,
                )
            _same_info(ours[4], theirs[4], subject.lanes, f"{mode.value}, step {t}")


def seeds_agree(subject: _Subject) -> None:
    """A seed means the same episodes in a list, as a base seed, and for any number of lanes."""
    reference = list(_rollout(subject.vector(), subject, 3))
    by_list = _rollout(subject.vector(), subject, [3 + lane for lane in range(subject.lanes)])
    alone = _rollout(subject.vector(1), subject, 3)
    for t, (base, listed, first) in enumerate(zip(reference, by_list, alone, strict=True)):
        _hold(_same(base[:4], listed[:4]), f"step {t}: a list of seeds differs from their base seed")
        _hold(_same(_lane(base[:4], [0]), first[:4]), f"step {t}: lane 0 depends on the number of lanes")


def copies(subject: _Subject) -> None:
    """What was returned is not overwritten later."""
    rows = _rollout(subject.vector(), subject, 0)
    kept = next(rows)
    before = _lane(kept, np.arange(subject.lanes))
    for _ in rows:
        pass
    _hold(_same(kept, before), "a later step has overwritten arrays that were returned")


def snapshots(subject: _Subject) -> None:
    """A snapshot continues bit for bit: in place, in a fresh environment, lane by lane, single and vector."""
    everyone = list(range(subject.lanes))
    env = subject.vector()
    stream = list(subject.actions(subject.lanes))
    env.reset(seed=5)
    for actions in stream[: len(stream) // 2]:
        env.step(actions)
    snapshot, rest = env.snapshot(), stream[len(stream) // 2 :]
    truth = [env.step(actions)[:4] for actions in rest]
    env.restore(snapshot)
    _continues(env, truth, rest, everyone, "in place")
    fresh = subject.vector()
    fresh.restore(snapshot)
    _continues(fresh, truth, rest, everyone, "in a fresh environment")

    env.restore(snapshot)
    swapped = subject.vector()
    swapped.reset(seed=0)
    last = subject.lanes - 1
    swapped.restore(env.snapshot(lanes=[last]), lanes=[0])
    _continues(swapped, truth, rest, [last], "in another lane")

    single: Any = subject.single()
    single.reset(seed=11)
    _, _, terminated, truncated, _ = single.step(stream[0][0])
    if terminated or truncated:
        single.reset()
    lone = single.snapshot()
    after = single.step(stream[1][0])
    swapped.restore(lone, lanes=[1])
    first = swapped.step(np.stack([stream[1][0]] * subject.lanes))
    _hold(_same(_lane(first[0], 1), after[0]), "a single form's snapshot does not continue in a vector lane")
    single.restore(lone)
    _hold(_same(single.step(stream[1][0]), after), "a single form does not continue from its snapshot")


def hostile_input(subject: _Subject) -> None:
    """Wrong snapshots, actions, seeds and calls are refused with the right exception, and change nothing."""
    env = subject.vector()
    good = next(subject.actions(subject.lanes))
    _refused(partial(env.step, good), ResetNeeded, "step before reset")
    _refused(env.snapshot, ResetNeeded, "snapshot before reset")
    env.reset(seed=1)
    snapshot = env.snapshot()
    name = next(key for key in snapshot if key not in {"fingerprint", "checksum"})
    bad_snapshots = {
        "without an entry": {key: value for key, value in snapshot.items() if key != name},
        "of another dtype": {**snapshot, name: snapshot[name].astype(np.complex128)},
        "with too few lanes": {**snapshot, name: snapshot[name][:-1]},
        "of another task": {**snapshot, "fingerprint": np.array("other")},
        "with changed content": {**snapshot, name: snapshot[name] + snapshot[name].dtype.type(1)},
    }
    for what, bad in bad_snapshots.items():
        _refused(partial(env.restore, bad), ValueError, f"a snapshot {what}")
    wrong = good.astype(object)
    wrong.fill("up")
    bad_actions = {"too few actions": good[:-1], "actions that are text": wrong}
    if isinstance(env.single_action_space, spaces.Discrete):
        bad_actions["an action out of range"] = np.full_like(good, env.single_action_space.n)
        bad_actions["fractional actions"] = good + 0.5
    else:
        bad_actions["an action out of range"] = np.full_like(good, env.single_action_space.high.max() + 1)
        bad_actions["nan actions"] = np.full_like(good, np.nan)
    for what, actions in bad_actions.items():
        _refused(partial(env.step, actions), (ValueError, TypeError), what)
    for what, seed in {"a negative seed": -1, "too few seeds": [1], "a fractional seed": 0.5}.items():
        _refused(partial(env.reset, seed=seed), (ValueError, TypeError), what)
    _hold(_same(env.snapshot(), snapshot), "refused input has changed the state")


CHECKS: tuple[Callable[[_Subject], None], ...] = (
    gymnasium_rules, documentation, features, forms_agree, seeds_agree, copies, snapshots, hostile_input,
)  # fmt: skip


def _rollout(env: VectorEnv[Any, Any, Any], subject: _Subject, seed: Any) -> Iterator[tuple[Any, ...]]:
    """(obs, reward, terminated, truncated, info) of the reset and of every step, resetting by mask if disabled."""
    none = np.zeros(env.num_envs)
    obs, info = env.reset(seed=seed)
    yield obs, none, none > 0, none > 0, info
    for actions in subject.actions(env.num_envs):
        row = env.step(actions)
        yield row
        done = row[2] | row[3]
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and done.any():
            obs, info = env.reset(options={"reset_mask": done})
            yield obs, none, none > 0, none > 0, info


def _continues(env: Any, truth: list[Any], stream: list[Any], source: list[int], where: str) -> None:
    """Lanes 0 .. of `env` replay the lanes `source` of the truth."""
    for t, (actions, expected) in enumerate(zip(stream, truth, strict=True)):
        given = actions.copy()
        given[: len(source)] = actions[source]
        row = env.step(given)[:4]
        same = _same(_lane(row, range(len(source))), _lane(expected, source))
        _hold(same, f"restored {where}: step {t} differs")


def _same_info(ours: Any, theirs: Any, lanes: int, where: str) -> None:
    names = {name for name in theirs if not name.startswith("_")}
    _hold({name for name in ours if not name.startswith("_")} == names, f"{where}: info has other entries")
    for name in names:
        mask = theirs[f"_{name}"]
        _hold(_same(ours[f"_{name}"], mask), f"{where}: info mask _{name} differs")
        if name == "final_info":
            _same_info(ours[name], theirs[name], lanes, f"{where}: final_info")
            continue
        for lane in np.flatnonzero(mask):
            a, b = _lane(ours[name], lane), _read(_lane(theirs[name], lane))
            _hold(
                _same(a, b),
                f"{where}, lane {lane}: info {name} is {{}} in the vector form, {{}} in the single",
                a,
                b,
            )


def _lane(tree: Any, lane: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _lane(branch, lane) for name, branch in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_lane(branch, lane) for branch in tree)
    return tree[list(lane)] if isinstance(lane, range) else tree[lane]


def _read(value: Any) -> Any:
    """A feature as the vector form has it."""
    return value.row if isinstance(value, Text) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(np.array_equal(a, b))


def _refused(call: Callable[[], Any], error: Any, what: str) -> None:
    try:
        call()
    except error as found:
        _hold(str(found) != "", f"{what} is refused without a word")
    else:
        raise EnvComplianceError(f"{what} is accepted")


def _hold(condition: bool, text: str, *values: Any) -> None:
    """Raise unless `condition`; `values` (arrays, slow to print) fill the places {} of the text only then."""
    if not condition:
        raise EnvComplianceError(text.format(*values) if values else text)
