"""The columns of a lane's facts: everything about a lane that is no cell and no random stream.

`facts` is (B, K) int64; families with obstacles append an (x, y) pair for each.
"""

import numpy as np

X, Y, DIRECTION, CARRIED, STEPS, MISSION = range(6)
"""The agent's cell and direction (0 right, 1 down, 2 left, 3 up), the code it carries (0 = nothing), steps, mission id."""
TARGET_X, TARGET_Y, OTHER_X, OTHER_Y, TARGET_CODE = range(6, 11)
"""What a family's rule looks at (stepping.py): up to two cells and one code."""
OBSTACLES = 11
"""First column of the obstacles' (x, y) pairs; also the number of columns without obstacles."""

STEP_X = np.array([1, 0, -1, 0])
STEP_Y = np.array([0, 1, 0, -1])
"""One cell ahead in each direction."""
