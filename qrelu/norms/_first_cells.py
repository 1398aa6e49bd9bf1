"""Cells to begin with where nothing is known of the target between two samples."""

import numpy as np

from ._difference import Cells, Difference


def in_parts(
    difference: Difference, cells: Cells, watched: np.ndarray, most: int, least: int = 1
) -> Cells:
    """The `watched` cells in equal parts, none longer than 1/`most` of the domain.

    Every one of them has `least` parts or more, unless it is only a few floats long.
    """
    h = cells.upper - cells.lower
    whole = difference.breakpoints[-1] - difference.breakpoints[0]
    floats = 4 * np.spacing(np.maximum(np.abs(cells.lower), np.abs(cells.upper)))
    wanted = np.maximum(np.ceil(most * (h / whole)), least)
    parts = np.where(watched, np.maximum(np.minimum(wanted, h // floats), 1), 1).astype(int)
    after = np.cumsum(parts)
    if after[-1] == cells.count:
        return cells
    first = after - parts
    index = np.repeat(np.arange(cells.count), parts)
    lower = cells.lower[index] + h[index] * ((np.arange(after[-1]) - first[index]) / parts[index])
    owner = cells.owner[index]
    left = difference.linear(lower, owner)
    lower[first], left[first] = cells.lower, cells.left
    upper, right = np.append(lower[1:], 0.0), np.append(left[1:], 0.0)
    upper[after - 1], right[after - 1] = cells.upper, cells.right
    return Cells(lower, upper, left, right, owner)
