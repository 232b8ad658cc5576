"""A window and a keyboard for grid worlds."""

from __future__ import annotations

import pygame

from shapegym.envs.grid.lane.stepping import DONE, DROP, FORWARD, LEFT, PICK_UP, RIGHT, TOGGLE
from shapegym.experiments.errors import RunError
from shapegym.experiments.play.scene import Scene

SIDE = 512
"""Pixels that the grid may take."""

ACTION_OF_KEY = {
    pygame.K_LEFT: LEFT,
    pygame.K_a: LEFT,
    pygame.K_RIGHT: RIGHT,
    pygame.K_d: RIGHT,
    pygame.K_UP: FORWARD,
    pygame.K_w: FORWARD,
    pygame.K_SPACE: TOGGLE,
    pygame.K_TAB: PICK_UP,
    pygame.K_PAGEUP: PICK_UP,
    pygame.K_LSHIFT: DROP,
    pygame.K_PAGEDOWN: DROP,
    pygame.K_RETURN: DONE,
    pygame.K_KP_ENTER: DONE,
}
"""The keys of MiniGrid's manual control, and W, A, D."""

HELP = (
    "Arrows or W A D move, Space toggles, Tab picks up, left Shift drops, "
    "Enter is done, Backspace begins anew, Esc quits"
)


def play(scene: Scene, seed: int) -> list[float]:
    """Open a window and let a person play until they close it.

    Args:
        scene: Of the environment.
        seed: Of the first episode; the others continue its stream.

    Returns:
        The returns of the episodes that were played to their end.

    Raises:
        RunError: There is no screen.
    """
    try:
        pygame.display.init()
        if pygame.display.get_driver() == "offscreen":  # what SDL falls back to
            raise RunError("There is no screen for a window. Record a picture instead: --record FILE.gif")
        scene.begin(seed)
        screen = pygame.display.set_mode(scene.picture().size)
        pygame.display.set_caption(scene.env.dynamics.fingerprint)
        pygame.key.set_repeat(300, 80)
        return _listen(scene, screen)
    except pygame.error as error:
        raise RunError(f"The window does not open: {error}. Record instead: --record FILE.gif") from None
    finally:
        pygame.quit()


def _listen(scene: Scene, screen: pygame.Surface) -> list[float]:
    returns: list[float] = []
    _show(scene, screen)
    while True:
        event = pygame.event.wait()
        if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
            return returns
        if event.type == pygame.KEYDOWN and event.key == pygame.K_BACKSPACE:
            scene.begin()
            _show(scene, screen)
        elif event.type == pygame.KEYDOWN and event.key in ACTION_OF_KEY and not scene.over:
            if scene.act(ACTION_OF_KEY[event.key]):
                returns.append(scene.total)
            _show(scene, screen)
        elif event.type == pygame.WINDOWEXPOSED:
            _show(scene, screen)


def _show(scene: Scene, screen: pygame.Surface) -> None:
    picture = scene.picture()
    screen.blit(pygame.image.frombytes(picture.tobytes(), picture.size, "RGB"), (0, 0))
    pygame.display.flip()
