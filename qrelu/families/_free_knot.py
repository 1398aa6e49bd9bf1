"""One hidden layer with free knots."""

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._best_spline import best_spline
from ._family import AbstractFamily, check_types, checked_size
from ._quadrature import quadrature
from ._refusals import refuse_jumps
from ._spline import HINGE, network_from_spline, pieces_for, unused


class FreeKnot(AbstractFamily):
    r"""One hidden layer whose knots and values are both chosen: the best that M parameters do.

    N pieces take N neurons and at most 3 N + 1 nonzero parameters, so a size M allows
    N = floor((M - 1) / 3) pieces, and for smooth f the best error is
    $E_N \sim C_p N^{-2} (\int |f''|^{1/(2+1/p)})^{2+1/p}$ in $L^p$.

    Knots start where $\int |f''|^{1/(2+1/p)}$ is equal on all pieces and are then moved by
    Newton's method on the stationarity conditions; small sizes also get global starts and knots
    that are removed here and inserted there. In the sup norm the polygon with the fewest links in
    a tube around the target is a global optimum. Hinges are oriented so that nothing cancels: the
    float64 network keeps the spline's error beyond 4,096 pieces. Evaluated in float32 it keeps the
    error of smooth targets to 1e-3 up to about 256 pieces, and from 2,048 on it does not improve
    any more (benchmarks/free_knot_reaches_the_limit.py).

    **Reference:** [deboor1973] for the density; the tridiagonal Newton system is derived in
    `_newton.py`.
    """

    @property
    def kind(self) -> str:
        """The word "free-knot"."""
        return "free-knot"

    @property
    def name(self) -> str:
        """What tables show."""
        return "free-knot"

    @property
    def minimum_size(self) -> int:
        """Four: one hinge and the output bias."""
        return HINGE + 1

    def pieces(self, size: int) -> int:
        """Pieces of the network of connectivity at most `size`: floor((size - 1) / 3)."""
        return pieces_for(checked_size("FreeKnot().pieces(size)", size, self.minimum_size))

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """A near-best network of one hidden layer.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: connectivity that must not be exceeded, at least 4.
        - `norm`: `L1()`, `L2()` or `Sup()`: the norm in which the network is good.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` with float64 parameters. It has fewer pieces than the size allows where
        more do not help: in the sup norm, and for data with fewer samples.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 4, a target with NaN or infinite values, or one that jumps, in
          the sup norm.
        """
        check_types("FreeKnot().fit(target, size, norm=...)", target, norm)
        size = checked_size("FreeKnot().fit(target, size)", size, self.minimum_size)
        points = quadrature(target)
        refuse_jumps("FreeKnot().fit(target, size, norm=...)", points, norm.p, target.name)
        spline = best_spline(points, pieces_for(size), norm.p)
        network, pieces = network_from_spline(spline), spline.knots.size - 1
        return Approximant(network, pieces, 64.0, network.connectivity, notes=unused(size))
