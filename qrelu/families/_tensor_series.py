"""Sums of products of polynomials or of waves on a rectangle."""

import math
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial import legendre

from ._formula import AbstractFormula, bits_of_choice
from ._plane import in_blocks


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
        most = self.terms.max(axis=0)
        table = np.zeros(most + 1)
        table[self.terms[:, 0], self.terms[:, 1]] = self.coefficients

        def values(points):
            t = (points - lower) / (upper - lower)
            first = tabulated(t[:, 0], int(most[0]) + 1, self.basis)
            second = tabulated(t[:, 1], int(most[1]) + 1, self.basis)
            return np.einsum("nk,nk->n", first @ table, second)

        return in_blocks(values, x, "TensorSeries")

    @property
    def sensitivity(self) -> float:
        r"""1 for each product of polynomials, 2 for each product of waves."""
        return float(self.terms.shape[0] * (1 if self.basis == "legendre" else 2))

    @property
    def position_bits(self) -> float:
        """Bits that name the pairs among all up to the highest ones."""
        if not self.chosen:
            return 0.0
        return bits_of_choice(self.terms.shape[0], int(np.prod(self.terms.max(axis=0) + 1)))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True


def tabulated(t: np.ndarray, count: int, basis: str) -> np.ndarray:
    """The first `count` functions of a basis at parts t of the interval, (t, count)."""
    if basis == "legendre":
        return legendre.legvander(2 * t - 1, count - 1)
    # e^(2 pi i k t) with k = width * i + j as a product of two: few exponentials for each point.
    highest = count // 2
    width = math.isqrt(highest) + 1
    few, far = (
        _circled(t[:, None] * k)
        for k in (np.arange(width), width * np.arange(highest // width + 1))
    )
    waves = math.sqrt(2) * (far[:, :, None] * few[:, None, :]).reshape(t.size, -1)
    result = np.empty((t.size, count))
    result[:, 0] = 1.0
    result[:, 1::2] = waves.imag[:, 1 : count // 2 + 1]
    result[:, 2::2] = waves.real[:, 1 : (count - 1) // 2 + 1]
    return result


def _circled(turns: np.ndarray) -> np.ndarray:
    """Points of the unit circle after so many turns."""
    angle = 2 * math.pi * (turns - np.floor(turns))
    return np.cos(angle) + 1j * np.sin(angle)
