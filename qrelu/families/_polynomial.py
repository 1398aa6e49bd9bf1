"""Polynomials on the whole interval."""

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, check_types, checked_size
from ._nodes import chebyshev_mesh, composite_rule
from ._orthogonal_series import OrthogonalSeries
from ._quadrature import Quadrature, quadrature
from ._refusals import refuse_jumps
from ._remez import best_polynomial, canonical, interpolating

# Exchanges take memory and time of order degree^2: half a second here.
_MOST_EXCHANGED = 400
# An exchange that ends within this factor of a lower bound of the best error is as good as done.
_GOOD = 1.001
# Coefficients below this many units in the last place of the target are rounding.
_ROUNDING = 8
# Cells of the quadrature at least, for functions that are rough.
_CELLS = 512
# Points at which all Legendre polynomials are evaluated at once, so that they stay in the cache.
_BLOCK = 2**13


class Polynomial(AbstractFamily):
    r"""Polynomials of degree M - 1 on the whole interval: M coefficients.

    In $L^2$ the Legendre projection, which is the best one. In the sup norm the best one by
    Remez's exchange up to degree 400, beyond it and with `sup="chebyshev"` the interpolant at
    Chebyshev points, whose error is at most $2 + (2/\pi) \log M$ times the best. In $L^1$ the
    interpolant at the zeros of the Chebyshev polynomial of the second kind, the best one where the
    error changes its sign nowhere else.

    Coefficients are those of the Legendre or Chebyshev polynomials, all at most 1 on the domain.
    A coefficient below eight units in the last place of the target (times k + 1 in $L^2$) is set to
    zero and not counted.

    **Arguments:**

    - `sup`: `"best"` or `"chebyshev"`, for the sup norm.

    **Reference:** classical; the factor is the Lebesgue constant of Chebyshev points, recalled.
    """

    sup: str = eqx.field(static=True, default="best")

    def __check_init__(self):
        if self.sup not in ("best", "chebyshev"):
            raise ValueError(
                f'`Polynomial(sup=...)` must be "best" or "chebyshev"; got {self.sup!r}.'
            )

    @property
    def kind(self) -> str:
        """The word "polynomial"."""
        return "polynomial"

    @property
    def name(self) -> str:
        """What tables show."""
        return "polynomial" if self.sup == "best" else "polynomial, chebyshev"

    @property
    def minimum_size(self) -> int:
        """One: a constant."""
        return 1

    def pieces(self, size: int) -> int:
        """One."""
        checked_size("Polynomial().pieces(size)", size, self.minimum_size)
        return 1

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The polynomial with `size` coefficients.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: number of coefficients, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is an `OrthogonalSeries`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target with NaN or infinite values, or one that jumps, in
          the sup norm.
        """
        check_types("Polynomial().fit(target, size, norm=...)", target, norm)
        size = checked_size("Polynomial().fit(target, size)", size, self.minimum_size)
        points = quadrature(target)
        refuse_jumps("Polynomial().fit(target, size, norm=...)", points, norm.p, target.name)
        # No sum of values leaves the range of float64.
        unit, points = points.unit, points.in_units()
        notes = ""
        if norm.p == 2:
            basis, coefficients = "legendre", projection(points, size)
        else:
            basis = "chebyshev"
            coefficients, notes = self._interpolated(points, size, norm.p)
        # A Legendre coefficient is (2k + 1)/2 times an integral.
        growth = np.arange(1, size + 1) if basis == "legendre" else 1
        rounding = _ROUNDING * np.finfo(float).eps * points.scale * growth
        coefficients = np.where(np.abs(coefficients) > rounding, coefficients, 0.0)
        function = OrthogonalSeries(
            coefficients=unit * coefficients, domain=(points.lower, points.upper), basis=basis
        )
        return Approximant(function, 1, 64.0, function.connectivity, notes=notes)

    def _interpolated(self, points: Quadrature, size: int, p: float) -> tuple[np.ndarray, str]:
        a, b = points.lower, points.upper

        def function(t):
            return points.function(np.clip(a + (b - a) * ((t + 1) / 2), a, b))

        if p == 1:
            return canonical(function, size), ""
        near = interpolating(function, size)
        if self.sup == "chebyshev":
            return near, ""
        if size > _MOST_EXCHANGED:
            return near, f"near-best: no exchange beyond {_MOST_EXCHANGED} coefficients"
        special = np.clip((2 * points.mesh - a - b) / (b - a), -1.0, 1.0)
        best, factor = best_polynomial(function, size - 1, special)
        note = f"near-best: proven within {factor:.3g} times the best" if factor > _GOOD else ""
        return best, note


def projection(points: Quadrature, terms: int) -> np.ndarray:
    r"""$c_k = (2k+1)/2 \int_{-1}^1 f(t) P_k(t)\,dt$, by the three-term recurrence."""
    a, b = points.lower, points.upper
    # A polynomial of degree n oscillates n / 2 times: once in each cell.
    x, weights = composite_rule(points, chebyshev_mesh(a, b, max(terms // 2, _CELLS)))
    x, weights = x.ravel(), weights.ravel() * 2 / (b - a)
    weighted = points.function(x) * weights
    t = ((x - a) + (x - b)) / (b - a)
    integrals = np.zeros(terms)
    for i in range(0, len(t), _BLOCK):
        integrals += _legendre_sums(t[i : i + _BLOCK], weighted[i : i + _BLOCK], terms)
    return (2 * np.arange(terms) + 1) / 2 * integrals


def _legendre_sums(t: np.ndarray, weighted: np.ndarray, terms: int) -> np.ndarray:
    r"""$\sum_i w_i P_k(t_i)$ for all k, by $(k+1) P_{k+1} = (2k+1) t P_k - k P_{k-1}$ in place."""
    sums = np.empty(terms)
    before, now, next_ = np.zeros_like(t), np.ones_like(t), np.empty_like(t)
    for k in range(terms):
        sums[k] = weighted @ now
        np.multiply(t, now, out=next_)
        next_ *= (2 * k + 1) / (k + 1)
        before *= k / (k + 1)
        next_ -= before
        before, now, next_ = now, next_, before
    return sums
