"""Splines of a given order."""

import equinox as eqx
import numpy as np

from .._misc import plain
from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._best_spline import best_spline
from ._best_values import best_values
from ._bspline import BSplines
from ._family import AbstractFamily, check_types, checked_size
from ._free_knots import free_ends
from ._least_squares_spline import least_squares_spline
from ._piecewise_constant import check_knots
from ._quadrature import quadrature
from ._refusals import refuse_jumps

# Beyond, the condition of B-splines on uneven knots and derivatives from values lose their digits.
_MOST = 8


class Spline(AbstractFamily):
    r"""Splines of order r (degree r - 1, r - 2 times continuously differentiable).

    N equal pieces take N + r - 1 coefficients of B-splines; N - 1 free knots are parameters too.
    In $L^2$ the coefficients are best for the knots; the $L^2$ projection onto splines is bounded
    in the other norms as well, so they are near-best there up to a constant that depends on r only.
    For r = 2 they are best, or near-best, in the norm at hand. Free knots balance the error: from
    equal integrals of $|f^{(r)}|^{1/(r + 1/p)}$ and from equidistant ones they move towards equal
    errors of all pieces, and the best on the way are taken, so that they are never worse than
    equidistant ones; in $L^2$ these then go down to a local minimum of the error. If they are
    enough, r of them meet at each jump of the target, so that the spline jumps there, and r - 1 at
    each of its breakpoints, if that is better. For r = 2 they are those of `FreeKnot`, which spends
    three parameters per piece on the same function where this spends two.

    **Arguments:**

    - `order`: 2 for linear, 4 for cubic splines, at most 8; for order 1 use `PiecewiseConstant`.
    - `knots`: `"uniform"` or `"free"`.

    **Reference:** [deboor1973] for the density; the bounded projection is a theorem of Shadrin
    (2001), recalled.
    """

    order: int = eqx.field(converter=plain, static=True, default=4)
    knots: str = eqx.field(static=True, default="uniform")

    def __check_init__(self):
        check_knots("Spline", self.knots)
        whole = isinstance(self.order, int) and not isinstance(self.order, bool)
        if not whole or not 2 <= self.order <= _MOST:
            raise ValueError(
                f"`Spline(order=...)` must be a whole number from 2 to {_MOST}; got "
                f"{self.order!r}. It is the degree plus 1; for step functions use "
                "`PiecewiseConstant()`."
            )

    @property
    def kind(self) -> str:
        """The word that theory uses; order 2 has the words of the network families."""
        if self.order == 2:
            return "free-knot" if self.knots == "free" else "uniform-knot"
        return f"spline-{self.order}-{self.knots}"

    @property
    def name(self) -> str:
        """What tables show."""
        return f"spline of order {self.order}" + (", free" if self.knots == "free" else "")

    @property
    def minimum_size(self) -> int:
        """The order: one polynomial piece."""
        return self.order

    def pieces(self, size: int) -> int:
        """Pieces that `size` parameters allow."""
        size = checked_size(f"Spline({self.order}).pieces(size)", size, self.minimum_size)
        more = size - self.order
        return 1 + (more if self.knots == "uniform" else more // 2)

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The spline with the most pieces that `size` allows.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: number of parameters that must not be exceeded, at least the order.
        - `norm`: `L1()`, `L2()` or `Sup()`.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `BSplines`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below the order, a target with NaN or infinite values, or one that
          jumps, in the sup norm.
        """
        call = f"Spline({self.order}).fit(target, size, norm=...)"
        check_types(call, target, norm)
        count = self.pieces(size)
        points = quadrature(target)
        refuse_jumps(call, points, norm.p, target.name)
        a, b = points.lower, points.upper
        notes = ""
        if self.knots == "free" and (size - self.order) % 2:
            notes = f"{size - 1} of {size} parameters: a piece more takes a knot and a coefficient"
        if self.order == 2 and self.knots == "free":
            ends, coefficients = best_spline(points, count, norm.p)
        elif self.order == 2:
            ends, coefficients = best_values(points, np.linspace(a, b, count + 1), norm.p)
        else:
            ends, scaled = np.linspace(a, b, count + 1), points.in_units()
            if self.knots == "free":
                scaled, ends = free_ends(scaled, count, self.order, norm.p)
            coefficients = points.unit * least_squares_spline(scaled, ends, self.order)
        places = (ends[1:-1] - a) / (b - a) if self.knots == "free" else None
        function = BSplines(
            coefficients=np.array(coefficients), places=places, domain=(a, b), order=self.order
        )
        pieces = np.unique(ends).size - 1
        return Approximant(function, pieces, 64.0, function.connectivity, notes=notes)
