"""Piecewise constant functions."""

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._bspline import BSplines
from ._family import AbstractFamily, check_types, checked_size
from ._free_knots import free_ends
from ._piece_values import piece_values
from ._quadrature import quadrature
from ._refusals import refuse_jumps

KNOTS = ("uniform", "free")


class PiecewiseConstant(AbstractFamily):
    r"""Step functions: N values on N pieces, equal ones or with N - 1 free breakpoints.

    The value is the mean of the target on the piece in $L^2$, its median in $L^1$, the middle of
    its range in the sup norm: the best one. Free breakpoints are the best on a fine grid that holds
    the jumps of the target, by dynamic programming, then finer, for up to 64 pieces in $L^1$ and
    $L^2$; and the best ones for up to 512 in the sup norm. With more they balance the error as
    those of `Spline` do, from equal integrals of $|f'|^{1/(1 + 1/p)}$ and from equidistant ones to
    equal errors and, in $L^2$, to a local minimum, and one stands at each jump if they are enough.
    A size M allows M pieces, with free breakpoints (M + 1)/2; an even M is then one parameter more
    than can be used.

    **Arguments:**

    - `knots`: `"uniform"` or `"free"`.

    **Reference:** classical; [bellman1961]; derived for the density in `_balanced_knots.py`.
    """

    knots: str = eqx.field(static=True, default="uniform")

    def __check_init__(self):
        check_knots("PiecewiseConstant", self.knots)

    @property
    def kind(self) -> str:
        """The word "piecewise-constant" and the knots."""
        return f"piecewise-constant-{self.knots}"

    @property
    def name(self) -> str:
        """What tables show."""
        return "piecewise-constant" + (", free" if self.knots == "free" else "")

    @property
    def minimum_size(self) -> int:
        """One: a constant."""
        return 1

    def pieces(self, size: int) -> int:
        """Pieces that `size` parameters allow."""
        size = checked_size("PiecewiseConstant().pieces(size)", size, self.minimum_size)
        return size if self.knots == "uniform" else (size + 1) // 2

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The step function with the most pieces that `size` allows.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: number of parameters that must not be exceeded, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `BSplines` of order 1.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target with NaN or infinite values, or one that jumps, in
          the sup norm.
        """
        call = "PiecewiseConstant().fit(target, size, norm=...)"
        check_types(call, target, norm)
        count = self.pieces(size)
        points = quadrature(target)
        refuse_jumps(call, points, norm.p, target.name)
        a, b = points.lower, points.upper
        places, notes = None, ""
        if self.knots == "free":
            ends = free_ends(points.in_units(), count, 1, norm.p)[1]
            places = (ends[1:-1] - a) / (b - a)
            ends = np.concatenate([[a], a + (b - a) * places, [b]])
            if size % 2 == 0:
                notes = f"{size - 1} of {size} parameters: breakpoints and values come in pairs"
        else:
            ends = np.linspace(a, b, count + 1)
        values = piece_values(points, ends, norm.p)
        function = BSplines(coefficients=values, places=places, domain=(a, b), order=1)
        return Approximant(function, count, 64.0, function.connectivity, notes=notes)


def check_knots(call: str, knots: str) -> None:
    """An error for a word that is not one of the two."""
    if knots not in KNOTS:
        raise ValueError(f'`{call}(knots=...)` must be "uniform" or "free"; got {knots!r}.')
