"""Sums of products of polynomials or of waves on a rectangle."""

import math
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial import legendre
from scipy.sparse import csr_matrix

from ._formula import AbstractFormula, bits_of_choice
from ._plane import in_blocks
from ._waves import circled

# A table with up to so many places for each pair is filled with zeros: its product is quicker.
_FULL = 8


class TensorSeries(AbstractFormula):
    r"""$\sum_j c_j\, \varphi_{k_j}(x)\, \varphi_{l_j}(y)$ on a rectangle.

    - `coefficients`: $c_j$.
    - `terms`: the pairs $(k_j, l_j)$, shape (terms, 2).
    - `domain`: the ends (lower, upper), two tuples of two floats.
    - `basis`: `"legendre"`, polynomials at most 1, or `"waves"`, those of `Waves`.
    - `chosen`: whether the terms were chosen, so that naming them takes bits.
    """

    coefficients: Float[np.ndarray, " terms"]
    terms: Int[np.ndarray, "terms 2"]
    domain: Any = eqx.field(static=True)
    basis: str = eqx.field(static=True)
    chosen: bool = eqx.field(static=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at points (..., 2), of shape (...)."""
        lower, upper = np.array(self.domain)
        # Of M pairs in a hyperbolic cross most functions of one variable are in few pairs.
        (first, i), (second, j) = (np.unique(k, return_inverse=True) for k in self.terms.T)
        table = csr_matrix((self.coefficients, (j, i)), shape=(second.size, first.size))
        full = second.size * first.size <= _FULL * self.terms.shape[0]
        table = table.toarray() if full else table

        def values(points):
            t = (points - lower) / (upper - lower)
            one, two = (
                tabulated(t[:, k], used, self.basis) for k, used in enumerate((first, second))
            )
            return np.einsum("kn,nk->n", table @ one.T, two)

        return in_blocks(values, x, "TensorSeries")

    @property
    def sensitivity(self) -> float:
        r"""1 for each product of polynomials, 2 for each product of waves."""
        return float(self.terms.shape[0] * (1 if self.basis == "legendre" else 2))

    @property
    def position_bits(self) -> float:
        """Bits that name the pairs among all up to the highest ones, or in a hyperbolic cross."""
        if not self.chosen:
            return 0.0
        rows, columns = (self.terms.max(axis=0) + 1).tolist()
        # All with (i + 1)(j + 1) up to the largest such product; a bit tells which of the two.
        largest = int(np.max(np.prod(self.terms + 1, axis=1)))
        cross = int(np.sum(np.minimum(largest // np.arange(1, rows + 1), columns)))
        count = self.terms.shape[0]
        return min(bits_of_choice(count, rows * columns), 1 + bits_of_choice(count, cross))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True


def tabulated(t: np.ndarray, used: np.ndarray, basis: str) -> np.ndarray:
    """Functions of a basis, given by increasing numbers, at parts t of the interval, (t, used)."""
    most = int(used[-1])
    if basis == "legendre":
        table = legendre.legvander(2 * t - 1, most)
        return table if used.size == most + 1 else table[:, used]
    # e^(2 pi i k t) with k = width * i + j as a product of two: few exponentials for each point.
    frequency, place = np.unique((used + 1) // 2, return_inverse=True)
    width = math.isqrt(int(frequency[-1])) + 1
    few = circled(t, width)
    far = circled(np.mod(width * t, 1.0), int(frequency[-1]) // width + 1)
    result = np.empty((t.size, used.size))
    result[:, used == 0] = 1.0
    waves = far[:, frequency // width]
    waves *= few[:, frequency % width]
    for part, numbers in (
        (np.imag(waves), used % 2 == 1),
        (np.real(waves), (used % 2 == 0) & (used > 0)),
    ):
        result[:, numbers] = math.sqrt(2) * part[:, place[numbers]]
    return result
