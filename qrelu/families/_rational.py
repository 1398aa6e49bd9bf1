"""Rational functions by the AAA algorithm."""

import math
import warnings

import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._barycentric import Barycentric
from ._family import AbstractFamily, check_types, checked_size
from ._nodes import chebyshev_mesh
from ._quadrature import Quadrature, quadrature
from ._refusals import refuse_jumps

# A support point, a value and a weight.
_TERM = 3
# Samples beside the target's own mesh.
_SAMPLES = 200
# Relative accuracy at which the algorithm stops by itself: beyond, it fits rounding by poles.
_ACCURACY = 1e-14
# Terms beyond: the algorithm takes time of their fourth power, and float64 is reached long before.
_MOST = 100


class Rational(AbstractFamily):
    r"""Quotients of polynomials of degree m - 1 by SciPy's AAA: M = 3 m parameters.

    A term has a support point, a value and a weight; a size that is no multiple of three leaves
    one or two parameters unused and says so. The algorithm is greedy and aims at the sup norm; the
    same quotient serves every norm. Where it has a pole in the interval, one with fewer terms is
    taken, and `notes` says it. Analytic functions with singular points on the interval are met at
    the rate $e^{-c \sqrt m}$, so there is no exponent of M; see the verdict of a fit.

    **Reference:** [nakatsukasa2018].
    """

    @property
    def kind(self) -> str:
        """The word "rational"."""
        return "rational"

    @property
    def name(self) -> str:
        """What tables show."""
        return "rational"

    @property
    def minimum_size(self) -> int:
        """Three: a constant, which takes the value at its support point."""
        return _TERM

    def pieces(self, size: int) -> int:
        """One: a quotient without poles is smooth."""
        checked_size("Rational().pieces(size)", size, self.minimum_size)
        return 1

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The quotient with `size // 3` terms.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: number of parameters that must not be exceeded, at least 3.
        - `norm`: `L1()`, `L2()` or `Sup()`; the quotient is the same.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `Barycentric`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 3, a target with NaN or infinite values, or one that jumps, in
          the sup norm.
        """
        call = "Rational().fit(target, size, norm=...)"
        check_types(call, target, norm)
        size = checked_size("Rational().fit(target, size)", size, self.minimum_size)
        points = quadrature(target)
        refuse_jumps(call, points, norm.p, target.name)
        wanted = min(size // _TERM, _MOST)
        notes = []
        if size % _TERM:
            notes.append(f"{size - size % _TERM} of {size} parameters: a term takes three")
        if size // _TERM > _MOST:
            notes.append(f"{_MOST} terms, the most that are tried")
        function = _without_poles(points, wanted)
        terms = function.places.size
        if terms < wanted:
            notes.append(f"{terms} of {wanted} terms: more change nothing or have a pole inside")
        return Approximant(function, 1, 64.0, function.connectivity, notes="; ".join(notes))


def _without_poles(points: Quadrature, wanted: int) -> Barycentric:
    """The best quotient without poles of the most terms for which one is found."""
    a, b = points.lower, points.upper
    even = chebyshev_mesh(a, b, _SAMPLES)
    # Close samples at the ends of a smooth target breed poles; at singular points they are needed.
    samples = [even, np.unique(np.concatenate([even, points.mesh]))]
    judge = np.unique(np.concatenate([chebyshev_mesh(a, b, 4 * _SAMPLES + 1), points.mesh]))
    values = points.function(judge)
    for terms in range(wanted, 0, -1):
        found = [_aaa(points, x, terms) for x in samples]
        usable = [function for function in found if function.bounded]
        if usable:
            errors = [np.max(np.abs(function(judge) - values)) for function in usable]
            return usable[int(np.argmin(errors))]
    raise ValueError(
        "`Rational().fit(target, size, norm=...)` must find a quotient without poles in the "
        "interval; the algorithm found none. Use a family of splines."
    )


def _aaa(points: Quadrature, x: np.ndarray, terms: int) -> Barycentric:
    from scipy.interpolate import AAA

    a, b = points.lower, points.upper
    with warnings.catch_warnings():
        # It did not reach its own accuracy with so few terms: that is what is measured.
        warnings.simplefilter("ignore", RuntimeWarning)
        # Scaled by a power of two, so that no product of tiny or huge values ends beyond float64.
        power = math.frexp(points.scale)[1]
        values = np.ldexp(points.function(x), -power)
        found = AAA((x - a) / (b - a), values, max_terms=terms, rtol=_ACCURACY)
    return Barycentric(
        places=np.array(found.support_points, np.float64),
        values=np.ldexp(np.array(found.support_values, np.float64), power),
        weights=np.array(found.weights, np.float64),
        domain=(a, b),
    )
