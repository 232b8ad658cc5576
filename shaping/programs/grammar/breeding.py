"""Programs from nothing, from one other, from two."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.grammar.genes import Form, Gene, Genome, genome_of
from shapegym.shaping.programs.grammar.idioms import random_gene
from shapegym.shaping.programs.grammar.quantities import Rng, pick, written
from shapegym.shaping.programs.grammar.separating import separated
from shapegym.shaping.programs.language.complaint import ProgramError
from shapegym.shaping.programs.program import read_program

MOST_GENES = 6
POTENTIALS = 0.3
"""How often a new program is a potential."""
BLAMED = 0.7
"""How often a part is changed that is blamed, where one is."""


def random_program(abstraction: Abstraction, rng: Rng, form: Form | None = None) -> str:
    """Return a program of one to four idioms over the features of an abstraction.

    Args:
        abstraction: what it may read.
        rng: of all choices.
        form: "reward" or "potential"; None draws it.
    """
    if form is None:
        form = "potential" if rng.random() < POTENTIALS else "reward"
    genes = [random_gene(abstraction, form, rng) for _ in range(int(rng.integers(1, 5)))]
    return Genome(form, ()).with_genes(genes).source


def mutate(source: str, abstraction: Abstraction, rng: Rng, blamed: Collection[str] = ()) -> str:
    """Return a changed program: other numbers, another feature of the same kind, another sign, a part more or less, one alone.

    Args:
        source: of the program.
        abstraction: what it may read.
        rng: of all choices.
        blamed: names of parts of which mostly one is changed, in a way that may cure it: paid less, taken back on the way back,
            another, none.

    Raises:
        ExpressionError: if the program cannot be told apart into parts (`genes_of`).
    """
    genome = genes_of(source)
    genes = list(genome.genes)
    faulty = [place for place, gene in enumerate(genes) if gene.name in blamed]
    cure = bool(faulty) and rng.random() < BLAMED
    place = pick(faulty, rng) if cure else int(rng.integers(len(genes)))
    new = random_gene(abstraction, genome.form, rng)
    match pick(_CURES if cure else _CHANGES, rng):
        case "add" if len(genes) < MOST_GENES:
            genes.append(new)
        case "drop" if len(genes) > 1:
            del genes[place]
        case "replace":
            genes[place] = new
        case "feature":
            genes[place] = _with_other_feature(genes[place], abstraction, rng)
        case "sign":
            genes[place] = _with_other_sign(genes[place])
        case "alone":
            genes = [pick([*genes, new], rng)]
        case "back" if _looks_ahead(genes[place]):
            genes[place] = _taken_back(genes[place])
        case "fainter":
            genes[place] = _fainter(genes[place])
        case _:
            genes[place] = _with_other_numbers(genes[place], rng)
    return genome.with_genes(genes).source


_CHANGES = ("numbers", "numbers", "add", "add", "add", "drop", "replace", "feature", "sign", "alone")
_CURES = ("numbers", "drop", "replace", "feature", "sign", "back", "fainter", "fainter")


def cross(one: str, other: str, rng: Rng) -> str:
    """Return a program of parts of two; of the first alone where they are not of one form.

    Raises:
        ExpressionError: as `mutate`.
    """
    first, second = genes_of(one), genes_of(other)
    if first.form != second.form:
        second = first
    pool = list(dict.fromkeys((*first.genes, *second.genes)))
    kept = [gene for gene in pool if rng.random() < 0.5] or [pick(pool, rng)]
    return first.with_genes(kept[:MOST_GENES]).source


def genes_of(source: str) -> Genome:
    """Return the parts of a program, whoever wrote it: as they stand where each has lines of its own, else spelled out.

    Raises:
        ExpressionError: if it cannot be read, or spelling it out makes it too long.
    """
    try:
        return genome_of(source)
    except ExpressionError:
        pass
    try:
        program = read_program(source)
    except ProgramError as error:
        raise ExpressionError(str(error)) from None
    return separated(program)


def _with_other_numbers(gene: Gene, rng: Rng) -> Gene:
    """Each of its numbers times a factor about 1; indices, codes and what a memory begins with stay."""

    class Jitter(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            if isinstance(node.value, float) and node.value not in (0.0, 1.0):
                return ast.Constant(float(written(node.value * math.exp(rng.normal(0.0, 0.5)))))
            return node

        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            return node

    return _changed(gene, Jitter())


def _with_other_feature(gene: Gene, abstraction: Abstraction, rng: Rng) -> Gene:
    """One of the features that it reads exchanged for another of its kind, wherever it stands; as it is if there is none."""
    read = {_feature_name(node) for node in gene.nodes}
    pairs = [
        (old.name, new.name)
        for old in abstraction.features
        for new in abstraction.features
        if old.name in read and new != old and _kind(new) == _kind(old)
    ]
    if not pairs:
        return gene
    old_name, new_name = pick(pairs, rng)

    class Exchange(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
            if _feature_name(node) != old_name:
                return node
            side = ast.unparse(node).partition(".")[0]
            return ast.parse(f"{side}.{new_name}", mode="eval").body

    return _changed(gene, Exchange())


def _with_other_sign(gene: Gene) -> Gene:
    *lines, last = gene.lines
    value = ast.parse(last.partition(" = ")[2], mode="eval").body
    negative = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub)
    other = value.operand if negative else ast.UnaryOp(ast.USub(), value)  # type: ignore[attr-defined]
    return Gene(gene.name, (*lines, f"{gene.name} = {ast.unparse(other)}"), gene.slots)


def _fainter(gene: Gene) -> Gene:
    """A fifth of it."""
    *lines, last = gene.lines
    value = ast.parse(last.partition(" = ")[2], mode="eval").body
    weight = 1.0
    if (
        isinstance(value, ast.BinOp)
        and isinstance(value.op, ast.Mult)
        and isinstance(value.left, ast.Constant)
    ):
        weight, value = float(value.left.value), value.right  # type: ignore[arg-type]
    fainter = ast.BinOp(ast.Constant(float(written(0.2 * weight))), ast.Mult(), value)
    return Gene(gene.name, (*lines, f"{gene.name} = {ast.unparse(fainter)}"), gene.slots)


def _looks_ahead(gene: Gene) -> bool:
    """Whether it is a value of the state after the step, and of nothing else."""
    sides = {node.id for node in gene.nodes if isinstance(node, ast.Name)} & {"before", "after", "action"}
    return len(gene.lines) == 1 and not gene.slots and sides == {"after"}


def _taken_back(gene: Gene) -> Gene:
    """Its value after the step less that before it, which no way round pays."""
    there = gene.lines[0].partition(" = ")[2]
    here = re.sub(r"\bafter\.", "before.", there)
    return Gene(gene.name, (ast.unparse(ast.parse(f"{gene.name} = ({there}) - ({here})")),), gene.slots)


def _changed(gene: Gene, how: ast.NodeTransformer) -> Gene:
    lines = tuple(ast.unparse(how.visit(ast.parse(line))) for line in gene.lines)
    return Gene(gene.name, lines, gene.slots)


def _feature_name(node: ast.AST) -> str:
    """The name of the feature that a node reads whole; empty if it is none."""
    if not isinstance(node, ast.Attribute):
        return ""
    side, _, name = ast.unparse(node).partition(".")
    return name if side in ("before", "after", "state") else ""


def _kind(feature: Feature) -> tuple[object, ...]:
    return (feature.length, feature.kind, feature.unit, bool(feature.codes))
