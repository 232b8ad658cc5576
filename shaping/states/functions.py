"""State functions: numbers that describe one state, Phi(s). Terms use them before and after a step.

A state function is data (a frozen dataclass) like everything in an expression. Write your own with `state_function`:

    @state_function
    def height(obs, features):          # arrays with a leading lane axis -> (B,)
        return np.sin(3 * obs[:, 0])

    TaskReward() + Potential(height, gamma=0.99)

It is referred to by its registered name, so an expression with it prints, pickles and loads from YAML (``phi: height``). State
functions add, multiply and so on: see `shapegym.shaping.states.arithmetic`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.discovery import HOW_TO_IMPORT, load_plugins
from shapegym.shaping.errors import ExpressionError, ObservationError, ShapingError, UnknownNameError, suggest
from shapegym.shaping.limits import Via
from shapegym.shaping.reading import ITSELF, WHOLE, Reading, Reads
from shapegym.shaping.states.select import ANY, Selector, SelectsOne, is_selector, meant, selector
from shapegym.shaping.states.travelling import Luggage, packed, unpacked
from shapegym.shaping.transitions import Features, Observation
from shapegym.shaping.types import register

STATE_FUNCTIONS: dict[str, type[StateFunction]] = {}
"""State-function classes by registered name, as reward files spell them."""

_CALLABLES: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
"""Registered functions and the features they read, by name."""


@dataclass(frozen=True)
class StateFunction(Reading, ABC):
    """Phi: maps the observation and features of a state to one number a lane."""

    in_words: ClassVar[str] = "a state function such as Distance(...)"
    bound: ClassVar[float | property | None] = None
    """The largest absolute value of Phi in any state, or None if there is no limit."""
    items: ClassVar[tuple[str, ...] | property] = ()
    """Names of what Phi is made of, logged beside it by `Potential`; see `itemise`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "abstract" not in cls.__dict__:
            register(STATE_FUNCTIONS, cls)

    @abstractmethod
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        """Return Phi, (B,) float64."""

    def itemise(self, obs: Observation, features: Features) -> np.ndarray:
        """Return what `value` does and, behind it, what `items` names, (1 + k, B) float64. Called in the place of `value`."""
        raise NotImplementedError(f"{type(self).__name__} has items, so it must define itemise.")

    # `shapegym.shaping.states.arithmetic` sets these: it builds state functions, so it imports this module.
    _plus: ClassVar[Callable[..., StateFunction]]
    _times: ClassVar[Callable[..., StateFunction]]
    _power: ClassVar[Callable[..., StateFunction]]
    _absolute: ClassVar[Callable[..., StateFunction]]
    _clipped: ClassVar[Callable[..., StateFunction]]

    def __add__(self, other: StateFunction | float | str) -> StateFunction:
        return StateFunction._plus(self, other)

    def __radd__(self, other: float | str) -> StateFunction:
        return StateFunction._plus(other, self)

    def __sub__(self, other: StateFunction | float | str) -> StateFunction:
        return StateFunction._plus(self, _negative(other))

    def __rsub__(self, other: float | str) -> StateFunction:
        return StateFunction._plus(other, -self)

    def __mul__(self, other: StateFunction | float | str) -> StateFunction:
        return StateFunction._times(self, other)

    def __rmul__(self, other: float | str) -> StateFunction:
        return StateFunction._times(other, self)

    def __truediv__(self, other: StateFunction | float | str) -> StateFunction:
        return StateFunction._times(self, _inverse(other))

    def __rtruediv__(self, other: float | str) -> StateFunction:
        return StateFunction._times(other, StateFunction._power(self, -1.0))

    def __pow__(self, exponent: float) -> StateFunction:
        return StateFunction._power(self, exponent)

    def __neg__(self) -> StateFunction:
        return StateFunction._times(-1.0, self)

    def __abs__(self) -> StateFunction:
        return StateFunction._absolute(self)

    def clip(self, low: float, high: float) -> StateFunction:
        """Return it limited to [low, high]."""
        return StateFunction._clipped(self, low, high)


def _negative(operand: Any) -> Any:
    return -operand if isinstance(operand, (int, float)) else StateFunction._times(-1.0, operand)


def _inverse(operand: Any) -> Any:
    if isinstance(operand, (int, float)):
        if operand == 0:
            raise ExpressionError("A state function cannot be divided by 0.")
        return 1.0 / operand
    return StateFunction._power(operand, -1.0)


@dataclass(frozen=True)
class Read(StateFunction):
    """One number that is there already: ``Read("features.progress")``, ``Read("obs[3]")``. A bare selector text means this."""

    of: SelectsOne = "obs"

    _selector: ClassVar[Selector]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_selector", selector(self.of))

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        return self._selector.read_one(obs, features)


@dataclass(frozen=True)
class Table(StateFunction):
    """A value for every discrete state: ``values[of]``, with ``of`` selecting one integer (a Discrete observation)."""

    values: Annotated[tuple[float, ...], MinLen(1)]
    of: SelectsOne = "obs"

    bound = property(lambda self: max(map(abs, self.values)))
    _array: ClassVar[np.ndarray]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_array", np.array(self.values, dtype=np.float64))

    def value(self, obs: Observation, features: Features) -> np.ndarray:
        """Return Phi; raises `ObservationError` for a state outside the table."""
        states = selector(self.of).read_one(obs, features)
        with np.errstate(invalid="ignore"):  # a NaN is reported below
            index = states.astype(np.int64)
        outside = (index != states) | (index < 0) | (index >= len(self.values))
        if outside.any():
            raise ObservationError(
                f"State {states[outside][0]:g} is outside a Table of {len(self.values)} values, for the states 0 to "
                f"{len(self.values) - 1}."
            )
        return self._array[index]


def _require_registered(name: str) -> None:
    if name not in _CALLABLES:
        load_plugins()
    if name not in _CALLABLES:
        raise UnknownNameError(
            f"No state function is registered as {name!r}; import the module that defines it."
            f"{suggest(name, _CALLABLES)} {HOW_TO_IMPORT}"
        )


RegisteredName: TypeAlias = Annotated[
    str, Via(_require_registered, keep=False), "the name of a registered function"
]


@dataclass(frozen=True)
class Call(StateFunction):
    """A registered Python function ``(obs, features) -> (B,)``; see `state_function`."""

    function: RegisteredName

    @property
    def module(self) -> str:
        """Name of the module that defines the function."""
        return _CALLABLES[self.function][0].__module__

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return _CALLABLES[self.function][1]

    @property
    @override
    def entries(self) -> tuple[str, ...]:
        return (WHOLE,)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.function, packed(_CALLABLES[self.function][0]), self.reads)

    def __deepcopy__(self, memo: Any) -> Call:
        return self

    def value(self, obs: Observation, features: Features) -> np.ndarray:
        """Return Phi; raises `ObservationError` unless the function returns one number a lane."""
        value = np.asarray(_CALLABLES[self.function][0](obs, features), dtype=np.float64)
        lanes = (_num_lanes(obs),)
        if value.shape != lanes:
            raise ObservationError(
                f"State function {self.function!r} returned shape {value.shape}; it must be one number a lane, shape {lanes}."
            )
        return value


def _arrived(name: str, luggage: Luggage, reads: tuple[str, ...]) -> Call:
    """Return a call whose pickle arrived in this process, with its function registered."""
    if name not in _CALLABLES and (function := unpacked(luggage, name)) is not None:
        _CALLABLES[name] = (function, reads)
    return Call(name)


def state_function(
    function: Callable[[Observation, Features], Any] | None = None, *, reads: tuple[str, ...] = ()
) -> Any:
    """Register ``(obs, features) -> (B,)`` under its name and return it as a state function (a decorator).

    Args:
        function: gets the batch's observation (an array, or the dict of a Dict space) and features.
        reads: names of the features that it reads.

    Raises:
        ExpressionError: if another function has the name, or it is no function that was written with def.
    """

    def enter(function: Callable[[Observation, Features], Any]) -> Call:
        if not hasattr(function, "__code__"):
            raise ExpressionError(f"A state function is written with def and has a name, got {function!r}.")
        name = function.__name__
        known, _ = _CALLABLES.get(name, (function, ()))
        if name in STATE_FUNCTIONS or _definition(known) != _definition(function):
            where = STATE_FUNCTIONS.get(name, known)
            raise ExpressionError(
                f"A state function called {name!r} is registered already, in {where.__module__}; rename yours, in "
                f"{function.__module__}."
            )
        _CALLABLES[name] = (function, tuple(reads))
        return Call(name)

    return enter if function is None else enter(function)


def _definition(function: Callable[..., Any]) -> tuple[Any, ...]:
    """What makes two functions one: a module that is executed again defines the same ones.

    The bytecode alone would not do, because it refers to constants and names by position.
    """
    code = function.__code__
    captured = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    captured += getattr(function, "__defaults__", None) or ()
    plain = [value if isinstance(value, (int, float, str)) else id(value) for value in captured]
    return code.co_code, code.co_consts, code.co_names, plain


def as_state_function(phi: StateFunction | str) -> StateFunction:
    """Return ``phi``, or what a text refers to: a registered function, or a selector of one number.

    Raises:
        ShapingError: if it is neither.
    """
    if isinstance(phi, StateFunction):
        return phi
    if isinstance(phi, str):
        return Call(phi) if phi in _CALLABLES else _read_or_explain(phi)
    raise ExpressionError(
        f"A state function is a StateFunction (Distance, Table, ...) or the name of a registered one, got {phi!r}. "
        "Decorate your own function with @state_function."
    )


Phi: TypeAlias = Annotated[
    StateFunction | str,
    Reads(
        as_state_function,
        features=lambda phi: as_state_function(phi).reads,
        of_step=lambda phi: as_state_function(phi).of_step,
        entries=lambda phi: as_state_function(phi).entries,
        check=lambda phi, spec: as_state_function(phi).check(spec),
    ),
    "a state function such as Distance(...) or the name of one (decorate your own with @state_function)",
]
"""A field that holds a state function, which a name or a selector may stand for; read it with `as_state_function`."""


def _as_rows(source: StateFunction | str) -> StateFunction | str:
    if isinstance(source, StateFunction) or source in _CALLABLES:
        return as_state_function(source)
    ANY.read(source)
    return source


def _mark(source: StateFunction | str) -> Reads:
    return ANY if isinstance(source, str) else ITSELF


Rows: TypeAlias = Annotated[
    StateFunction | str,
    Reads(
        _as_rows,
        features=lambda source: _mark(source).features(source),
        of_step=lambda source: _mark(source).of_step(source),
        entries=lambda source: _mark(source).entries(source),
        check=lambda source, spec: _mark(source).check(source, spec),
    ),
    "a selector such as 'obs[0]' or a state function",
]
"""A field that holds what is read as a row of numbers: a selector of any width, or a state function; read it with `rows_of`."""


def rows_of(source: StateFunction | str, obs: Observation, features: Features) -> np.ndarray:
    """Return what a field `Rows` reads of B states, (B, n)."""
    if isinstance(source, str):
        return selector(source).read(obs, features)
    return source.value(obs, features)[:, None]


def _read_or_explain(text: str) -> StateFunction:
    if is_selector(text):
        return Read(text)
    hint = meant(text)
    if hint and not text.isidentifier():  # no name of a function
        raise UnknownNameError(f"{text!r} is neither a selector nor the name of a state function.{hint}")
    try:
        return Call(text)
    except ShapingError as error:
        raise UnknownNameError(f"{error} A selector such as 'features.progress' works too.{hint}") from None


def _num_lanes(obs: Observation) -> int:
    while not isinstance(obs, np.ndarray):  # Dict and Tuple spaces
        obs = next(iter(obs.values() if isinstance(obs, Mapping) else obs))
    return len(obs)
