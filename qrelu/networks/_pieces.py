"""The affine pieces of a network with one input."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import ArrayLike

from ._exact import exact_pieces
from ._network import ReLUNetwork, check_concrete, check_network
from ._propagation import BEYOND_FLOAT64, float_pieces
from ._shallow import shallow_pieces
from ._sparse import SparseMatrix, nonzeros

Real = float | int | Fraction | np.floating | np.integer


class Pieces(NamedTuple):
    r"""A continuous piecewise-affine function on an interval.

    **Attributes:**

    - `breakpoints`: the $K + 1$ points $a = x_0 < \cdots < x_K = b$, both ends included.
    - `values`: the values there, of shape $(K + 1, N_L)$.
    - `slopes`: the slopes between them, of shape $(K, N_L)$.

    All are NumPy float64, or hold `fractions.Fraction` when exact pieces were asked for.
    """

    breakpoints: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    @property
    def count(self) -> int:
        """The number $K$ of pieces."""
        return len(self.slopes)

    def __call__(self, x: ArrayLike | Fraction | Sequence) -> np.ndarray:
        r"""The function at any points of the interval, in NumPy.

        Each point is evaluated from the nearer end of its piece, so that the values at the
        breakpoints come back exactly.

        **Arguments:**

        - `x`: points of $[a, b]$, of any shape. Four units in the last place outside are forgiven,
          and continue the first or the last piece.

        **Returns:**

        The values, of shape $(\ldots, N_L)$: float64 (NaN stays NaN), or fractions for exact
        pieces, where floats stand for their exact values.

        **Raises:**

        - `ValueError`: for points outside $[a, b]$.
        """
        knots = self.breakpoints
        exact = knots.dtype == object
        if exact:
            points = np.asarray(x, dtype=object)
            flat = np.array([Fraction(t) for t in points.ravel().tolist()], dtype=object)
            slack = 0
        else:
            points = np.asarray(x, dtype=np.float64)
            flat = points.ravel()
            slack = 4 * np.spacing(max(abs(knots[0]), abs(knots[-1])))
        outside = (flat < knots[0] - slack) | (flat > knots[-1] + slack)
        if outside.any():
            raise ValueError(
                f"`Pieces.__call__(x)` must be given points of [{knots[0]}, {knots[-1]}]; got "
                f"{flat[outside.argmax()]}. Compute the pieces on a larger interval."
            )
        k = np.clip(np.searchsorted(knots, flat, side="right") - 1, 0, self.count - 1)
        left, right = flat - knots[k], flat - knots[k + 1]
        near = (left <= -right)[:, None]
        start = np.where(near, self.values[k], self.values[k + 1])
        result = start + self.slopes[k] * np.where(near, left[:, None], right[:, None])
        return result.reshape(*points.shape, self.values.shape[1])


def pieces(network: ReLUNetwork, a: Real, b: Real, *, exact: bool = False) -> Pieces:
    r"""The affine pieces of a network with one input on the interval $[a, b]$.

    A breakpoint is a point where a slope of the network changes, not merely where a neuron
    switches: coincident kinks count once, kinks that cancel do not count.

    In floating point the parameters are taken as float64. One hidden layer: sums are accumulated
    exactly, so values and slopes are correctly rounded however much cancels. More layers: values
    and slopes are propagated layer by layer, and whatever is within a few units in the last place
    (of the sums of absolute terms) of being zero, or of being the same point, is taken to be so.
    With `exact=True` parameters and ends are the exact values of their floats, and every number is
    a fraction without rounding.

    The time is proportional to the number of linear regions times the nonzero weights met there.
    Memory beyond the parameters and the result is bounded by blocks of the interval: some ten
    megabytes per layer of depth, whatever the number of regions. Runs in NumPy, outside of `jit`
    and `grad`.

    **Arguments:**

    - `network`: a network with $N_0 = 1$.
    - `a`, `b`: ends of the interval, finite, `a < b`.
    - `exact`: whether to compute with rationals.

    **Returns:**

    A `Pieces` record: breakpoints with both ends, values and slopes.

    **Raises:**

    - `ValueError`: for several inputs, parameters or ends that are not finite, `a >= b`, and
      numbers that leave the range of float64 on the way.
    - `TypeError`: for traced parameters.

    **Reference:** derived; the methods are described above the code of each part.
    """
    weights, biases = _parameters(network)
    a, b = (t if exact and isinstance(t, int | Fraction) else float(t) for t in (a, b))
    if not (math.isfinite(a) and math.isfinite(b) and a < b):
        raise ValueError(
            f"`pieces(network, a, b)` must have finite ends with a < b; got a = {a}, b = {b}."
        )
    if len(weights) == 2:
        weights = [w if isinstance(w, np.ndarray) else w.toarray() for w in weights]
        result = shallow_pieces(weights, biases, a, b, exact)
    elif exact:
        result = exact_pieces(weights, biases, Fraction(a), Fraction(b))
    else:
        result = float_pieces(weights, biases, float(a), float(b))
    if not exact and not all(np.isfinite(part).all() for part in result):
        raise ValueError(BEYOND_FLOAT64)
    return Pieces(*result)


def _parameters(network: ReLUNetwork) -> tuple[list, list[np.ndarray]]:
    check_network("pieces(network, a, b)", network)
    check_concrete("pieces(network, a, b)", network)
    if network.weights[0].ndim != 2:
        raise ValueError(
            "`pieces(network, a, b)` must be given one network; got a stack of networks."
        )
    if network.widths[0] != 1:
        raise ValueError(
            f"`pieces(network, a, b)` must be given a network with one input; got "
            f"{network.widths[0]} inputs."
        )
    if not math.isfinite(network.magnitude):
        raise ValueError("`pieces(network, a, b)` must be given finite parameters; got NaN or inf.")
    weights = [_matrix(w) for w in network.weights]
    return weights, [np.asarray(b).astype(np.float64) for b in network.biases]


def _matrix(weights: Any) -> np.ndarray | scipy.sparse.csc_array:
    """In float64; as a sparse matrix of columns, without stored zeros, where that saves work."""
    size = weights.shape[0] * weights.shape[1]
    if not isinstance(weights, SparseMatrix):
        weights = np.asarray(weights).astype(np.float64)
        many = int(np.count_nonzero(weights))
        return scipy.sparse.csc_array(weights) if _saves(many, size) else weights
    rows, columns, values = nonzeros(weights)
    if not _saves(values.size, size):
        return np.asarray(weights).astype(np.float64)
    values = values.astype(np.float64)
    return scipy.sparse.csc_array((values, (rows, columns)), shape=weights.shape)


def _saves(nonzero: int, size: int) -> bool:
    return size > 4096 and nonzero < 0.1 * size
