"""Values of a network in exact rationals."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.sparse

from ._integers import strip_zeros, to_integers
from ._matrices import single
from ._network import ReLUNetwork, check_concrete
from ._sparse import SparseMatrix


def realize_exact(network: ReLUNetwork, xs: Any) -> np.ndarray:
    r"""The values of a network at many points, without rounding.

    Floats are integers times powers of two, so that sums and products of them are exact in Python's
    integers. It takes about a microsecond per edge and point; `realize` is for everything else.

    **Arguments:**

    - `network`: one network, dense or sparse.
    - `xs`: points of shape $(\ldots, N_0)$: floats, integers or `fractions.Fraction`.

    **Returns:**

    An array of fractions, of shape $(\ldots, N_L)$.

    **Raises:**

    - `ValueError`: for points of another shape, or parameters or points that are not finite.

    **Reference:** derived: exact integer arithmetic on a common denominator.
    """
    single("realize_exact(network, xs)", network)
    check_concrete("realize_exact(network, xs)", network)
    x = np.asarray(xs, dtype=object)
    inputs = network.widths[0]
    if x.ndim == 0 or x.shape[-1] != inputs:
        raise ValueError(
            f"`realize_exact(network, xs)` takes points of shape (..., {inputs}); got the shape "
            f"{x.shape}."
        )
    points = x.reshape(-1, inputs)
    try:
        ratios = [[Fraction(t) for t in row] for row in points]
    except (OverflowError, ValueError) as error:
        raise ValueError(f"`realize_exact(network, xs)` must get finite points; {error}.") from None
    denominator = math.lcm(*(t.denominator for row in ratios for t in row), 1)
    h = np.empty((inputs, len(points)), dtype=object)
    for i, row in enumerate(ratios):
        h[:, i] = [int(t * denominator) for t in row]
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        h = np.maximum(h, 0) if i > 0 else h
        h, denominator = _affine(w, np.asarray(b), h, denominator)
    values = np.empty(h.T.shape, dtype=object)
    values.reshape(-1)[:] = [Fraction(n, denominator) for n in h.T.flat]
    return values.reshape(*x.shape[:-1], network.widths[-1])


def _affine(w: Any, b: np.ndarray, h: np.ndarray, denominator: int) -> tuple[np.ndarray, int]:
    # Every floating type is a part of float64; SciPy has no matrices of two bytes.
    matrix = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w).astype(np.float64)
    b = b.astype(np.float64)
    rows, columns, values = scipy.sparse.find(matrix)
    if not (np.isfinite(values).all() and np.isfinite(b).all()):
        raise ValueError(
            "`realize_exact(network, xs)` must get finite parameters; got NaN or infinity."
        )
    entries, p = to_integers(values)
    offsets, q = to_integers(b)
    # h / D and W / 2^p give sums over D 2^p; the biases are over 2^q.
    total = denominator << max(p, q - _twos(denominator))
    up = total // (denominator << p)
    result = np.repeat((offsets * (total >> q))[:, None], h.shape[1], axis=1)
    order = np.argsort(rows, kind="stable")
    for k in order.tolist():
        result[rows[k]] += (int(entries[k]) * up) * h[columns[k]]
    drop = strip_zeros(result, limit=_twos(total))
    return result >> drop, total >> drop


def _twos(n: int) -> int:
    """How often two divides n."""
    return (n & -n).bit_length() - 1
