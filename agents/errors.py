"""What can go wrong with agents, one type a cause; every message says what, where and what to do."""

from __future__ import annotations


class AgentError(Exception):
    """Base of every error that shapegym raises about agents."""


class BridgeError(AgentError, ValueError):
    """A vector environment that Stable-Baselines3 cannot use, or a call that makes no sense on one."""


class SettingsError(AgentError, ValueError):
    """Hyper-parameters that do not exist, or that do not fit the algorithm or the environment."""


class EvaluationError(AgentError, ValueError):
    """An evaluation that would not measure the task."""


class MetricsFileError(AgentError, ValueError):
    """A metrics file that belongs to another run or is damaged."""


class CheckpointError(AgentError, ValueError):
    """A checkpoint that is corrupt, foreign, or does not fit what it is loaded into."""


class TabulationError(AgentError, ValueError):
    """A task or a reward that has no exact table."""
