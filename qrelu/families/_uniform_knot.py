"""One hidden layer with equidistant knots."""

import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._best_values import best_values
from ._family import AbstractFamily, check_types, checked_size
from ._quadrature import quadrature
from ._refusals import refuse_jumps
from ._spline import HINGE, network_from_spline, pieces_for, unused


class UniformKnot(AbstractFamily):
    r"""One hidden layer with equidistant knots and the best values for them.

    N pieces take at most 3 N + 1 nonzero parameters, as with free knots. For f'' in $L^p$ the
    error falls like $N^{-2}$ too, with $\|f''\|_p$ in place of the smaller
    $(\int |f''|^{1/(2+1/p)})^{2+1/p}$; at a singularity the rate itself is lower.
    """

    @property
    def kind(self) -> str:
        """The word "uniform-knot"."""
        return "uniform-knot"

    @property
    def name(self) -> str:
        """What tables show."""
        return "uniform-knot"

    @property
    def minimum_size(self) -> int:
        """Four: one hinge and the output bias."""
        return HINGE + 1

    def pieces(self, size: int) -> int:
        """Pieces of the network of connectivity at most `size`: floor((size - 1) / 3)."""
        return pieces_for(checked_size("UniformKnot().pieces(size)", size, self.minimum_size))

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The network of one hidden layer with equidistant knots.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: connectivity that must not be exceeded, at least 4.
        - `norm`: `L1()`, `L2()` or `Sup()`. In L^2 the values are the exact least squares.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` with float64 parameters.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 4, a target with NaN or infinite values, or one that jumps, in
          the sup norm.
        """
        check_types("UniformKnot().fit(target, size, norm=...)", target, norm)
        size = checked_size("UniformKnot().fit(target, size)", size, self.minimum_size)
        pieces = pieces_for(size)
        points = quadrature(target)
        refuse_jumps("UniformKnot().fit(target, size, norm=...)", points, norm.p, target.name)
        knots = np.linspace(points.lower, points.upper, pieces + 1)
        network = network_from_spline(best_values(points, knots, norm.p))
        return Approximant(network, pieces, 64.0, network.connectivity, notes=unused(size))
