"""Fixed magnitudes: of each part only the sign counts.

Source: Li et al. (2023), Auto MC-Reward, arXiv 2312.09238: R = sgn(r_sparse) * 1 + sgn(r_dense) * 0.1.
"""

from __future__ import annotations

import ast

from shapegym.shaping.programs.language.complaint import Complaint, ProgramError

MAGNITUDES = {"sparse": 1.0, "dense": 0.1}


def with_fixed_magnitudes(source: str) -> str:
    """Return a program whose parts are the signs of another's ``sparse`` and ``dense``, times `MAGNITUDES`.

    Raises:
        ProgramError: if it has other parts, or does not return them as a dictionary.
    """
    module = ast.parse(source)
    for end in (node for node in ast.walk(module) if isinstance(node, ast.Return)):
        end.value = _signs(end)
    return ast.unparse(ast.fix_missing_locations(module)) + "\n"


def _signs(end: ast.Return) -> ast.expr:
    parts: dict[str, ast.expr] = {}
    if (
        isinstance(end.value, ast.Tuple)
        and len(end.value.elts) == 2
        and isinstance(end.value.elts[1], ast.Dict)
    ):
        written = end.value.elts[1]
        parts = {
            str(getattr(key, "value", None)): value
            for key, value in zip(written.keys, written.values, strict=True)
        }
    if not parts or parts.keys() - MAGNITUDES.keys():
        said = 'Return `sparse + dense, {"sparse": sparse, "dense": dense}`: exactly these two parts count.'
        raise ProgramError([Complaint(end.lineno, end.col_offset + 1, "parts", said)])
    signs = {name: f"{MAGNITUDES[name]} * sign({ast.unparse(value)})" for name, value in parts.items()}
    total = " + ".join(signs.values())
    return ast.parse(
        f"{total}, {{{', '.join(f'{name!r}: {value}' for name, value in signs.items())}}}", mode="eval"
    ).body
