"""Least squares with unknowns on a grid: the triangular form, and the checks that come before."""

from typing import Any, NamedTuple

import numpy as np
from jax.core import Tracer

from ..networks import ReLUNetwork, SparseMatrix
from ._grids import Snap

# Directions that the points do not see are held where the unrounded parameters have them, by a
# ridge of this share of each feature. Where two features agree but for the ridge, the triangle has
# a pivot of the size of the ridge r in a direction known to eps / r, so an error in another
# unknown returns as eps / r^2 times itself: r must be larger than the root of eps, 1.5e-8. It is
# far below what 1,024 equidistributed hinges need, pivots of 1e-5 of the feature and more.
RIDGE = 1e-7

# Entries that sparse matrices may have when they are written out, as rounding and explaining do:
# about eight arrays of that size are alive at once, 3 GB in all.
LARGEST = 5 * 10**7


class Problem(NamedTuple):
    r"""Minimize $\|R z - y\|^2$ over columns z with $z_i$ on the grid of `snaps[i]`."""

    factor: np.ndarray  # R, (n, n)
    image: np.ndarray  # y, (n, m), one column per row of the matrix that is rounded
    snaps: list[Snap]

    def error(self, entries: np.ndarray) -> float:
        """The squared residual of `entries` (n, m), above the one that no entries avoid."""
        return float(np.sum((self.factor @ entries - self.image) ** 2))


def from_features(features, targets, entries, snaps) -> Problem:
    """Features (P, n), targets (P, m) and unrounded entries (n, m), by orthogonal triangles."""
    # With A = Q R the squared residual ||A z - y||^2 is ||R z - Q^T y||^2 plus a constant. One
    # factorization of [A | y] gives R and Q^T y. R has the condition of A, not its square: the
    # Gram matrix of 1,024 hinges would lose all digits.
    count = features.shape[1]
    ridge = RIDGE * _sizes(np.sum(features**2, axis=0))
    rows = np.concatenate([features, np.diag(ridge)])
    columns = np.concatenate([targets, ridge[:, None] * entries])
    triangle = _triangle(np.concatenate([rows, columns], axis=1))
    return Problem(triangle[:count, :count], triangle[:count, count:], snaps)


def from_gram(gram, entries, snaps) -> Problem:
    """A Gram matrix (n, n) of the features; the targets are the features times `entries`."""
    # A Gram matrix in float64 is known to about n eps, so an eigenvalue below that is noise, and
    # may be negative, where Cholesky would stop. Features have unit size here.
    sizes = _sizes(np.diag(gram))
    values, vectors = np.linalg.eigh(gram / np.multiply.outer(sizes, sizes))
    least = max(RIDGE**2, gram.shape[0] * np.finfo(float).eps)
    root = np.sqrt(np.maximum(values, 0.0) + least)[:, None] * vectors.T
    factor = _triangle(root * sizes)
    return Problem(factor, factor @ entries, snaps)


def _sizes(squares: np.ndarray) -> np.ndarray:
    """Norms of the features; those that vanish count as the largest, or as 1 if all do."""
    sizes = np.sqrt(np.maximum(squares, 0.0))
    return np.where(sizes > 0, sizes, np.max(sizes) if np.any(sizes > 0) else 1.0)


def _triangle(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.qr(matrix, mode="r"))


def checked_gram(call: str, gram: Any, count: int) -> np.ndarray:
    """A symmetric, finite, positive semidefinite matrix (count, count) in float64."""
    gram = finite(f"{call}(gram=...)", gram)
    if gram.shape != (count, count):
        raise ValueError(
            f"`{call}(gram=...)` must have the shape ({count}, {count}), one row per column of the "
            f"matrix; got {gram.shape}. It is `features.T @ features`."
        )
    # float32 products of features are symmetric and semidefinite to about this accuracy.
    slack = 1e-5 * float(np.max(np.abs(gram)))
    if np.max(np.abs(gram - gram.T)) > slack or np.linalg.eigvalsh(gram)[0] < -slack:
        raise ValueError(
            f"`{call}(gram=...)` must be symmetric and positive semidefinite. It is "
            "`features.T @ features`."
        )
    return (gram + gram.T) / 2


def checked_matrix(call: str, matrix: Any) -> np.ndarray:
    """A finite matrix with entries, in float64."""
    matrix = finite(call, matrix)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(
            f"`{call}` must be a matrix with at least one row and one column; got the shape "
            f"{matrix.shape}. Use `row[None, :]` for a single row."
        )
    return matrix


def check_size(call: str, network: ReLUNetwork, cure: str) -> None:
    """Sparse matrices that can be written out."""
    shapes = [w.shape for w in network.weights if isinstance(w, SparseMatrix)]
    entries = sum(rows * columns for *_, rows, columns in shapes)
    if entries > LARGEST:
        raise ValueError(
            f"`{call}` must get sparse matrices of at most {LARGEST:.0e} entries together, zeros "
            f"included, for it writes them out; got {entries:.2g}. {cure}"
        )


def finite(call: str, values: Any) -> np.ndarray:
    """Real finite numbers in float64."""
    if isinstance(values, Tracer):
        raise TypeError(
            f"`{call}` must be concrete: rounding and explaining run outside of `jit`, `vmap` and "
            "`grad`."
        )
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise TypeError(f"`{call}` must hold real numbers; got the type {array.dtype}.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"`{call}` must be finite; got NaN or infinity. Remove them first.")
    return array
