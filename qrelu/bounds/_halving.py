"""Halving the cells on which rounding errors of evaluation have no sharp bound."""

from collections.abc import Callable

import numpy as np

from ._cells import CellBounds, bound_cells
from ._pair import Layers

# Bounds that are larger than the difference seen by less than this factor are left alone.
_ENOUGH = 1.25
# A half is not halved again when its bound is more than this share of the whole's.
_GAIN = 0.75
# Halvings of one cell, at most: from an end of the box to the unit of float32 there.
_ROUNDS = 30


# Where many units vanish at one point, as all of them do at zero in a network without biases, their
# signs are open near that point, and the bounds of rounding errors are those of a whole cell. The
# errors are small near the point and the signs are certain far from it, so halves do better. The
# halves cover the cell: the maximum of their bounds is one.
def halve(
    a: Layers,
    b: Layers,
    cells: np.ndarray,
    bounds: CellBounds,
    room: int,
    late: Callable[[], bool],
) -> tuple[np.ndarray, CellBounds]:
    """Segments (K, 2, inputs) with sharper bounds, `room` more of them at most."""
    upper, near, vertex = bounds
    final = np.zeros(len(cells), dtype=bool)
    for _ in range(_ROUNDS):
        least = max(_GAIN * upper.max(), _ENOUGH * near.max(), upper[final].max(initial=0.0))
        worst = np.flatnonzero((upper > least) & ~final)[:room]
        if len(worst) == 0 or late() or not np.isfinite(upper[worst]).all():
            break
        room -= len(worst)
        start, end = cells[worst, 0], cells[worst, 1]
        middle = start + (end - start) / 2
        halves = np.concatenate([np.stack([start, middle], 1), np.stack([middle, end], 1)])
        found = bound_cells(a, b, halves, np.zeros(len(halves)), seen=float(near.max()))
        whole = np.tile(upper[worst], 2)
        fresh = CellBounds(np.minimum(found.upper, whole), found.near, found.vertex)
        kept = np.ones(len(cells), dtype=bool)
        kept[worst] = False
        final = np.concatenate([final[kept], fresh.upper > _GAIN * whole])
        cells = np.concatenate([cells[kept], halves])
        upper, near, vertex = (
            np.concatenate([old[kept], new])
            for old, new in zip((upper, near, vertex), fresh, strict=True)
        )
    return cells, CellBounds(upper, near, vertex)
