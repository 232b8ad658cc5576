"""A design that a test kills: an endpoint, a folder; outcomes are made up."""

from __future__ import annotations

import sys
from pathlib import Path

from pretend_design import Pretending, designer_for

from shapegym.experiments.design.loop import run_design
from shapegym.shaping.asking.endpoint import Endpoint

if __name__ == "__main__":
    url, folder = sys.argv[1], Path(sys.argv[2])
    run_design(folder, designer_for(folder, Endpoint("m", url), rounds=3, candidates=3), Pretending())
