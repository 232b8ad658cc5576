"""A program as a list of genes: each makes one part, from lines of its own, so that parts can be left out, changed and mixed.

    def compute_reward(before, after, action):
        nearer = 0.2 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
        key = 0.5 * (1.0 if after.has_key and not before.has_key else 0.0)
        return nearer + key, {"nearer": nearer, "key": key}

Any program can be read so that consists of assignments, adds its parts up, and has lines of its own for each, the part's own
line last. What the grammar writes always can.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from shapegym.shaping.errors import ExpressionError

Form: TypeAlias = Literal["reward", "potential"]

_HEADS: dict[Form, tuple[str, str]] = {
    "reward": ("compute_reward", "before, after, action"),
    "potential": ("potential", "state"),
}


@dataclass(frozen=True)
class Gene:
    """What makes one part.

    Attributes:
        name: of the part.
        lines: assignments, the last one to that name; they read no local name of another gene.
        slots: the memory that they use, name and initial value.
    """

    name: str
    lines: tuple[str, ...]
    slots: tuple[tuple[str, float], ...] = ()

    @property
    def names(self) -> set[str]:
        """Every name that no other gene may have."""
        assigned = {
            node.id for node in self.nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        return assigned | {slot for slot, _ in self.slots}

    @property
    def nodes(self) -> list[ast.AST]:
        """Everything in its lines."""
        return [node for line in self.lines for node in ast.walk(ast.parse(line))]

    def renamed(self, names: Mapping[str, str]) -> Gene:
        """Return it with other names for its part, its local names and its slots."""
        return Gene(
            names.get(self.name, self.name),
            tuple(ast.unparse(_Renaming(names).visit(ast.parse(line))) for line in self.lines),
            tuple((names.get(slot, slot), value) for slot, value in self.slots),
        )


class _Renaming(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name):
            slot = node.value.id == "memory"
            return ast.Attribute(
                node.value, self._names.get(node.attr, node.attr) if slot else node.attr, node.ctx
            )
        return self.generic_visit(node)


@dataclass(frozen=True)
class Genome:
    """A program; ``source`` writes it."""

    form: Form
    genes: tuple[Gene, ...]

    @property
    def source(self) -> str:
        """The program's text."""
        slots = [f'"{name}": {_written(value)}' for gene in self.genes for name, value in gene.slots]
        memory = f"MEMORY = {{{', '.join(slots)}}}\n\n\n" if slots else ""
        function, arguments = _HEADS[self.form]
        total = " + ".join(gene.name for gene in self.genes)
        parts = ", ".join(f'"{gene.name}": {gene.name}' for gene in self.genes)
        lines = [*(line for gene in self.genes for line in gene.lines), f"return {total}, {{{parts}}}"]
        head = f"{memory}def {function}({arguments}{', memory' if slots else ''}):\n"
        return head + "".join(f"    {line}\n" for line in lines)

    def with_genes(self, genes: Iterable[Gene]) -> Genome:
        """Return it with other genes, under other names where two would share one."""
        taken: set[str] = set()
        kept = []
        for gene in genes:
            fitted = gene.renamed({name: _free(name, taken) for name in sorted(gene.names & taken)})
            taken |= fitted.names
            kept.append(fitted)
        return replace(self, genes=tuple(kept))


def genome_of(source: str) -> Genome:
    """Return the genes of a program.

    Raises:
        ExpressionError: if it cannot be told apart into parts.
    """
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"This is no program: {error}.") from None
    forms = {name: form for form, (name, _) in _HEADS.items()}
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name in forms]
    if len(functions) != 1:
        raise ExpressionError("A program has one function, compute_reward or potential.")
    *body, last = [line for line in functions[0].body if not isinstance(line, ast.Expr)] or [ast.Pass()]
    names, slots = _parts(last), _memory(module)
    genes: list[Gene] = []
    lines: list[str] = []
    for line in body:
        if not isinstance(line, ast.Assign) or len(line.targets) != 1:
            raise ExpressionError(f"Line {line.lineno} is no plain assignment, so it belongs to no part.")
        lines.append(ast.unparse(line))
        if isinstance(line.targets[0], ast.Name) and line.targets[0].id in names:
            genes.append(_gene(line.targets[0].id, lines, slots))
            lines = []
    if lines or len(genes) != len(names) or {gene.name for gene in genes} != names:
        raise ExpressionError("Each part needs lines of its own, and one that assigns it.")
    _require_apart(genes)
    return Genome(forms[functions[0].name], tuple(genes))


def _gene(name: str, lines: list[str], slots: Mapping[str, float]) -> Gene:
    gene = Gene(name, tuple(lines))
    used = {
        node.attr
        for node in gene.nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "memory"
    }
    if unknown := used - slots.keys():
        raise ExpressionError(f"The memory slot {min(unknown)} has no initial value.")
    return replace(gene, slots=tuple((slot, slots[slot]) for slot in sorted(used)))


def _require_apart(genes: list[Gene]) -> None:
    """No gene reads or remembers what is another's."""
    for gene in genes:
        others = {name for other in genes if other is not gene for name in other.names}
        read = {node.id for node in gene.nodes if isinstance(node, ast.Name)} | {
            slot for slot, _ in gene.slots
        }
        if shared := others & read:
            raise ExpressionError(f"The part {gene.name} shares {min(shared)} with another one.")


def _parts(last: ast.stmt) -> set[str]:
    """The names of the parts, where each is the local name that it is called by, and the total is their sum."""
    if isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple) and len(last.value.elts) == 2:
        total, parts = last.value.elts
        if isinstance(parts, ast.Dict) and parts.keys:
            names = [getattr(value, "id", None) for value in parts.values]
            keys = [getattr(key, "value", None) for key in parts.keys]
            if names == keys and _addends(total) == sorted(map(str, names)):
                return {str(name) for name in names}
    raise ExpressionError("The last line returns the sum of the parts and a dictionary of them.")


def _addends(total: ast.expr) -> list[str] | None:
    if isinstance(total, ast.Name):
        return [total.id]
    if isinstance(total, ast.BinOp) and isinstance(total.op, ast.Add):
        left, right = _addends(total.left), _addends(total.right)
        return None if left is None or right is None else sorted(left + right)
    return None


def _memory(module: ast.Module) -> dict[str, float]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MEMORY":
            try:
                return {str(name): float(value) for name, value in ast.literal_eval(node.value).items()}
            except (ValueError, TypeError, AttributeError):
                raise ExpressionError("MEMORY is a dictionary of numbers.") from None
    return {}


def _written(value: float) -> str:
    """A number as source, infinities too."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _free(name: str, taken: set[str]) -> str:
    stem = name.rstrip("0123456789").rstrip("_") or name
    return next(each for number in range(2, len(taken) + 3) if (each := f"{stem}_{number}") not in taken)
