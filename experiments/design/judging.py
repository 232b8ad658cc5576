"""The critic of a task: a program is judged by its code, and by what it pays for steps of the task. It is not compiled yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shapegym.agents.programs.evidence import evidence_for
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.critic.criticise import Criticism, criticise
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.programs.program import read_program


@dataclass
class TaskCritic:
    """Says what is wrong with programs for one environment; see `shapegym.experiments.design.designer.Critic`.

    Attributes:
        env: id of the environment.
        env_kwargs: its arguments.
        abstraction: what programs may see.
    """

    env: str
    env_kwargs: Mapping[str, Any]
    abstraction: Abstraction
    _known: dict[str, Criticism] = field(default_factory=dict)

    @cached_property
    def evidence(self) -> Evidence:
        """What happened in the task: recorded, planned and made up, the same on every machine."""
        return evidence_for(self.env, self.abstraction, 0, env_kwargs=self.env_kwargs)

    def criticise(self, source: str) -> Criticism:
        """Return what is wrong with a program that can be read, and how far it leads."""
        if source not in self._known:
            program = read_program(source, self.abstraction)
            self._known[source] = criticise(program, self.abstraction, self.evidence)
        return self._known[source]
