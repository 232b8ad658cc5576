"""A designer that needs no model: random programs, mutated and crossed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shapegym.experiments.design.proposer import Proposal
from shapegym.shaping.asking.chat import Reply
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.grammar import cross, mutate, random_program

CHANGES = 1.5
"""Of a program that is mended, on average."""


@dataclass(frozen=True)
class GrammarProposer:
    """Draws from the grammar by the seed of a request.

    It reads the features, the parents, and which of their parts are blamed, and no word of what is said: neither evidence nor
    findings. So a loop that asks it is evolution by selection, and what a model does better than this, it owes to what it reads.

    Attributes:
        abstraction: what programs may read.
    """

    abstraction: Abstraction

    described: ClassVar[Mapping[str, Any]] = {"grammar": 1}

    def ask(self, request: Proposal) -> Reply:
        """Return a program as a block of code; see `Chat`."""
        rng = np.random.default_rng(request.seed)
        try:
            return Reply(f"```python\n{self._program(request, rng)}```\n")
        except ExpressionError as error:  # another's program, which cannot be told apart into parts
            return Reply("", refused=str(error))

    def _program(self, request: Proposal, rng: np.random.Generator) -> str:
        match request.kind, request.parents:
            case "cross", (first, second, *_):
                return cross(first, second, rng)
            case "improve", (parent, *_):
                return mutate(parent, self.abstraction, rng)
            case "repair", (parent, *_):
                for _ in range(
                    rng.geometric(1 / CHANGES)
                ):  # seldom many: where one change makes nothing better
                    parent = mutate(parent, self.abstraction, rng, request.blamed)
                return parent
        return random_program(self.abstraction, rng)
