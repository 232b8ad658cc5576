"""Ablation: the same comparison with one part of a reward left out at a time.

A part is an operand of a sum, wherever in the expression the sum stands, or a lower level of a gate; what is within a scale or a
clip is left out together with it if nothing of it remains. The task's own reward is never left out, because it says what the task
is. ``exploring`` without its count bonus is the strategy ``exploring-without-count_bonus``.
"""

from __future__ import annotations

from dataclasses import replace

from shapegym.experiments.sweeps.plan import Job, Plan, in_fair_order
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.files.reward_files import to_data
from shapegym.shaping.tree import part_names

WITHOUT = "-without-"
"""Between the name of a strategy and that of the part that is left out."""


def ablation(job: Job) -> tuple[Job, ...]:
    """Return the job with each part of its reward left out, as strategies ``STRATEGY-without-PART``; none for the task reward."""
    reward = job.config.expression()
    if reward is None:
        return ()
    left = [(part, rest) for part, rest in reward.leave_one_out() if rest is not None]
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
    reward = job.config.expression() or TaskReward()
    return replace(job, strategy="", config=replace(job.config, reward=to_data(reward))).digest + job.task
