"""Polynomials as sums of Legendre or Chebyshev polynomials."""

import equinox as eqx
import numpy as np
from jaxtyping import Float
from numpy.polynomial import chebyshev, legendre

from ._formula import AbstractIntervalFormula
from ._nodes import chebyshev_mesh

_EPS = float(np.finfo(np.float64).eps)
# Cells of the least mesh: the target has its own difficulties.
_LEAST_CELLS = 32
_VALUES = {"legendre": legendre.legval, "chebyshev": chebyshev.chebval}


class OrthogonalSeries(AbstractIntervalFormula):
    r"""$\sum_k c_k P_k(t)$ or $\sum_k c_k T_k(t)$, with t the place of x mapped to [-1, 1].

    - `coefficients`: $c_0, \ldots, c_n$.
    - `basis`: `"legendre"` or `"chebyshev"`; all $|P_k|, |T_k| \le 1$.
    """

    coefficients: Float[np.ndarray, " terms"]
    domain: tuple[float, float] = eqx.field(static=True)
    basis: str = eqx.field(static=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at `x`, by Clenshaw's recurrence."""
        a, b = self.domain
        x = np.asarray(x, np.float64)
        return _VALUES[self.basis](((x - a) + (x - b)) / (b - a), self.coefficients)

    @property
    def breakpoints(self) -> np.ndarray:
        """None: a polynomial is smooth."""
        return np.zeros(0)

    @property
    def mesh(self) -> np.ndarray:
        """As many cells as the degree, finer towards the ends like the zeros."""
        return chebyshev_mesh(*self.domain, max(self.coefficients.size, _LEAST_CELLS))

    @property
    def roundoff(self) -> float:
        """Of the recurrence, a few units for each step, and of t, which moves P_k by k^2 units."""
        k = np.arange(self.coefficients.size)
        return float(_EPS * np.abs(self.coefficients) @ (4 + 2 * k + k**2))

    @property
    def sensitivity(self) -> float:
        """The number of terms, each at most 1."""
        return float(self.coefficients.size)

    @property
    def position_bits(self) -> float:
        """None: the terms are those of lowest degree."""
        return 0.0

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    def linear_pieces(self) -> None:
        """It is not linear."""
        return None
