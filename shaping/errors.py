"""What can go wrong with a reward, one type a cause; every message says what, where and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class ShapingError(Exception):
    """Base of every error that shapegym raises about rewards."""


class ExpressionError(ShapingError, ValueError):
    """An expression that cannot be built: a bad hyper-parameter, operand or name."""


class UnknownNameError(ShapingError, KeyError):
    """A node, function or part that is not registered."""

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


class FeatureError(ShapingError, KeyError):
    """A feature that a term reads and the environment does not provide."""

    __str__ = UnknownNameError.__str__


class ObservationError(ShapingError, TypeError):
    """An observation or action that a term cannot read: wrong structure, shape or dtype."""


class NonFiniteError(ShapingError, FloatingPointError):
    """A part that is NaN or infinite."""


class LearningError(NonFiniteError):
    """A model or term whose fit came to numbers that are not finite, or whose outputs are none."""


class WorldError(ShapingError, ValueError):
    """Lanes that share a world and do not fit together: they end at different steps, or are declared twice."""


class PluginError(ShapingError, ImportError):
    """A module of a user's own that cannot be imported, or is no module name."""


class DiscountError(ShapingError, ValueError):
    """A potential whose discount is not the agent's (or that has none)."""


class HindsightError(ShapingError, TypeError):
    """An episodic node on a surface that cannot rewrite the rewards of past steps."""


class WiringError(ShapingError, TypeError):
    """Shaping that would be dropped, paid twice or rescaled on its way to the learner."""


class StateFileError(ShapingError, ValueError):
    """A shaping-state file that is corrupt, or belongs to another expression or number of lanes."""


class AnnotationError(ShapingError, ValueError):
    """A question that cannot be asked, or a log of answers that is damaged or contradicts the run that replays it."""


class AskingError(ShapingError, ValueError):
    """A language model that cannot be asked as it was described, or a transcript that is damaged or of other requests."""


class UnansweredError(AskingError):
    """Whoever is asked does not answer, or may not be asked any more; what is there stays, and it can be asked again later."""


class BudgetError(UnansweredError):
    """What may be spent on whoever is asked is spent."""


class BaseDataError(ShapingError, ValueError):
    """Recorded transitions that are missing, damaged, of another environment, or unfit to learn from."""


class EncoderError(ShapingError, RuntimeError):
    """An encoder that cannot be used, or not on what it was given: weights or a library are missing, a picture of another size."""


class RewardFileError(ShapingError, ValueError):
    """A reward file that does not describe an expression; names the line and the key."""


class AuditError(ShapingError, ValueError):
    """An audit that is not defined on what it was given: tables that do not fit, or a value that is infinite."""


@contextmanager
def said_as(
    kind: type[Exception],
    causes: type[Exception] | tuple[type[Exception], ...],
    before: str,
    after: str = ".",
) -> Iterator[None]:
    """Turn what the block raises of ``causes`` into a ``kind`` that says ``before``, the reason, ``after``; a ``kind`` passes."""
    try:
        yield
    except kind:
        raise
    except causes as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise kind(f"{before}{reason}{after}") from error


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, followed by the known names."""
    names = sorted(known)
    by_lower_case = {
        known.rpartition(".")[2].lower(): known for known in names
    }  # of a dotted name the end will do
    by_lower_case |= {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), list(by_lower_case), n=1)
    hint = f" Did you mean {by_lower_case[near[0]]!r}?" if near else ""
    return f"{hint} Known: {', '.join(names) or 'none'}."
