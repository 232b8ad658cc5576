"""Stable-Baselines3 agents that train on the shaped reward and are judged by the task reward.

Make: `make_vec_env`, `make_agent`, `resolve_settings`. Watch: `ShapingCallback`, `EvaluationCallback`, `evaluate`. Keep:
`CheckpointCallback`, `save_checkpoint`, `load_checkpoint`. Compare: `OptimalPolicy`, `RandomPolicy`.
"""

from shapegym.agents.bridge import LastStep, VectorEnvBridge
from shapegym.agents.callbacks import EvaluationCallback, ShapingCallback
from shapegym.agents.checkpoint import CheckpointCallback, checkpoints, load_checkpoint, save_checkpoint
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import (
    AgentError,
    BridgeError,
    CheckpointError,
    EvaluationError,
    MetricsFileError,
    SettingsError,
)
from shapegym.agents.evaluation import Evaluation, evaluate
from shapegym.agents.factory import make_agent, torch_threads
from shapegym.agents.metrics import JsonLines, read_json_lines
from shapegym.agents.oracle import OptimalPolicy, RandomPolicy
from shapegym.agents.settings import ALGORITHMS, Settings, resolve_settings

__all__ = [
    "ALGORITHMS",
    "AgentError",
    "BridgeError",
    "CheckpointCallback",
    "CheckpointError",
    "Evaluation",
    "EvaluationCallback",
    "EvaluationError",
    "JsonLines",
    "LastStep",
    "MetricsFileError",
    "OptimalPolicy",
    "RandomPolicy",
    "Settings",
    "SettingsError",
    "ShapingCallback",
    "VectorEnvBridge",
    "checkpoints",
    "evaluate",
    "load_checkpoint",
    "make_agent",
    "make_vec_env",
    "read_json_lines",
    "resolve_settings",
    "save_checkpoint",
    "torch_threads",
]
