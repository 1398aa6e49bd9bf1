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
# An error of this share of the largest value is left to rounding.
_REACHED = 1e-12
# Terms beyond: the algorithm takes time of their fourth power, and float64 is reached long before.
_MOST = 100


class Rational(AbstractFamily):
    r"""Quotients of polynomials of degree m - 1 by SciPy's AAA: M = 3 m parameters.

    A term has a support point, a value and a weight; a size that is no multiple of three leaves
    one or two parameters unused and says so. The algorithm is greedy and aims at the sup norm; the
    same quotient serves every norm. Where it has a pole in the interval, or is farther away than a
    constant, one with fewer terms is taken, and `notes` says it. Analytic functions with singular
    points on the interval are met at the rate $e^{-c \sqrt m}$, so there is no exponent of M; see
    the verdict of a fit.

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
        """Three: a constant, the value at its support point."""
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
            why = "more change nothing, are worse or have a pole inside"
            notes.append(f"{terms} of {wanted} terms: {why}")
        return Approximant(function, 1, 64.0, function.connectivity, notes="; ".join(notes))


def _without_poles(points: Quadrature, wanted: int) -> Barycentric:
    """The best quotient without poles of as many terms as there are any, a constant at worst."""
    a, b = points.lower, points.upper
    even = chebyshev_mesh(a, b, _SAMPLES)
    # Close samples at the ends of a smooth target breed poles; at singular points they are needed.
    samples = [even, np.unique(np.concatenate([even, points.mesh]))]
    judge = np.unique(np.concatenate([chebyshev_mesh(a, b, 4 * _SAMPLES + 1), points.mesh]))
    values = points.function(judge)
    middle = int(np.argmin(np.abs(values - (values.max() + values.min()) / 2)))
    best = _constant(points, judge[middle], values[middle])
    least = float(np.max(np.abs(values - values[middle])))
    for terms in range(wanted, 1, -1):
        for function in (_aaa(points, x, terms) for x in samples):
            error = math.inf
            if function.bounded:
                error = float(np.max(np.abs(function(judge) - values)))
            if error < least:
                best, least = function, error
        # Where the algorithm removed terms that cancelled, fewer of them may be better.
        if best.places.size >= terms or least <= _REACHED * points.scale:
            break
    return best


def _constant(points: Quadrature, place: float, value: float) -> Barycentric:
    a, b = points.lower, points.upper
    return Barycentric(
        places=np.array([(place - a) / (b - a)]),
        values=np.array([value]),
        weights=np.ones(1),
        domain=(a, b),
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
