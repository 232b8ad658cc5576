"""Every reader of files, against files that strangers changed: ``python -m fuzzing --cases 10000`` (in this folder's parent).

Prints what must not happen (code that ran, paths out of the folder, crashes, hangs, untyped errors, memory, raw text), each with
the number that makes it again, and ends with code 1 if there was any. A case is the same whatever the number of cases.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

from fuzzing.cases import pool, share
from fuzzing.trial import GOOD, Outcome

_SHARE = 100  # cases after which findings are told


def main() -> int:
    """Run the cases and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--only", default="", help="name of a reader")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    began = time.monotonic()
    outcomes: list[Outcome] = []
    numbers = range(asked.seed, asked.seed + asked.cases)
    shares = [numbers[start : start + _SHARE] for start in range(0, asked.cases, _SHARE)]
    with pool(asked.workers) as executor:
        for part in executor.map(share, shares, [asked.only] * len(shares)):
            outcomes += part
            for outcome in part:
                if outcome.kind not in GOOD:
                    print(
                        f"\n{outcome.kind}: {outcome.reader}, seed {outcome.seed}: {outcome.done!r}\n  {outcome.detail!r}",
                        flush=True,
                    )
    counts = Counter((outcome.reader, outcome.kind) for outcome in outcomes)
    print()
    for (reader, kind), count in sorted(counts.items()):
        print(f"{reader:15} {kind:14} {count:6}")
    print(
        f"{len(outcomes)} cases in {time.monotonic() - began:.0f} s; longest computed {max(o.seconds for o in outcomes):.1f} s; "
        f"peak {max(o.peak for o in outcomes) / 2**20:.0f} MiB"
    )
    return int(any(outcome.kind not in GOOD for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
