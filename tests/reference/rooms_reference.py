"""Rooms of a grid world by flood fill, over sets of cells.

`objects[x][y]` is MiniGrid's object number of every cell: 2 is a wall, 4 a door, everything else is floor here.
"""

WALL, DOOR = 2, 4


def rooms(objects):
    """{(x, y): id} of all cells but walls, rooms numbered in reading order.

    0 for doors, for gaps, and for all that is connected with floor on the border.
    """
    width, height = len(objects), len(objects[0])
    everywhere = [(x, y) for y in range(height) for x in range(width)]
    floor = {(x, y) for x, y in everywhere if objects[x][y] not in (WALL, DOOR)}

    def squeezed(x, y, dx, dy):
        """Between two barriers, for who walks along (dx, dy)."""
        return (x, y) in floor and (x + dy, y + dx) not in floor and (x - dy, y - dx) not in floor

    def is_gap(x, y, dx, dy):
        ways = [(x - dx, y - dy), (x + dx, y + dy)]
        return squeezed(x, y, dx, dy) and all(way in floor and not squeezed(*way, dx, dy) for way in ways)

    gaps = {(x, y) for x, y in floor if is_gap(x, y, 1, 0) or is_gap(x, y, 0, 1)}
    ids = {(x, y): 0 for x, y in everywhere if (x, y) in gaps or objects[x][y] == DOOR}
    number = 0
    for start in everywhere:
        if start not in floor or start in ids:
            continue
        part = {start}
        frontier = [start]
        while frontier:
            x, y = frontier.pop()
            for neighbour in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if neighbour in floor - gaps - part:
                    part.add(neighbour)
                    frontier.append(neighbour)
        inside = all(0 < x < width - 1 and 0 < y < height - 1 for x, y in part)
        number += inside
        ids.update(dict.fromkeys(part, number if inside else 0))
    return ids
