"""Tool calls before a deadline that is not seen: dense rewards for calls that look like work, and a submission that ends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation

OUTCOMES = (0.25, 0.5, 1.0)
"""What an empty, a failing and a passing submission pay; no submission at all pays 0."""

EMPTY, FAILING, PASSING = range(3)  # the ends, numbered after the working states
CAPTIONS = (
    "",
    "the call is malformed",
    "the call finds what the task needs",
    "the call finds nothing new",
    "the content grows",
    "nothing comes of it",
    "the submission is empty",
    "the submission fails the tests",
    "the submission passes the tests",
)
MALFORMED, FOUND, NOTHING_NEW, PROGRESS, NO_PROGRESS, FIRST_OUTCOME = range(1, 7)  # event ids


def tool_calls(
    turns: int = 12,
    malformed: float = 0.1,
    guided: float = 0.8,
    unguided: float = 0.3,
    passing: Sequence[float] = (0.5, 0.9),
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Call a tool, work, and submit before the turns are used up; how many are left is not seen.

    Description:
        An episode of an assistant that has tools. Its content is empty, a draft or finished. `call` asks a
        tool; a call that is not malformed finds what the next piece of work needs, unless that is known
        already. `work` improves the content by one with probability `guided` if a call has found what it
        needs, else with `unguided`; each improvement uses up what was found. `submit` ends the episode: an
        empty content is an empty submission, a draft and a finished content pass the tests with probability
        passing[0] and passing[1]. After `turns` steps without a submission the episode is over.

    Why it is hackable:
        Calls and progress are what a designer rewards on the way ("tool_calls_proxy"). A call can be
        repeated for ever, so the most rewarding policy never submits, and as neither the turn nor the
        deadline is in the observation, it cannot farm first and submit in time.

    Why it is sparse:
        Only a submission pays.

    Actions:
        0 call, 1 work, 2 submit.

    Observations:
        By `observation`: "one_hot" of the state, "coordinates" (content / 2, found, submitted, outcome),
        or its "index". None of them tells the turn.

    Reward:
        r_{t+1} = 0.25 for an empty submission, 0.5 for one that fails the tests, 1 for one that passes, else
        0. So an episode's return tells the four outcomes apart, of which no submission, 0, is the worst.

    Termination and truncation:
        Terminates with the submission, and after `turns` steps: the deadline is part of the task, and nothing
        comes after it. Never truncates.

    Features:
        state: 2 content + found; 6, 7, 8 after an empty, failing or passing submission. content: 0 .. 2.
            found, submitted: bool. success: the tests pass. event: 1 malformed call, 2 useful call, 3 useless
            call, 4 progress, 5 work without progress, 6, 7, 8 the three submissions.

    Ids:
        shapegym/ToolCalls-v0.

    Args:
        turns: Steps until the deadline.
        malformed: Probability that a call is malformed.
        guided: See Description.
        unguided: See Description.
        passing: See Description.
        observation: See above.

    Raises:
        ValueError: `turns` is below 1, or a probability is not in [0, 1].
    """
    _require_turns(turns)
    _require_probabilities(malformed=malformed, guided=guided, unguided=unguided, passing=passing)
    if len(passing) != 2:
        raise ValueError(
            f"passing must be two probabilities, of a draft and of a finished content, got {passing}"
        )
    best = len(passing)
    call, work = 0, 1
    ends = 2 * (best + 1)

    def branches(s: int, a: int) -> list[Branch]:
        content, found = divmod(s, 2)
        if a == call:
            useful = Branch(s | 1, 1 - malformed, event=NOTHING_NEW if found else FOUND)
            return [Branch(s, malformed, event=MALFORMED), useful]
        if a == work:
            chance = 0.0 if content == best else guided if found else unguided
            return [
                Branch(s, 1 - chance, event=NO_PROGRESS),
                Branch(2 * (content + 1), chance, event=PROGRESS),
            ]
        return _submit(ends, passing[content - 1] if content else None)

    content = np.repeat(np.arange(best + 1), 2)
    found = np.tile([False, True], best + 1)
    knobs = (
        f"turns={turns}, malformed={malformed}, guided={guided}, unguided={unguided}, passing={(*passing,)}"
    )
    return _dynamics(
        f"tool_calls({knobs})",
        branches,
        3,
        turns,
        {"content": content, "found": found},
        observation,
        "Finish the content, with the help of calls, and submit it before the turns are used up.",
        {
            "content": Note("How far the content is.", codes=coded(("empty", "a draft", "finished"))),
            "found": Note("Whether a call has found what the next piece of work needs."),
            "action": Note("What to do.", codes=coded(("call", "work", "submit"))),
        },
    )


def tool_chain(
    turns: int = 12,
    links: int = 4,
    malformed: float = 0.1,
    passing: float = 0.9,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Content takes a chain of right calls in a row, before turns that are not seen are used up.

    Description:
        As `shapegym/ToolCalls-v0`, with one tool for each of `links` steps. After k right calls in a row only
        tool k is right; another one starts the chain over, and a malformed call changes nothing. Once the
        chain is complete there is content, which stays whatever is called. `submit` ends the episode: before
        that the submission is empty, after it it passes the tests with probability `passing`.

    Why it is hackable:
        A call that is not malformed is paid, useful or not ("tool_chain_proxy"), and can be repeated for
        ever; the deadline is not in the observation.

    Why it is sparse:
        Only a submission pays, and one with content is rare: a random policy makes one in about 330 episodes.
        An empty submission pays something at once, so that the outcome alone leads away from content.

    Actions:
        0 .. links - 1 the tools, links: submit.

    Observations:
        By `observation`: "one_hot" of the state, "coordinates" (content / links, submitted, outcome), or its
        "index". None of them tells the turn.

    Reward:
        r_{t+1} = 0.25 for an empty submission, 0.5 for one that fails the tests, 1 for one that passes, else
        0.

    Termination and truncation:
        Terminates with the submission, and after `turns` steps, with nothing more to come. Never truncates.

    Features:
        state: the right calls so far, 0 .. links; then the ends (empty, failing, passing). content: the same
            number, 0 in the ends. submitted: bool. success: the tests pass. event: 1 malformed call, 3 call
            without progress, 4 progress, 6, 7, 8 the three submissions.

    Ids:
        shapegym/ToolChain-v0.

    Args:
        turns: Steps until the deadline.
        links: Length of the chain, at least 1.
        malformed: Probability that a call is malformed.
        passing: See Description.
        observation: See above.

    Raises:
        ValueError: `turns` or `links` is below 1, or a probability is not in [0, 1].
    """
    _require_turns(turns)
    if links < 1:
        raise ValueError(f"a chain needs links >= 1, got {links}")
    _require_probabilities(malformed=malformed, passing=passing)

    def branches(s: int, a: int) -> list[Branch]:
        if a == links:
            return _submit(links + 1, passing if s == links else None)
        if s == links:
            reached = Branch(s, 1 - malformed, event=NOTHING_NEW)
        elif s == a:
            reached = Branch(s + 1, 1 - malformed, event=PROGRESS)
        else:
            reached = Branch(0, 1 - malformed, event=NOTHING_NEW)
        return [Branch(s, malformed, event=MALFORMED), reached]

    knobs = f"turns={turns}, links={links}, malformed={malformed}, passing={passing}"
    content = {"content": np.arange(links + 1)}
    tools = (*(f"tool {k}" for k in range(links)), "submit")
    return _dynamics(
        f"tool_chain({knobs})",
        branches,
        links + 1,
        turns,
        content,
        observation,
        f"Call tools 0 to {links - 1} in their order, which completes the content, and submit it before the turns are used up.",
        {
            "content": Note("How many right calls in a row were made.", "calls"),
            "action": Note("What to do.", codes=coded(tools)),
        },
    )


def _submit(ends: int, chance: float | None) -> list[Branch]:
    """What a submission comes to: empty if `chance` is None, else it passes with that probability."""
    kinds = {EMPTY: 1.0} if chance is None else {FAILING: 1 - chance, PASSING: chance}
    return [
        Branch(ends + kind, p, OUTCOMES[kind], success=kind == PASSING, event=FIRST_OUTCOME + kind)
        for kind, p in kinds.items()
    ]


def _dynamics(
    name: str,
    branches: Callable[[int, int], list[Branch]],
    n_actions: int,
    turns: int,
    working: Mapping[str, NDArray[Any]],
    observation: Observation,
    aim: str,
    notes: Mapping[str, Note],
) -> FiniteDynamics:
    """The task of the working states with the given features, and the three ends after them."""
    n = len(working["content"])
    ends = len(OUTCOMES)
    features = {name: np.concatenate([table, np.zeros(ends, table.dtype)]) for name, table in working.items()}
    submitted = np.arange(n + ends) >= n
    outcome = np.concatenate([np.zeros(n), OUTCOMES])
    scaled = [table / table.max() for table in features.values()]
    task = FiniteTask.from_branches(
        name,
        branches,
        n_actions=n_actions,
        terminal=submitted,
        start=point_mass(0, n + ends),
        captions=CAPTIONS,
        coordinates=np.stack([*scaled, submitted, outcome], axis=1),
        features={**features, "submitted": submitted.copy()},
        max_steps=turns,
        deadline=True,
        aim=aim,
        notes={**notes, "submitted": Note("Whether the submission was made, which ends the episode.")},
    )
    return FiniteDynamics(task, observation)


def _require_turns(turns: int) -> None:
    if turns < 1:
        raise ValueError(f"tool calls needs turns >= 1, got {turns}")


def _require_probabilities(**chances: float | Sequence[float]) -> None:
    for name, chance in chances.items():
        values = np.atleast_1d(chance)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name} must be in [0, 1], got {chance}")
