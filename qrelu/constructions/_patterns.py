"""A path that goes up or down in every step, and what its cells have in common."""

import math
from typing import NamedTuple

import numpy as np


# Let v_i = f(i/N) N / K, so |v_{i+1} - v_i| <= 1. With k_i <= v_i < k_i + 2 and k_{i+1} = k_i + 1
# where v_{i+1} >= k_i + 1, else k_i - 1, again k_{i+1} <= v_{i+1} < k_{i+1} + 2. Between i and
# i + 1 the path has slope 1 or -1 and v at most that, so v - k - 1 is monotone there and stays in
# [-1, 1].
def path_of(values: np.ndarray) -> np.ndarray:
    """Integers k_i, neighbors different by one, with k_i <= values_i < k_i + 2."""
    path = [math.floor(values[0])]
    for v in values[1:].tolist():
        path.append(path[-1] + (1 if v >= path[-1] + 1 else -1))
    return np.array(path, dtype=np.int64)


class Patterns(NamedTuple):
    """T cells of m steps: a straight line in every cell, and what the path has beyond it.

    Cells of one parity with the same ups and downs share a pattern. `heights` are m times the
    distance from the straight line at the inner points, whole numbers.
    """

    start: int  # k_0 + 1
    rises: np.ndarray  # (T,)
    member: np.ndarray  # (T,): the pattern of the cell, -1 for straight ones
    parity: np.ndarray  # (B,)
    heights: np.ndarray  # (B, m - 1)


def patterns_of(path: np.ndarray, t: int, m: int) -> Patterns:
    """The patterns of a path of t m steps."""
    ends = path[::m]
    rises = np.diff(ends)
    heights = m * (path[:-1].reshape(t, m)[:, 1:] - ends[:-1, None])
    heights = heights - rises[:, None] * np.arange(1, m)
    shapes = np.concatenate([heights, np.arange(t)[:, None] % 2], axis=1)
    kinds, member = np.unique(shapes, axis=0, return_inverse=True)
    member = np.asarray(member).reshape(-1)
    useful = np.flatnonzero(kinds[:, :-1].any(axis=1))
    position = np.full(len(kinds), -1)
    position[useful] = np.arange(useful.size)
    start, kinds = int(path[0]) + 1, kinds[useful]
    return Patterns(start, rises, position[member], kinds[:, -1], kinds[:, :-1])
