"""Coordinate descent on grid values."""

import operator
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ..quantizers import AbstractCalibration, AbstractQuantizer
from ._grids import check_rule, grids
from ._like import like
from ._problem import Problem, checked_gram, checked_matrix, from_gram


# With G = R^T R and g = R^T (R z - y), moving z_i by d changes the squared error by
# d^2 G_ii + 2 d g_i. The best real value of z_i is z_i - g_i / G_ii; the grid value that the
# quantizer gives for it is taken only if the error falls, so the error never grows, whatever the
# grid and its rounding.
def descended(problem: Problem, entries: np.ndarray, sweeps: int) -> np.ndarray:
    """Entries (n, m) with no larger error, after at most `sweeps` rounds over all of them."""
    entries = entries.copy()
    gram = problem.factor.T @ problem.factor
    for _ in range(sweeps):
        gradient = problem.factor.T @ (problem.factor @ entries - problem.image)
        moved = False
        for i, snap_entry in enumerate(problem.snaps):
            there = snap_entry(entries[i] - gradient[i] / gram[i, i])
            move = there - entries[i]
            change = move * (move * gram[i, i] + 2 * gradient[i])
            # A gain below the accuracy of the sum is none, or two states could alternate.
            better = change < -1e-12 * np.abs(move * move * gram[i, i])
            if better.any():
                moved = True
                entries[i] = np.where(better, there, entries[i])  # a sum would leave the grid
                gradient += np.multiply.outer(gram[:, i], np.where(better, move, 0.0))
        if not moved:
            break
    return entries


def descent(
    matrix: Float[Array, "rows columns"] | Float[np.ndarray, "rows columns"],
    rounded: Float[Array, "_ _"] | Float[np.ndarray, "_ _"],
    q: AbstractQuantizer | AbstractCalibration,
    gram: Any,
    *,
    sweeps: int = 10,
) -> Float[Array, "rows columns"] | Float[np.ndarray, "rows columns"]:
    r"""The rounded matrix after coordinate descent on its grid values.

    One entry after the other moves to the grid value nearest to its best real value, the others
    held, if $(z - w)^T G (z - w)$ falls. After `nearest_plane` the gain is small; after rounding
    to nearest it is not. In NumPy float64; not traceable.

    **Arguments:**

    - `matrix`: the unrounded rows w.
    - `rounded`: where to start, on the grid of `q`, in the shape of `matrix`.
    - `q`: a deterministic quantizer or calibration, as in `nearest_plane`.
    - `gram`: the Gram matrix G of the features, (columns, columns), as in `nearest_plane`.
    - `sweeps`: most rounds over all entries; it ends earlier where no entry moves.

    **Returns:**

    The improved matrix on the grid, in the type of `rounded`.

    **Raises:**

    - `ValueError`: for NaN or infinite numbers, shapes that do not fit, a start off the grid,
        negative sweeps, or stochastic rounding.
    - `TypeError`: if `q` is neither a quantizer nor a calibration.

    **Reference:** derived, above the code.
    """
    check_rule("descent(matrix, rounded, q, gram)", q)
    sweeps = checked_sweeps("descent", sweeps)
    entries = checked_matrix("descent(matrix)", matrix).T
    start = checked_matrix("descent(rounded)", rounded).T
    if start.shape != entries.shape:
        raise ValueError(
            "`descent(rounded)` must have the shape of the matrix, "
            f"{entries.T.shape}; got {start.T.shape}."
        )
    gram = checked_gram("descent", gram, entries.shape[0])
    snaps = grids(q, [matrix])[0].columns()
    if any(np.any(s(row) != row) for s, row in zip(snaps, start, strict=True)):
        raise ValueError(
            "`descent(rounded)` must lie on the grid of `q`; some entries do not. Start from "
            "`nearest_plane(matrix, q, gram)` or from `q(matrix)`."
        )
    problem = from_gram(gram, entries, snaps)
    return like(rounded, descended(problem, start, sweeps).T)


def checked_sweeps(call: str, sweeps: Any) -> int:
    """A whole number of rounds, not negative."""
    try:
        number = operator.index(sweeps)
    except TypeError:
        raise TypeError(
            f"`{call}(sweeps=...)` must be a non-negative integer; got {sweeps!r}."
        ) from None
    if number < 0:
        raise ValueError(f"`{call}(sweeps=...)` must be a non-negative integer; got {number}.")
    return number
