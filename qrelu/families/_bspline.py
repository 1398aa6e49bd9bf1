"""Splines of any order as sums of B-splines."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from .._misc import plain
from ._formula import AbstractIntervalFormula

_EPS = float(np.finfo(np.float64).eps)


class BSplines(AbstractIntervalFormula):
    r"""$\sum_k c_k B_k(x)$ of a given order (degree + 1) on knots that are equidistant or free.

    - `coefficients`: $c_k$, one for each piece and order - 1 more.
    - `places`: the inner knots as parts of the domain's length, increasing, where they were chosen;
      None for equidistant ones, which are no parameters.
    - `order`: 1 for piecewise constants, 2 for linear, 4 for cubic splines.
    """

    coefficients: Float[np.ndarray, " terms"]
    places: Float[np.ndarray, " knots"] | None
    domain: tuple[float, float] = eqx.field(static=True)
    order: int = eqx.field(converter=plain, static=True)

    @property
    def ends(self) -> np.ndarray:
        """The ends of all pieces, both ends of the domain included."""
        a, b = self.domain
        places = self.places
        if places is None:
            return np.linspace(a, b, self.coefficients.size - self.order + 2)
        # Rounded places stay in order; those that met count once.
        inner = np.unique(np.clip(a + (b - a) * places, a, b))
        return np.concatenate([[a], inner[(inner > a) & (inner < b)], [b]])

    def _knots(self) -> np.ndarray:
        a, b = self.domain
        if self.places is None:
            inner = self.ends[1:-1]
        else:
            inner = np.clip(a + (b - a) * np.sort(self.places), a, b)
        return np.concatenate([np.full(self.order, a), inner, np.full(self.order, b)])

    def _supported(self) -> tuple[np.ndarray, np.ndarray]:
        """Knots and coefficients without those of B-splines that are zero inside.

        Rounding can bring an inner knot to an end of the domain; at the end itself such a B-spline
        would be all that counts.
        """
        knots, order = self._knots(), self.order
        inner = knots[order:-order]
        first = int(np.count_nonzero(inner == knots[0]))
        last = int(np.count_nonzero(inner == knots[-1]))
        count = self.coefficients.size
        return knots[first : knots.size - last], self.coefficients[first : count - last]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at `x`, by de Boor's recurrence; at a jump those of the piece on the right."""
        x = np.asarray(x, np.float64)
        knots, coefficients = self._supported()
        if self.order == 1:
            return coefficients[np.searchsorted(knots[1:-1], x, side="right")]
        from scipy.interpolate import BSpline

        return BSpline(knots, coefficients, self.order - 1)(x)

    @property
    def breakpoints(self) -> np.ndarray:
        """The inner knots, where the derivative of degree order - 1 jumps."""
        return self.ends[1:-1]

    @property
    def mesh(self) -> np.ndarray:
        """The ends of the pieces."""
        return self.ends

    @property
    def roundoff(self) -> float:
        """Convex combinations of coefficients, `order` times; x minus a knot is exact."""
        return 4 * self.order * _EPS * float(np.max(np.abs(self.coefficients)))

    @property
    def sensitivity(self) -> float | None:
        """One for the coefficients, since B-splines add up to 1; None if knots are parameters."""
        return 1.0 if self.places is None else None

    @property
    def position_bits(self) -> float:
        """None: free knots are parameters."""
        return 0.0

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    def linear_pieces(self) -> tuple[np.ndarray, np.ndarray] | None:
        """For the orders 1 and 2."""
        if self.order > 2:
            return None
        ends = self.ends
        if self.order == 1:
            values = self(ends[:-1])
            return ends, np.stack([values, values])
        # Knots that met: the value from the left and from the right of each piece.
        left, right = ends[:-1], ends[1:]
        knots, c = self._knots()[1:-1], self.coefficients
        first = np.searchsorted(knots, left, side="right") - 1
        last = np.searchsorted(knots, right, side="left")
        return ends, np.stack([c[first], c[last]])
