"""How the programs of the recorded designs fared before and in training: ``python experiments/results/design/counts.py``."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from shapegym.shaping.programs.grammar.breeding import genes_of


def shapes(source: str) -> set[str]:
    """Return what the parts of a program compute, but for numbers and signs."""
    values = (gene.lines[-1].partition(" = ")[2] for gene in genes_of(source).genes)
    numberless = (re.sub(r"\d+\.?\d*(e-?\d+)?", "#", value) for value in values)
    return {re.sub(r"[-()\s]|#\*", "", value) for value in numberless}


def severities(attempt: dict[str, Any]) -> set[str]:
    """Return those of what the critic found."""
    return {finding["severity"] for finding in attempt["findings"]} - {"note"}


def counted(design: Path) -> Counter[str]:
    """Return counts of a design's programs; finalists, which are trained again, are left out."""
    counts: Counter[str] = Counter()
    for path in sorted(design.glob("candidates/*/*")):
        found = json.loads((path / "findings.json").read_text())
        if found["ask"]["kind"] == "again":
            continue
        first, source = found["attempts"][0], (path / "program.py").read_text()
        last = next((each for each in found["attempts"] if each["source"] == source), None)
        outcome = json.loads((path / "outcome.json").read_text())["outcome"]
        counts["programs"] += 1
        for when, attempt in (("first", first if first["source"] else None), ("last", last)):
            counts[f"read {when}"] += attempt is not None
            counts[f"without blame {when}"] += attempt is not None and not severities(attempt)
            counts[f"with an error {when}"] += attempt is not None and "error" in severities(attempt)
        counts["keep a part"] += bool(first["source"] and last and shapes(first["source"]) & shapes(source))
        counts["trained"] += outcome is not None and not found["same_as"]
        counts["at 0.8 or more"] += (
            outcome is not None and not found["same_as"] and outcome["success"][0] >= 0.8
        )
    return counts


if __name__ == "__main__":
    for folder in sorted(path.parent for path in Path(__file__).parent.glob("*/design.json")):
        print(folder.name, ", ".join(f"{what} {count}" for what, count in counted(folder).items()))
