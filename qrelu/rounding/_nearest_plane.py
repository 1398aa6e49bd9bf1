"""Successive rounding: one unknown after the other, the rest solved again in between."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ..quantizers import AbstractCalibration, AbstractQuantizer
from ._grids import check_rule, grids
from ._like import like
from ._problem import Problem, checked_gram, checked_matrix, from_gram

# Rows of a triangle that are finished together: within a block entries are subtracted one by one,
# above it with one product of matrices, which a wide layer spends most of its time in.
_BLOCK = 64


# Rounding the unknowns in the order pi(1), pi(2), ..., each time with the later ones free and
# solved by least squares, is back substitution with rounding: write the factor with its columns in
# the opposite order as Q T, T upper triangular. Given the unknowns that are fixed, the best value
# of the next one is (b_i - sum_{j > i} T_ij z_j) / T_ii, for the rows above i can be met exactly
# whatever it is. So the squared error is sum_i T_ii^2 (z_i - that value)^2, at most
# (step / 2)^2 sum_i T_ii^2 on a grid without end, and T_ii is the distance of feature i from the
# span of the features that are still free.
def rounded_in_order(problem: Problem, order: np.ndarray) -> np.ndarray:
    """Babai's nearest plane: the entries (n, m) on the grids, rounded in the given order."""
    columns = order[::-1]
    count = columns.size
    both = np.concatenate([problem.factor[:, columns], problem.image], axis=1)
    both = np.asarray(np.linalg.qr(both, mode="r"))
    triangle, rest = both[:, :count], both[:, count:]
    entries = np.empty_like(rest)
    for stop in range(count, 0, -_BLOCK):
        start = max(0, stop - _BLOCK)
        for i in range(stop - 1, start - 1, -1):
            entries[i] = problem.snaps[columns[i]](rest[i] / triangle[i, i])
            rest[start:i] -= np.multiply.outer(triangle[start:i, i], entries[i])
        rest[:start] -= triangle[:start, start:stop] @ entries[start:stop]
    result = np.empty_like(entries)
    result[columns] = entries
    return result


# The product of the T_ii is the same for all orders, their sum of squares is not. A large feature
# must be rounded while others can absorb its error, the smallest ones at the end. For hinges
# relu(x - t_j) on [a, b] this is the order from the left knot to the right, and every T_ii is of
# the size of a gap to the power 3/2; from the right to the left T_ii grows to the full norm. For
# hinges that look both ways it works inwards from both ends. The order of the columns as they
# stand and its reverse are tried too, and rounding each entry for itself, so that the result is
# never worse than that.
def best_rounded(problem: Problem, entries: np.ndarray) -> np.ndarray:
    """The best of three orders and of rounding the unrounded `entries` (n, m) one by one."""
    count = problem.factor.shape[0]
    natural = np.arange(count)
    largest_first = np.argsort(-np.sum(problem.factor**2, axis=0), kind="stable")
    orders = {tuple(order): order for order in (largest_first, natural, natural[::-1])}
    candidates = [rounded_in_order(problem, order) for order in orders.values()]
    candidates.append(np.stack([s(row) for s, row in zip(problem.snaps, entries, strict=True)]))
    return min(candidates, key=problem.error)


def nearest_plane(
    matrix: Float[Array, "rows columns"] | Float[np.ndarray, "rows columns"],
    q: AbstractQuantizer | AbstractCalibration,
    gram: Any,
    *,
    order: Any = None,
) -> Float[Array, "rows columns"] | Float[np.ndarray, "rows columns"]:
    r"""The matrix with entries on the grid of `q`, rounded with feedback against a Gram matrix.

    For each row w it looks for grid values z with a small $(z - w)^T G (z - w)$, which is the
    squared error of $z^T h$ summed over the points where $G = \sum_p h_p h_p^T$. The entries are
    rounded one after the other, and those still free take up the error by least squares. In NumPy
    float64; not traceable.

    **Arguments:**

    - `matrix`: the unrounded rows; NumPy or JAX, of real floating-point type.
    - `q`: a deterministic quantizer, of any grid; steps per row, group or entry must broadcast to
        the matrix. Or a calibration, which chooses the grid from `matrix`. Bounded grids saturate,
        and the error of saturation is absorbed like any other.
    - `gram`: the Gram matrix G of the features, (columns, columns). With the features scaled to
        unit size its eigenvalues are raised by $10^{-14}$, or columns times $2.2 \cdot 10^{-16}$ if
        that is more, so directions without information stay near the unrounded matrix.
    - `order`: the columns in the order in which they are rounded. Without it the best of three
        orders is taken (largest feature first, as they stand, reversed), or rounding entry by
        entry where that is better still.

    **Returns:**

    The rounded matrix, in the type of `matrix`.

    **Raises:**

    - `ValueError`: for NaN or infinite numbers, shapes that do not fit, a Gram matrix that is not
        symmetric and semidefinite, an order that is not a permutation, or stochastic rounding.
    - `TypeError`: if `q` is neither a quantizer nor a calibration.

    **Reference:** [babai1986]; for the rows of a layer [frantar2023]. The bound on the error is
    derived above the code.
    """
    check_rule("nearest_plane(matrix, q, gram)", q)
    entries = checked_matrix("nearest_plane(matrix)", matrix).T
    gram = checked_gram("nearest_plane", gram, entries.shape[0])
    problem = from_gram(gram, entries, grids(q, [matrix])[0].columns())
    if order is None:
        return like(matrix, best_rounded(problem, entries).T)
    order = np.asarray(order)
    if not np.array_equal(np.sort(order), np.arange(entries.shape[0])):
        raise ValueError(
            f"`nearest_plane(order=...)` must name each of the {entries.shape[0]} columns once; "
            f"got {order.tolist()}. Leave it out to have it chosen."
        )
    return like(matrix, rounded_in_order(problem, order).T)
