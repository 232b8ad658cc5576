"""What torch models remember, and the few pieces that most are made of.

def init(self, spec):
return Networks({"trained": lambda: perceptron(4, 64, 8)}, self, spec, learning_rate=1e-3)

def evaluate(self, transitions, memory):
return {"code": memory.evaluate("trained", read_rows(("obs",), transitions.next_obs, transitions.next_features))}

def fit(self, experience, memory):
rows = experience.rows()
x = as_tensor(read_rows(("obs",), rows.next_obs, rows.next_features))
for chosen in memory.minibatches(len(x), 256, epochs=4):
memory.descend(memory["trained"](x[chosen]).square().mean())
return {}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from shapegym.shaping.arrays import flatten, nest, tree_map
from shapegym.shaping.kernels.distinct import find_distinct
from shapegym.shaping.remembered import misfits
from shapegym.shaping.states.select import selector
from shapegym.shaping.transitions import Features, Observation, Spec, State
from shapegym.shaping.types import Model
from shapegym.shaping.written import in_full

LARGEST_BATCH = 8192
"""Rows that go through a network at once when it is evaluated: more are no faster, and need memory."""

SMALLEST_TO_SORT = 2048
"""Rows of a batch from which on it is asked which of them are equal."""


class Networks:
    """Modules, their Adam, a random stream and plain numbers: the memory of a model.

    Equal models with equal seeds begin with equal parameters, whatever else draws random numbers, and the global streams of torch
    are left as they are.

    Args:
        modules: what makes each module, by name.
        model: whose memory it is.
        spec: what it is bound to.
        learning_rate: of Adam, over the parameters of all modules but the ``fixed`` ones; None if nothing is trained.
        fixed: names of modules that stay as they are.
        numbers: plain values (`State`) that are saved with the parameters; ``memory.numbers``. Their limits stand in the model's
            ``remembers``, as ``"numbers/count"``.
        key: what the parameters depend on beside the seed; the model's fields by default.
        check: raises a ValueError for numbers that are within their limits and yet cannot be.
    """

    def __init__(
        self,
        modules: Mapping[str, Callable[[], nn.Module]],
        model: Model,
        spec: Spec,
        *,
        learning_rate: float | None = None,
        fixed: tuple[str, ...] = (),
        numbers: State | None = None,
        key: str = "",
        check: Callable[[State], None] = lambda numbers: None,
    ) -> None:
        seeds = np.random.SeedSequence([spec.seed, crc32((key or in_full(model)).encode())]).generate_state(2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            self.modules = nn.ModuleDict({name: make() for name, make in modules.items()})
        for name in fixed:
            self.modules[name].requires_grad_(False)
        trained = [parameter for parameter in self.modules.parameters() if parameter.requires_grad]
        self.optimiser = None if learning_rate is None else torch.optim.Adam(trained, lr=learning_rate)
        self.generator = torch.Generator().manual_seed(int(seeds[1]))
        self.numbers: State = numbers or {}
        self._check = check
        self._remembers: Any = {
            path.removeprefix("numbers/"): limits for path, limits in model.remembers.items()
        }

    def __getitem__(self, name: str) -> nn.Module:
        return self.modules[name]

    @torch.no_grad()
    def evaluate(self, name: str, *rows: np.ndarray) -> np.ndarray:
        """Return what a module makes of ``rows``, of one argument (M, ...) or several, as float32 (M, ...).

        Of rows of a single argument that are equal, one goes through the module.
        """
        distinct, places = distinct_rows(rows[0]) if len(rows) == 1 else (None, None)
        arguments = rows if distinct is None else (distinct,)
        chunks = zip(*(torch.split(as_tensor(each), LARGEST_BATCH) for each in arguments), strict=True)
        parts = [self.modules[name](*chunk) for chunk in chunks]
        values: np.ndarray = (parts[0] if len(parts) == 1 else torch.cat(parts)).numpy()
        return values if places is None else values[places]

    def minibatches(self, rows: int, size: int, *, epochs: int = 1, share: float = 1.0) -> Iterator[Tensor]:
        """Yield the numbers of ``rows`` rows in random order, about ``size`` at a time, ``epochs`` times over.

        With a ``share`` of a random part of them only, at least one.
        """
        shown = max(1, round(share * rows))
        drawn = None if shown == rows else torch.randperm(rows, generator=self.generator)[:shown]
        for _ in range(epochs):
            order = torch.randperm(shown, generator=self.generator)
            yield from (order if drawn is None else drawn[order]).tensor_split(-(-shown // size))

    def descend(self, loss: Tensor, *, longest: float | None = None) -> None:
        """Make one step of the optimiser on the gradient of ``loss``, of a norm of at most ``longest``."""
        if self.optimiser is None:
            raise TypeError(
                "These networks were made without a learning_rate, so nothing of them is trained."
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if longest is not None:
            nn.utils.clip_grad_norm_(self.modules.parameters(), longest)
        self.optimiser.step()

    def state_dict(self) -> State:
        """Return parameters, the optimiser's moments, the stream and the numbers, as copies."""
        moments = {} if self.optimiser is None else self.optimiser.state_dict()["state"]
        tensors = {
            "modules": nest(
                {tuple(path.split(".")): value for path, value in self.modules.state_dict().items()}
            ),
            "moments": {str(index): dict(entries) for index, entries in moments.items()},
            "stream": self.generator.get_state(),
        }
        arrays: State = tree_map(lambda tensor: tensor.numpy(force=True).copy(), tensors)
        return {
            **arrays,
            "numbers": tree_map(
                lambda value: np.copy(value) if isinstance(value, np.ndarray) else value, self.numbers
            ),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`.

        Raises:
            RuntimeError, ValueError, KeyError: if it is of another form.
        """
        tensors = tree_map(
            lambda array: torch.from_numpy(np.array(array)),
            {k: state[k] for k in ("modules", "moments", "stream")},
        )
        self.modules.load_state_dict(
            {".".join(path): value for path, value in flatten(tensors["modules"]).items()}
        )
        if self.optimiser is not None:
            self._check_moments(tensors["moments"])
            moments = {int(index): entries for index, entries in tensors["moments"].items()}
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        self.generator.set_state(tensors["stream"])
        for misfit in misfits(state["numbers"], self.numbers, self._remembers, "numbers/"):
            raise ValueError(f"it {misfit}")
        self._check(state["numbers"])
        self.numbers = deepcopy(state["numbers"])

    def _check_moments(self, moments: State) -> None:
        """Raise a ValueError if they are not those of Adam on these parameters; torch does not ask."""
        trained = self.optimiser.param_groups[0]["params"] if self.optimiser is not None else []
        for index, parameter in enumerate(trained) if moments else ():
            shapes = {name: [*entry.shape] for name, entry in moments.get(str(index), {}).items()}
            if shapes != {"step": [], "exp_avg": [*parameter.shape], "exp_avg_sq": [*parameter.shape]}:
                raise ValueError(f"Adam's moments of parameter {index} have the shapes {shapes}")
        if len(moments) > len(trained):
            raise ValueError(f"it has Adam's moments of {len(moments)} parameters, not {len(trained)}")


def perceptron(width: int, hidden: int, outputs: int, *, layers: int = 2) -> nn.Sequential:
    """Return ``layers`` hidden layers of ``hidden`` LeakyReLU units (He et al. 2015) and a linear one."""
    widths = [width, *[hidden] * layers]
    stack: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.kaiming_uniform_(linear.weight, a=0.01)
        nn.init.zeros_(linear.bias)
        stack += [linear, nn.LeakyReLU()]
    return nn.Sequential(*stack, nn.Linear(widths[-1], outputs))


class Perceptrons(nn.Module):
    """Several networks in one, each with a hidden layer of LeakyReLU units.

    Args:
        members: K.
        width: n, of what they read.
        hidden: units.
        outputs: d.
    """

    def __init__(self, members: int, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.members = members
        self.layers = nn.Sequential(
            _Linears(members, width, hidden), nn.LeakyReLU(), _Linears(members, hidden, outputs)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return (B, K, d) of rows that all read, (B, n), or of each one's own, (B, K, n)."""
        own = rows.transpose(0, 1) if rows.ndim == 3 else rows.expand(self.members, *rows.shape)
        said: Tensor = self.layers(own)
        return said.transpose(0, 1)


class _Linears(nn.Module):
    """Linear layers side by side, (K, B, n) to (K, B, d), each initialised as one by itself."""

    def __init__(self, members: int, width: int, outputs: int) -> None:
        super().__init__()
        single = [nn.Linear(width, outputs) for _ in range(members)]
        self.weight = nn.Parameter(torch.stack([linear.weight.detach().T for linear in single]))
        self.bias = nn.Parameter(torch.stack([linear.bias.detach()[None] for linear in single]))

    def forward(self, rows: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, rows, self.weight)


def distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows that differ, and which of them each row of ``rows`` (M, ...) is, (M,); or all rows and None.

    In grids, and wherever an agent comes back to where it was, a rollout shows the same few states again and again. Where hardly
    any row comes again, telling them apart is not worth it.
    """
    count = len(rows)
    if count < SMALLEST_TO_SORT or rows.dtype != np.float32 or rows.ndim != 2:
        return rows, None
    first, places = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    table = np.full(1 << (2 * count - 1).bit_length(), -1)
    found = find_distinct(np.ascontiguousarray(rows).view(np.uint32), table, first, places)
    return (rows, None) if found < 0 else (rows[first[:found]], places)


def read_rows(keys: tuple[str, ...], obs: Observation, features: Features) -> np.ndarray:
    """Return what selectors read of B states, side by side, (B, n) float32."""
    columns = [selector(key).read(obs, features) for key in keys]
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe")


def as_tensor(rows: np.ndarray) -> Tensor:
    """Return rows as a float32 tensor, without a copy where they are that already."""
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
