"""The window of render mode "human"."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Window:
    """Opens with its first picture; copies of it are closed."""

    def __init__(self) -> None:
        self._screen: Any = None
        self._clock: Any = None

    def show(self, pixels: NDArray[np.uint8], title: str, fps: int) -> None:
        """Show a picture (rows, columns, 3), and wait so that `fps` of them are shown in a second.

        Raises:
            RuntimeError: There is no screen.
        """
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        import pygame

        rows, columns, _ = pixels.shape
        try:
            if (
                self._screen is None or self._screen is not pygame.display.get_surface()
            ):  # there is one a process
                pygame.display.init()
                self._screen = pygame.display.set_mode((columns, rows))
                pygame.display.set_caption(title)
                self._clock = pygame.time.Clock()
            screen: Any = self._screen
            screen.blit(pygame.image.frombytes(pixels.tobytes(), (columns, rows), "RGB"), (0, 0))
            pygame.event.pump()
            pygame.display.flip()
        except pygame.error as error:
            self.close()
            raise RuntimeError(f'render mode "human" needs a screen ({error}); take "rgb_array"') from error
        self._clock.tick(fps)

    def close(self) -> None:
        """Close the window, if it is open."""
        if self._screen is not None:
            import pygame

            pygame.display.quit()
            self._screen = self._clock = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_screen": None, "_clock": None}
