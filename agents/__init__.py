"""Stable-Baselines3 agents that train on the shaped reward and are judged by the task reward.

Make: `make_vec_env`, `make_agent`, `resolve_settings`. Add: `register_algorithm`. Watch: `ShapingCallback`, `EvaluationCallback`,
`evaluate`, `CostMeter`. Keep: `CheckpointCallback`, `save_checkpoint`, `load_checkpoint`. Compare with: `OptimalPolicy`,
`RandomPolicy`.

Names are imported when they are first used, because torch and Stable-Baselines3 take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "algorithms.constrained": ("ConstrainedPPO",),
    "algorithms.heads": ("PartValues",),
    "algorithms.registry": ("ALGORITHMS", "Algorithm", "register_algorithm"),
    "algorithms.two_heads": ("TwoHeadPPO",),
    "base_policy": ("record_base",),
    "bridge": ("LastStep", "VectorEnvBridge"),
    "callbacks": ("EvaluationCallback", "ShapingCallback"),
    "checkpoint": ("CheckpointCallback", "checkpoints", "load_checkpoint", "save_checkpoint"),
    "environments": ("make_env", "make_vec_env"),
    "errors": (
        "AgentError",
        "BridgeError",
        "CheckpointError",
        "EvaluationError",
        "MetricsFileError",
        "SettingsError",
        "TabulationError",
    ),
    "evaluation": ("Evaluation", "evaluate"),
    "factory": ("make_agent",),
    "finite.occupancy": ("RegularisedTask",),
    "finite.oracle": ("OptimalPolicy", "RandomPolicy"),
    "finite.tabulate": ("Tables",),  # the function has the name of its module
    "metrics": ("JsonLines", "read_json_lines"),
    "profiling": ("CostMeter", "Costs"),
    "settings": ("Settings", "resolve_settings"),
    "threads": ("torch_threads",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # the table is the one list of names


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
