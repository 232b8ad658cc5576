"""The package's names: all there, and cheap until used."""

import subprocess
import sys

import pytest

from shapegym import agents


def test_every_exported_name_exists_and_no_other():
    assert all(
        getattr(agents, name).__module__.startswith("shapegym.agents.")
        for name in agents.__all__
        if name != "ALGORITHMS"
    )
    assert set(agents.__all__) <= set(dir(agents))
    with pytest.raises(AttributeError, match="make_agents"):
        _ = agents.make_agents


def test_errors_and_metrics_come_without_torch():
    code = "import sys; from shapegym.agents import AgentError, JsonLines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
