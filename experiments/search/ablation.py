"""Ablation: the same comparison with one part of a reward left out at a time.

A part is an operand of a sum, wherever in the expression the sum stands, or a lower level of a gate; what is within a scale or a
clip is left out together with it if nothing of it remains. The task's own reward is never left out, because it says what the task
is. ``exploring`` without its count bonus is the strategy ``exploring-without-count_bonus``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shapegym.experiments.plan import Job, Plan, in_fair_order
from shapegym.shaping.algebra import Sum, TaskReward
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.tree import has_task_reward, part_names
from shapegym.shaping.types import Combinator, Expression

WITHOUT = "-without-"
"""Between the name of a strategy and that of the part that is left out."""


def ablation(job: Job) -> tuple[Job, ...]:
    """Return the job with each part of its reward left out, as strategies ``STRATEGY-without-PART``; none for the task reward."""
    if job.config.reward is None:
        return ()
    left = [(part, rest) for part, rest in _leave_one_out(from_data(job.config.reward)) if rest is not None]
    names = part_names(tuple(part for part, _ in left))
    return tuple(
        replace(
            job,
            strategy=job.strategy + WITHOUT + name,
            config=replace(job.config, reward=to_data(rest)),
        )
        for name, (_, rest) in zip(names, left, strict=True)
    )


def ablated(plan: Plan) -> Plan:
    """Return the plan and the ablations of its jobs, but for those that are a strategy of the plan already."""
    there = {_content(job) for job in plan.jobs}
    more = [changed for job in plan.jobs for changed in ablation(job) if _content(changed) not in there]
    return replace(plan, jobs=in_fair_order((*plan.jobs, *more)))


def _content(job: Job) -> str:
    """What a job trains on, whatever it is called."""
    reward = TaskReward() if job.config.reward is None else from_data(job.config.reward)
    return replace(job, strategy="", config=replace(job.config, reward=to_data(reward))).digest + job.task


def _leave_one_out(expression: Expression) -> Iterator[tuple[Expression, Expression | None]]:
    """Yield each part, and the expression without it; None where nothing remains."""
    operands = expression.children
    if isinstance(expression, Sum):
        for place, operand in enumerate(operands):
            for part, rest in _leave_one_out(operand):
                others = (*operands[:place], *([] if rest is None else [rest]), *operands[place + 1 :])
                yield (
                    part,
                    replace(expression, of=others) if len(others) > 1 else (others[0] if others else None),
                )
    elif isinstance(expression, Gate):
        for place, operand in enumerate(operands[1:], start=1):
            for part, rest in _leave_one_out(operand):
                yield part, _with_level(expression, place, rest)
    elif isinstance(expression, Combinator) and len(operands) == 1:
        for part, rest in _leave_one_out(operands[0]):
            yield part, None if rest is None else replace(expression, of=rest)  # type: ignore[call-arg]
    elif not has_task_reward(expression):
        yield expression, None


def _with_level(gate: Gate, place: int, level: Expression | None) -> Expression:
    """A gate with another level, or without it and the threshold that the level above it must pass."""
    if level is not None:
        return replace(gate, of=(*gate.of[:place], level, *gate.of[place + 1 :]))
    if len(gate.of) == 2:
        return gate.of[0]
    dropped = min(place, len(gate.thresholds) - 1)
    return replace(
        gate,
        of=(*gate.of[:place], *gate.of[place + 1 :]),
        thresholds=(*gate.thresholds[:dropped], *gate.thresholds[dropped + 1 :]),
    )
