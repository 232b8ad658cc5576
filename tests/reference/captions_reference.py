"""What captions of grid worlds say, by MiniGrid's own objects: its grid, its agent, its rule of visibility."""

from __future__ import annotations

from typing import Any

from minigrid.core.constants import COLOR_TO_IDX

ORDER = ("goal", "key", "ball", "box", "locked door", "door", "lava")
"""Which of several things that come into sight is named first; among those of a kind the colour decides."""


def named(thing: Any) -> str:
    if thing.type in ("goal", "lava"):
        return f"the {thing.type}"
    return "a wall" if thing.type == "wall" else f"the {thing.color} {thing.type}"


def identity(thing: Any) -> tuple[str, str]:
    """What things with one name share; a locked door is another thing than an unlocked one."""
    locked = thing.type == "door" and thing.is_locked
    return ("locked door" if locked else thing.type), thing.color


class Onlooker:
    """Looks at a MiniGrid environment before and after each step, and says what happened."""

    def __init__(self, env: Any) -> None:
        self.env = env.unwrapped
        self.memory = "Memory" in type(self.env).__name__
        self.obstacles = "Dynamic" in type(self.env).__name__

    def begin(self) -> str:
        self.known: set[tuple[str, str]] = set()
        return self.sight() or ""

    def look(self) -> None:
        """Before a step."""
        env = self.env
        self.cell = tuple(env.front_pos)
        self.front = env.grid.get(*self.cell)
        self.kind = self.front and identity(self.front)
        self.door = self.front.is_open if self.front and self.front.type == "door" else None
        self.carried, self.place = env.carrying, tuple(env.agent_pos)

    def tell(self, action: int) -> str:
        """After the step."""
        text, about, done = self.deed(action)
        if not done and (seen := self.sight()):
            return seen
        if about:
            self.known.add(about)
        return text

    def deed(self, action: int) -> tuple[str, tuple[str, str] | None, bool]:
        """The sentence, the thing that it is about, and whether it is a deed and no mere motion."""
        env, front, name = self.env, self.front, self.front and named(self.front)
        now = env.grid.get(*self.cell)
        if action == 3 and self.memory:
            action = 5
        if action in (0, 1):
            return f"you turn {('left', 'right')[action]}", None, False
        if action == 2:
            if self.obstacles and front and front.type != "goal":
                return f"you bump into {name}", self.kind, False
            if tuple(env.agent_pos) == self.place:
                return f"you bump into {named(now)}", identity(now), False
            if now and now.type == "goal":
                return "you reach the goal", identity(now), True
            if now and now.type == "lava":
                return "you step into the lava", identity(now), True
            return "you walk", None, False
        if action == 3:
            if self.carried is None and env.carrying is not None:
                return f"you pick up {named(env.carrying)}", identity(env.carrying), True
            if self.carried is not None and front and front.type in ("key", "ball", "box"):
                return "your hands are full", None, True
            return "there is nothing to pick up", None, False
        if action == 4:
            if self.carried is None:
                return "you have nothing to drop", None, False
            if env.carrying is None:
                return f"you drop {named(self.carried)}", identity(self.carried), True
            return f"there is no room to drop {named(self.carried)}", identity(self.carried), True
        if action == 5:
            if front and front.type == "door":
                if self.kind[0] == "locked door":
                    return (f"{name} is locked" if front.is_locked else f"you unlock {name}"), self.kind, True
                if self.door:
                    return f"you close {name}", identity(front), True
                return f"you open {name}", self.kind, True
            if front and front.type == "box":
                return f"you open {name}", self.kind, True
            return "there is nothing to open", None, False
        return "you do nothing", None, False

    def sight(self) -> str | None:
        """The first thing in view that was not named yet; it is now."""
        grid, visible = self.env.gen_obs_grid()
        own = (grid.width // 2, grid.height - 1)
        found = []
        for x in range(grid.width):
            for y in range(grid.height):
                thing = grid.get(x, y)
                if not visible[x, y] or (x, y) == own or thing is None or identity(thing)[0] not in ORDER:
                    continue
                if thing.type == "door" and thing.is_open:
                    continue
                if identity(thing) not in self.known:
                    kind, color = identity(thing)
                    found.append((ORDER.index(kind), COLOR_TO_IDX[color], thing))
        if not found:
            return None
        thing = min(found, key=lambda entry: entry[:2])[2]
        self.known.add(identity(thing))
        return f"you see {named(thing).replace('the', 'the locked') if identity(thing)[0] == 'locked door' else named(thing)}"
