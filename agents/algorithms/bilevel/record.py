"""What a bi-level run writes down: its weights over time."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents.errors import SettingsError
from shapegym.agents.metrics import JsonLines

BLEND_FILE = "blend.jsonl"


class BlendCallback(BaseCallback):
    """Writes `BARFI.history` to ``blend.jsonl``, a row an iteration; rows that a resumed run repeats are dropped first.

    Args:
        folder: where the file goes.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)
        self._file: JsonLines | None = None
        self._written = 0

    def _on_training_start(self) -> None:
        self._file = JsonLines(self.folder / BLEND_FILE, resume_at=self.num_timesteps)
        self._written = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:  # after `train` has dealt with the rollout before
        self._write()

    def _on_training_end(self) -> None:
        self._write()

    def _write(self) -> None:
        history = getattr(self.model, "history", None)
        if history is None or self._file is None:
            raise SettingsError(
                "BlendCallback writes down what BARFI learns; it cannot follow another algorithm."
            )
        self._file.append(history[self._written :])
        self._written = len(history)
