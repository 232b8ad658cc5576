"""Reward files: every node survives the round trip, and every mistake is named with its line and what would fit."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.algebra import Clip, Constant, Scale, Sum, TaskReward, clip
from shapegym.shaping.annotate.labellers import Recorded
from shapegym.shaping.annotate.language_model import LanguageModel
from shapegym.shaping.annotate.oni import oni
from shapegym.shaping.annotate.retrieval import Retrieval
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.errors import ExpressionError, RewardFileError
from shapegym.shaping.files import reward_files as config
from shapegym.shaping.files.marked_yaml import YamlError, read_yaml, write_yaml
from shapegym.shaping.files.reward_files import (
    dump_reward,
    dumps,
    from_data,
    load_reward,
    loads,
    node_help,
    to_data,
)
from shapegym.shaping.files.schema import family, options
from shapegym.shaping.intrinsic.agac import AGAC
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.similarity.goal import GoalSimilarity
from shapegym.shaping.similarity.pictures import PictureEncoder
from shapegym.shaping.similarity.sentences import SentenceEncoder
from shapegym.shaping.similarity.words import WordHash
from shapegym.shaping.states.distance import Distance, ExponentialKernel, Gaussian, Tiered
from shapegym.shaping.states.functions import STATE_FUNCTIONS, Call, StateFunction, Table, state_function
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Event, Milestones
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing import examples
from shapegym.shaping.types import NODES, Expression


@state_function
def height_for_config(obs, features):
    return obs[:, 0]


EXPRESSIONS = [
    *(example.node for shown in examples().values() for example in shown),
    StateReward(Distance("obs", (0.5, 1.0), "linf", ExponentialKernel(0.5))),
    StateReward(Distance("obs", "features.goal", kernel=Gaussian("features.size", 0.5))),
    StateReward(Distance("obs[0]", (0.0,), kernel=Tiered((0.1, 1.0), (2.0, 1.0)))),
    StateReward(height_for_config),
    StateReward(GoalSimilarity("a", encoder=SentenceEncoder("folder"), of="obs.text")),
    StateReward(GoalSimilarity("a", encoder=WordHash(8))),
    StateReward(GoalSimilarity("a", encoder=PictureEncoder("a.npz"), of="obs")),
    ModelOutput(Retrieval(LanguageModel("m", "http://host/v1", task="Open it.", calls=100))),
    oni(Recorded("answers.jsonl"), "ranking"),
    AGAC(Sight(("obs",), standardise=True), hidden=8),
    StateReward(Table((0.0, 1.0), "obs")),
    CountBonus("obs", hashing=SimHash(8, 3)),
    Clip(TaskReward(), -np.inf, 1.0),
    (TaskReward() + Event(equals=2).named("key") * 0.5 - 1).named("all_of_it"),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: type(expression).__name__)
def test_round_trip(expression):
    for twin in (
        from_data(to_data(expression)),
        from_data(json.loads(json.dumps(to_data(expression)))),
        loads(dumps(expression)),
    ):
        assert twin == expression
        assert repr(twin) == repr(expression)  # names too


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: type(expression).__name__)
def test_what_is_printed_makes_the_expression_again(expression):
    """In short: without what has its default."""
    known = {cls.__name__: cls for cls in (*NODES.values(), *STATE_FUNCTIONS.values(), *options().values())}
    twin = eval(repr(expression), known | {"inf": np.inf})  # noqa: S307
    assert twin == expression
    assert repr(twin) == repr(expression)
    assert "name=None" not in repr(expression)


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (TaskReward() + 0.1 * Potential("obs[0]"), "TaskReward() + 0.1 * Potential(Read('obs[0]'))"),
        (
            TaskReward() - CountBonus(beta=0.5) * Event(equals=2).named("key"),
            "TaskReward() + -1.0 * (CountBonus(beta=0.5) * Event(equals=2, name='key'))",
        ),
        ((TaskReward() + 1).named("more") * 2.0, "2.0 * (TaskReward() + Constant(1.0)).named('more')"),
        (Scale(Scale(TaskReward(), 2.0), 3.0), "Scale(2.0 * TaskReward(), by=3.0)"),
        (
            StateReward(Distance("obs", (0.0, 1.0), "l1")),
            "StateReward(Distance('obs', to=(0.0, 1.0), norm='l1'))",
        ),
    ],
)
def test_expressions_print_in_short(expression, shown):
    assert repr(expression) == shown


def ours(registry) -> set[str]:
    return {name for name, node in registry.items() if node.__module__.startswith("shapegym.")}


def test_no_node_is_left_out():
    written = json.dumps([to_data(expression) for expression in EXPRESSIONS])
    for name in ours(NODES) | ours(STATE_FUNCTIONS) | ours(options()):
        assert f'"{name}"' in written, f"{name} has no round trip in EXPRESSIONS"


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.integers(), st.text())
def test_yaml_keeps_every_value(one, other, whole, text):
    data = {
        "floats": [one, other],
        "whole": whole,
        text: {"on": text, "none": None, "flags": [True, False], "empty": []},
    }
    assert read_yaml(write_yaml(data))[0] == data


def test_scalars_are_those_of_yaml_1_2():
    text = "[on, yes, 010, 1:30, 2001-01-01, 0x10, 1e-3, 1., +.5, -7, .inf, null, ~, '', 'true', <<]"
    texts = ["1:30", "2001-01-01", "0x10"]
    expected = ["on", "yes", 10, *texts, 0.001, 1.0, 0.5, -7, np.inf, None, None, "", "true", "<<"]
    assert repr(read_yaml(text)[0]) == repr(expected)


def test_files(tmp_path):
    path = tmp_path / "reward.yaml"
    expression = TaskReward() + Potential(Distance(), gamma=0.5).named("näher")
    dump_reward(expression, path)
    assert load_reward(path) == expression
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # a byte order mark, as some editors write
    assert load_reward(str(path)) == expression
    assert [entry.name for entry in tmp_path.iterdir()] == ["reward.yaml"]


SHORT = """
reward:
  sum:
    - task_reward
    - potential: {phi: {distance: {of: features.agent_pos, to: [1, 2.5], kernel: {gaussian: 1e-1}}}, gamma: 0.99, name: nearer}
    - scale: {by: 0.1, of: {event: {trigger: rise}}}
    - when: {condition: {compare: {of: 'obs[0]', op: '>'}}, then: 2, otherwise: -1.5}
    - milestones: [event, {event: {of: features.key, value: 3}}]
    - state_reward: height_for_config
    - state_reward: obs[1]
    - -0.01
"""


def test_shorthands_mean_what_they_say():
    near = Potential(Distance("features.agent_pos", (1.0, 2.5), kernel=Gaussian(0.1)), gamma=0.99)
    assert loads(SHORT) == Sum(
        (
            TaskReward(),
            near,
            Scale(Event(trigger="rise"), 0.1),
            when(Compare("obs[0]", ">"), 2.0, -1.5),
            Milestones((Event(), Event("features.key", 3))),
            StateReward(height_for_config),
            StateReward("obs[1]"),
            Constant(-0.01),
        )
    )
    assert loads(SHORT).of[1].name == "nearer"
    assert loads("reward: {clip: {of: task_reward, low: -.inf}}") == clip(TaskReward(), -np.inf)


BAD = {
    "": "1:1.*the key 'reward' at the top",
    "null": "1:1.*the key 'reward' at the top",
    "- task_reward": "1:1.*the key 'reward' at the top",
    "rewards: task_reward": "the key 'reward' at the top.*has rewards",
    "reward: task_reward\nseed: 3": "the key 'reward' at the top.*has reward, seed",
    "reward:": "1:1: reward: must be an expression, got None",
    "reward: task_rewards": "1:1: reward: 'task_rewards' is not known here. Did you mean 'task_reward'",
    "reward: true": "must be an expression, got True",
    "reward: .nan": "Constant: value must be a finite number",
    "reward: .inf": "Constant: value must be a finite number",
    "reward: [task_reward]": r"1:1: reward: Here belongs one expression, not a list.*sum",
    "reward:\n  potential: {}": "2:3: reward.potential: 'potential' needs the field 'phi'",
    "reward:\n  scale:\n    by: 2": "2:3: reward.scale: 'scale' needs the field 'of'",
    "reward:\n  clip: {of: task_reward, hgih: 2}": "2:27: reward.clip.hgih: 'clip' has no field 'hgih'. Did you mean 'high'",
    "reward:\n  clip: {of: task_reward, high: big}": "2:27: reward.clip.high: must be a number, got 'big'",
    "reward:\n  clip: {of: task_reward, high: true}": "must be a number, got True",
    "reward:\n  clip: {of: task_reward, high: '2'}": "must be a number, got '2'",
    "reward:\n  clip: {of: task_reward, high: .nan}": "NaN is no value",
    "reward:\n  clip: {of: task_reward, high: null}": "must be a number, got None",
    "reward:\n  clip: {of: task_reward, low: 2}": "2:3: reward.clip: Clip needs low <= high",
    f"reward: {{constant: {10**400}}}": "must be a finite number",
    "reward:\n  sum:\n    - task_reward\n    - evnt": r"4:7: reward.sum\[1\]: 'evnt' is not known here. Did you mean 'event'",
    "reward:\n  sum:\n    of:\n    - 1\n    - {event: {value: []}}": r"5:16: reward.sum.of\[1\].event.value: must be a finite",
    "reward: {sum: []}": "Sum: of must be a non-empty tuple of expressions",
    "reward: {sum: task_reward}": "must be a non-empty list of expressions, got 'task_reward'",
    "reward: {sum: {event: {}}}": "'sum' has no field 'event'. Known: name, of",
    "reward: {sign: {event: {}}}": "1:17: .*'sign' has no field 'event'. A node goes under its field: {of: {event: ...}}",
    "reward: {task_reward: 3}": "'task_reward' has no fields, got 3",
    "reward: {sign: task_reward, clip: task_reward}": "one key, its name.*2 keys: sign, clip",
    "reward: {}": "0 keys",
    "reward: distance": "'distance' is a state function, which does not fit here",
    "reward: {potential: {phi: event}}": "No state function is registered as 'event'",
    "reward: {potential: {phi: {event: {}}}}": "'event' is a term, which does not fit here",
    "reward: {potential: {phi: height_for_confg}}": "Did you mean 'height_for_config'",
    "reward: {potential: {phi: 3}}": "got 3",
    "reward: {potential: {phi: obs, gamma: 0.9, name: 'a b'}}": "1:44: .*identifier",
    "reward: {potential: {phi: obs, name: 3}}": "must be a text or null, got 3",
    "reward: {event: {trigger: rises}}": "must be 'level', 'rise' or 'change', got 'rises'. Did you mean 'rise'",
    "reward: {state_reward: {phi: {distance: {kernel: {gausian: 1}}}}}": "Did you mean 'gaussian'",
    "reward: {state_reward: {phi: {distance: {kernel: 1}}}}": r"must be Gaussian\(\.\.\.\), .*Tiered\(\.\.\.\) or null, got 1",
    "reward: {state_reward: {phi: {distance: {to: [0, x]}}}}": r"distance.to\[1\]: must be a finite number, got 'x'",
    "reward: {state_reward: {phi: {distance: {to: {}}}}}": "must be a selector such as .* or a list of finite numbers, got {}",
    "reward: {piecewise: [[0, 1, 2]]}": "Here belong 2 items, not 3",
    "reward: {count_bonus: {scope: run}}": "scope: must be 'lifetime' or 'episode'",
    "reward: {count_bonus: {hashing: {sim_hash: 0}}}": "sim_hash: bits: must be an integer of at least 1, got 0",
    "reward: {goal_reached: {radius: -1}}": "1:25: reward.goal_reached.radius: must be a finite number >= 0, got -1",
    "reward: {count_bonus: {hashing: {sim_hash: {bits: 1.5}}}}": "bits: must be an integer of at least 1, got 1.5",
    "reward: task_reward\nreward: event": "2:1: The key 'reward' is repeated",
    "reward: {sum: [&a task_reward, *a]}": "1:16: Anchors and aliases",
    "reward: !!python/object/apply:os.system ['true']": "1:9: The tag .*python",
    "reward: !!python/name:os.system": "The tag .*python",
    "reward: {? [a] : 1}": "A key must be a text",
    "reward: [": "Not YAML",
    "reward:\n\ttask_reward": "2:1: Not YAML",
    "reward: a\x00b": "is not allowed",
    "reward: task_reward\n---\nreward: event": "Not YAML",
    "reward: " + "{sign: " * 3000 + "event" + "}" * 3000: "Nested too deeply",
    "reward: {constant: " + "9" * 5000 + "}": "Not a number",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:60])
def test_mistakes_are_named(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RewardFileError, match=BAD[text]) as error:
        load_reward(path)
    assert str(error.value).startswith(str(path))


def test_mistakes_in_plain_data_are_named_too():
    for data, message in (
        (
            {"sum": ["task_reward", {"clip": {"of": "event", "low": "x"}}]},
            r"sum\[1\].clip.low: must be a number, got 'x'",
        ),
        ({"clip": {3: 4, "of": "event"}}, "has no field 3"),
        ({3: 4}, "3 is not known here"),
        (None, "must be an expression, got None"),
        (object(), "must be an expression"),
    ):
        with pytest.raises(RewardFileError, match=message):
            from_data(data)
    deep: dict = {}
    deep = "event"
    for _ in range(5000):
        deep = {"sign": {"of": deep}}
    with pytest.raises(RewardFileError, match="Nested too deeply"):
        from_data(deep)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(RewardFileError, match="cannot be read: No such file"):
        load_reward(tmp_path / "none.yaml")
    with pytest.raises(RewardFileError, match="cannot be read: Is a directory"):
        load_reward(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("reward: näher".encode("latin-1"))
    with pytest.raises(RewardFileError, match="UTF-8 text"):
        load_reward(tmp_path / "latin.yaml")
    with pytest.raises(RewardFileError, match="cannot be written"):
        dump_reward(TaskReward(), tmp_path / "no" / "such.yaml")


def test_what_is_not_plain_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "reward.yaml"
    dump_reward(TaskReward(), path)
    with pytest.raises(ExpressionError, match=r"Sum.of\[0\].value is .*object"):
        dump_reward(Sum((strange(),)), path)
    assert load_reward(path) == TaskReward()


def strange() -> Expression:
    constant = Constant(1.0)
    object.__setattr__(constant, "value", object())
    return constant


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "reward.yaml"
    dump_reward(TaskReward(), path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RewardFileError, match="No space left"):
        dump_reward(Event(), path)
    assert load_reward(path) == TaskReward()
    assert [entry.name for entry in tmp_path.iterdir()] == ["reward.yaml"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_arbitrary_data_is_an_expression_or_an_error(data):
    with suppress(RewardFileError):
        assert isinstance(from_data(data), Expression)


@given(st.text(alphabet="rewardsumclip:{}[]-&*!?'\"\n |>#%,.0123456789"))
def test_arbitrary_text_is_data_or_an_error(text):
    with suppress(YamlError):
        data, places = read_yaml(text)
        assert places[()] == (1, 1)
        assert read_yaml(write_yaml(data))[0] == data


def test_help_lists_every_node():
    listed = {node.name: node for node in node_help()}
    assert set(NODES) | set(STATE_FUNCTIONS) | {"gaussian", "sim_hash"} <= set(listed)
    event = listed["event"]
    assert (event.kind, event.fields[0].name, event.fields[0].default) == ("term", "of", "'features.success'")
    assert event.summary.startswith("Pays ``value``")
    assert listed["clip"].fields[0].default is None
    assert listed["distance"].kind == "state function"
    assert listed["sum"].kind == "combinator"
    assert str(listed["sim_hash"]).startswith(
        "sim_hash(bits: an integer of at least 1 = 32, seed: an integer of at least 0 = 0)  # option: "
    )
    for node in listed.values():
        if node.name in ours(NODES) | ours(STATE_FUNCTIONS):
            assert node.summary, f"{node.name} has no documentation"


def test_nodes_defined_elsewhere_join():
    @dataclass(frozen=True)
    class ConfigTestBonus(Constant):
        """A user's own."""

    try:
        expression = ConfigTestBonus(0.25)
        assert from_data(to_data(expression)) == expression
        assert to_data(expression) == {"config_test_bonus": 0.25}
        assert "config_test_bonus" in family(Expression)
    finally:
        del NODES["config_test_bonus"]


def test_calls_need_their_function():
    data = {"state_reward": {"phi": {"call": {"function": "never_registered"}}}}
    with pytest.raises(
        RewardFileError, match=r"state_reward.phi.call.function: No state function .*import the module"
    ):
        from_data(data)
    assert from_data({"state_reward": "height_for_config"}).phi == Call("height_for_config")
    assert issubclass(family(StateFunction)["call"], StateFunction)
    assert config.__all__
