"""A run on Weights & Biases as well, if a project is named: the request, what TensorBoard gets, and the final evaluation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shapegym.experiments.errors import RunError, optional
from shapegym.experiments.runs import run_folder
from shapegym.shaping.limited_files import read_object


def require(project: str) -> None:
    """Raise `RunError` if a project is named and Weights & Biases is not installed; without a project nothing is imported."""
    if project:
        _wandb()


@contextmanager
def tracked(project: str, folder: Path, config: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """Show the run of this block in a project. Begin it before the TensorBoard log is opened.

    Args:
        project: its name; empty does nothing.
        folder: of the run; gives it its name and keeps Weights & Biases' local files.
        config: the request.
        resume: go on with the run that was shown from this folder, if it was broken off.

    Raises:
        RunError: if Weights & Biases is not installed, or refuses.
    """
    if not project:
        yield
        return
    wandb = _wandb()
    try:
        run = wandb.init(
            project=project,
            name=folder.name,
            dir=str(folder),
            config=dict(config),
            sync_tensorboard=True,
            resume="auto" if resume else None,
        )
    except wandb.Error as error:
        if not resume:
            shutil.rmtree(folder)  # nothing has run in it yet
        raise RunError(
            f"Weights & Biases refuses the run: {str(error).rstrip('.')}. Log in (wandb login), or set WANDB_MODE=offline, "
            "or leave --wandb out."
        ) from None
    try:
        yield
        run.summary.update(read_object(folder / run_folder.RESULT, RunError))
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


def _wandb() -> Any:
    return optional(
        "wandb", "--wandb needs Weights & Biases, which is not installed: pip install 'shapegym[wandb]'."
    )
