"""How well a family can approximate all functions of a class: proven bounds of the worst error."""

import math
import re
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from ..targets import (
    AbstractFunctionClass,
    Besov,
    BoundedVariation,
    Hoelder,
    Lipschitz,
    PiecewiseSmooth,
    Sobolev,
)
from ._bumps import degree_for, distance_from_polynomials, height, peak

# A dozen operations in float64.
_DOWN, _UP = 1 - 2.0**-40, 1 + 2.0**-40
# Polynomials of a higher order on each piece leave nothing to prove by bumps of low degree.
_MOST_TERMS = 12


class ClassError(NamedTuple):
    r"""The worst error of a family over a class, $\sup_{f \in C} \inf_{g \in \Sigma} \|f - g\|$.

    **Attributes:**

    - `lower`: a proven lower bound; 0 where none is known.
    - `upper`: a proven upper bound; infinite where none is known.
    - `source`: what they rest on.
    """

    lower: float
    upper: float
    source: str

    @property
    def exact(self) -> bool:
        """Whether the two bounds are one number, up to rounding."""
        return self.lower > 0 and self.upper <= self.lower * (1 + 2.0**-30)


class _Reach(NamedTuple):
    """What the functions of a family at a size can do; None where that is not known.

    Changes of sign; inner knots of the pieces and terms of the polynomial on each; the dimension of
    a linear space that holds them all; terms of a best sum of Haar functions.
    """

    signs: int | None = None
    knots: int | None = None
    terms: int = 0
    dimension: int | None = None
    haar: int | None = None


def class_error(
    function_class: Any,
    family: Any,
    size: int,
    norm: Any,
    *,
    rounded: bool = False,
) -> ClassError:
    r"""Proven bounds of the worst error of a family over a class of functions of one variable.

    What a family reaches on drawn functions is no bound of this number; it is a different number.

    Known: for piecewise constants, splines, networks of one hidden layer and dyadic trees in all
    three norms; for polynomials and trigonometric sums of lowest frequencies in the sup norm and
    in $L^2$; for sums of Haar functions; for classes of Lipschitz, Hoelder, Sobolev, and piecewise
    smooth functions, of bounded variation, and (linear families in $L^2$) of Besov functions. Exact
    for piecewise constants and Lipschitz functions (in the sup norm Hoelder functions too):
    $r L^s N^{-s}/2$ in the sup norm, $r L^{3/2} N^{-1}/\sqrt{12}$ in $L^2$, $r L^2 N^{-1}/4$ in
    $L^1$ with N pieces on an interval of length L.

    **Arguments:**

    - `function_class`: a class of `targets`.
    - `family`: any object with `kind` and `pieces(size)`, such as `families.FreeKnot()`.
    - `size`: the connectivity that the family may use.
    - `norm`: any object with the attribute `p`, such as `norms.L2()`.
    - `rounded`: whether the parameters are rounded, which may move knots and so leave a linear
        space; networks of one hidden layer then have a piece more, dyadic trees no known number.
        No upper bound is known then.

    **Returns:**

    A `ClassError`.

    **Raises:**

    - `TypeError`: for what is no class, no family, no whole number or no norm.
    - `ValueError`: for a class of several variables, one that is not compact in the norm, or a
      size below the family's least one.

    **Reference:** derived, above the code of each argument; the widths behind the linear families
    and the counts of sign changes are classical.
    """
    if not isinstance(function_class, AbstractFunctionClass):
        raise TypeError(
            "`class_error(function_class, ...)` must be a class of functions; got "
            f"{function_class!r:.80}. Use one of `targets`, such as `targets.Lipschitz()`."
        )
    if function_class.dimension != 1:
        raise ValueError(
            "`class_error(function_class, ...)` must be a class of functions of one variable; got "
            f"{function_class.name}."
        )
    if not (hasattr(family, "kind") and hasattr(family, "pieces")):
        raise TypeError(
            "`class_error(..., family, ...)` must be a family with `kind` and `pieces(size)`; got "
            f"{family!r:.80}. `families.get` finds one by its name."
        )
    _check_size(family, size)
    if not hasattr(norm, "p"):
        raise TypeError(
            "`class_error(..., norm)` must be a norm with the exponent `p`, such as `norms.L2()`; "
            f"got {norm!r:.80}."
        )
    p = float(norm.p)
    if why := function_class.why_not_compact(p):
        raise ValueError(
            "`class_error(function_class, ..., norm)` must be a class that is compact in the norm; "
            f"{function_class.name}: {why}. Use another norm."
        )
    reach = _reach(family, size, rounded)
    found = [
        (_by_signs(function_class, reach, p), "more changes of sign than the family has"),
        (_by_knots(function_class, reach, p), "more bumps than the family has knots"),
        (_by_dimension(function_class, reach, p), "the average over signs of bumps (width)"),
        (_by_jumps(function_class, reach, p), "the average over places of a jump (width)"),
        (_by_wavelets(function_class, reach, p), "one level of wavelets (width)"),
        (_by_polynomial(function_class, reach, p), "a polynomial of one degree more"),
        (_by_line(function_class, reach, p), "the Haar coefficients of a straight line"),
    ]
    lower, source = max(found, key=lambda pair: pair[0])
    # How far rounding moves the best function is another question.
    upper = math.inf if rounded else _upper(function_class, family, size, p)
    if lower <= 0:
        return ClassError(0.0, upper, "no lower bound is known for this family and class")
    return ClassError(lower, upper, f"derived: {source}")


def _check_size(family: Any, size: Any) -> None:
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
        raise TypeError(
            f"`class_error(..., size, ...)` must be a whole number; got {size!r:.80}. It is the "
            "number of parameters that the family may use."
        )
    least = int(getattr(family, "minimum_size", 1))
    if size < least:
        raise ValueError(
            f"`class_error(..., size, ...)` must be at least {least} for this family; got {size}."
        )


def _reach(family: Any, size: int, rounded: bool) -> _Reach:
    kind = str(family.kind)
    if kind == "polynomial":
        return _Reach(signs=size - 1, knots=0, terms=size, dimension=size)
    if kind == "fourier-lowest":
        # A sum of frequencies up to K has at most 2 K zeros in a period.
        waves = 2 * ((size - 1) // 2) + 1
        return _Reach(signs=waves - 1, dimension=waves)
    if kind == "wavelet-haar":
        # Three jumps for each function.
        return _Reach(signs=3 * size, knots=3 * size, terms=1, haar=size)
    order = _order(kind)
    if order is None or (rounded and kind == "dyadic-tree"):
        return _Reach()
    count = int(family.pieces(size))
    if rounded and order == 2:
        count += 1  # the two hinges at one knot part
    # A spline with n = N + k - 1 B-splines has at most n - 1 changes of sign (variation
    # diminishing); on fixed knots they span n dimensions.
    free = kind.endswith("free") or kind == "free-knot" or rounded
    return _Reach(
        signs=count + order - 2,
        knots=count - 1,
        terms=order,
        dimension=None if free else count + order - 1,
    )


def _order(kind: str) -> int | None:
    """The order of a family of splines by its kind."""
    if kind.startswith("piecewise-constant"):
        return 1
    if kind in ("free-knot", "uniform-knot", "dyadic-tree"):
        return 2
    found = re.fullmatch(r"spline-(\d+)-(?:uniform|free)", kind)
    return int(found.group(1)) if found else None


def _length(function_class: AbstractFunctionClass) -> float:
    lower, upper = function_class.domain
    return float(upper) - float(lower)


def _roughness(function_class: AbstractFunctionClass) -> float | None:
    """The smoothness of a Hoelder class up to 1, or None."""
    if not isinstance(function_class, Lipschitz | Hoelder | PiecewiseSmooth):
        return None
    s = float(function_class.smoothness)
    return s if s <= 1 else None


# A function of the class with S + 2 points where it is A in size and alternates in sign: if g has
# at most S changes of sign, then at one of these points it does not have the sign of f, and
# |f - g| >= A there.
#
# Hoelder, s <= 1: the zigzag with S + 1 teeth of length h = L/(S + 1), values +-A and A = r h^s/2:
# it changes by at most min(2 A t/h, 2 A) <= 2 A (t/h)^s = r t^s over a distance t.
# Else: S + 2 bumps with alternating signs.
def _by_signs(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    if reach.signs is None or not math.isinf(p):
        return 0.0
    length, r = _length(function_class), float(function_class.radius)
    if (s := _roughness(function_class)) is not None:
        return min(r * (length / (reach.signs + 1)) ** s / 2, r) * _DOWN
    if (degree := degree_for(function_class)) is None:
        return 0.0
    used = reach.signs + 2
    return height(function_class, length / used, used) * peak(degree) * _DOWN


# m bumps on equal cells; at least m - J of the cells have no knot of g inside (J knots), and there
# g is a polynomial with as many terms as the order says. The errors of these cells add up.
def _by_knots(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    degree = degree_for(function_class)
    if reach.knots is None or degree is None or not 1 <= reach.terms <= _MOST_TERMS:
        return 0.0
    length, best = _length(function_class), 0.0
    gap = distance_from_polynomials(degree, reach.terms, p)
    for m in _counts(reach.knots):
        cell = length / m
        c = height(function_class, cell, m)
        share = 1.0 if math.isinf(p) else ((m - reach.knots) * cell) ** (1 / p)
        best = max(best, c * gap * share)
    return best * _DOWN


def _counts(least: int) -> list[int]:
    """Numbers above `least`, each of which gives a valid bound."""
    factors = np.concatenate([np.linspace(1.0, 2.0, 21), [2.5, 3.0, 4.0, 6.0]])
    return sorted({math.floor(least * factor) + 1 for factor in factors} | {least + 2})


# Let e_1, ..., e_m be orthogonal of equal norm and V a space of n < m dimensions. The squared
# distances of the e_i to V add up to m |e|^2 - sum |P e_i|^2 >= (m - n) |e|^2. So one e_i has at
# least the mean, (1 - n/m) |e|^2; and the mean of the squared distance of sum +-e_i over all signs,
# where products of different terms cancel, is their sum, so that some signs have (m - n) |e|^2.
def _by_dimension(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    degree = degree_for(function_class)
    if reach.dimension is None or degree is None or p != 2:
        return 0.0
    n, length, best = reach.dimension, _length(function_class), 0.0
    unit = distance_from_polynomials(degree, 0, 2.0)
    for m in _counts(n):
        cell = length / m
        every = height(function_class, cell, m) * math.sqrt(m - n)
        one = height(function_class, cell, 1) * math.sqrt(1 - n / m)
        best = max(best, max(every, one) * unit * math.sqrt(cell))
    return best * _DOWN


# f_t = -1 left of t and 1 right of it, t uniform in (0, 1): the mean of f_t(x) f_t(y) is
# 1 - 2 |x - y|. Its eigenfunctions obey u'' = -(4/l) u with u(0) = -u(1), u'(0) = -u'(1), so the
# eigenvalues are 4/((2 i - 1) pi)^2, twice each, with sum 1. For every space of n dimensions the
# mean of the squared distance of f_t is at least the sum of all but the n largest (Ky Fan), and
# some f_t has the mean. f_t times r is piecewise smooth, times r/2 it has variation r.
def _by_jumps(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    if reach.dimension is None or p != 2:
        return 0.0
    if isinstance(function_class, PiecewiseSmooth):
        size = float(function_class.radius)
    elif isinstance(function_class, BoundedVariation):
        size = float(function_class.radius) / 2
    else:
        return 0.0
    pairs, odd = divmod(reach.dimension, 2)
    rest = 2 * float(special.polygamma(1, pairs + 0.5)) / math.pi**2
    rest -= odd * 4 / ((2 * pairs + 1) * math.pi) ** 2
    return size * math.sqrt(rest * (1 - 2.0**-30) * _length(function_class)) * _DOWN


# The 2^j wavelets of level j are orthonormal (times the square root of L on an interval of length
# L); all of them with coefficients +-c are in the ball for c = r 2^(-j (s + 1/2)), one alone for
# c = r 2^(-j (s + 1/2 - 1/p)). Then as above.
def _by_wavelets(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    if not isinstance(function_class, Besov) or reach.dimension is None or p != 2:
        return 0.0
    n, s, r = reach.dimension, float(function_class.smoothness), float(function_class.radius)
    best = 0.0
    for level in range(n.bit_length(), n.bit_length() + 4):
        count = 2.0**level
        if count <= n:
            continue
        every = count ** -(s + 0.5) * math.sqrt(count - n)
        one = count ** -(s + 0.5 - 1 / float(function_class.p)) * math.sqrt(1 - n / count)
        best = max(best, every, one)
    return r * best * math.sqrt(_length(function_class)) * _DOWN


# f = c times the Chebyshev polynomial of degree k on the interval with leading coefficient 1. Its
# distance from polynomials with k terms on a piece of length h is c h^k D, times h^(1/p) in L^p,
# with the classical D for x^k on [0, 1]: 2^(1 - 2k) in the sup norm, 4^-k in L^1 and
# (k!)^2 / ((2k)! sqrt(2k + 1)) in L^2. For N pieces with sum L the total is least for equal ones,
# a power of h of at least 1 being convex.
def _by_polynomial(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    k = reach.terms
    if reach.knots is None or not 1 <= k <= _MOST_TERMS:
        return 0.0
    length, n = _length(function_class), reach.knots + 1
    if p == 2:
        distance = math.factorial(k) ** 2 / (math.factorial(2 * k) * math.sqrt(2 * k + 1))
    else:
        distance = 2.0 ** (1 - 2 * k) if math.isinf(p) else 4.0**-k
    power = length ** (k + (0 if math.isinf(p) else 1 / p))
    return _leading(function_class, k, length) * distance * power / float(n) ** k * _DOWN


# |f| <= c L^k 2^(1 - 2k). The k-th derivative is c k!, so the (k - 1)-th is Lipschitz with that
# constant: with the exponent a <= 1, c k! L^(1-a). The variation of a line is c L.
def _leading(function_class: AbstractFunctionClass, k: int, length: float) -> float:
    """The largest c for which f is in the class, 0 if the class is too rough to gain by it."""
    r, size = float(function_class.radius), 2.0 ** (1 - 2 * k) * length**k
    if isinstance(function_class, Lipschitz | Hoelder | PiecewiseSmooth):
        whole = math.ceil(function_class.smoothness) - 1
        if k > whole + 1:
            return 0.0
        a = float(function_class.smoothness) - whole
        steep = math.factorial(k) * length ** (1 - a) if k == whole + 1 else 0.0
        return r / max(size, steep)
    if isinstance(function_class, Sobolev):
        if k > function_class.smoothness:
            return 0.0
        steep = math.factorial(k) if k == function_class.smoothness else 0.0
        return r / (max(size, steep) * length ** (1 / float(function_class.p)))
    if isinstance(function_class, BoundedVariation) and k == 1:
        return r / length
    return 0.0


# f(x) = r (x - middle), of slope at most 2 r/L so that |f| <= r. The 2^j Haar coefficients of
# level j are r (2^-j L)^(3/2)/4 each and the mean is 0, so the best M terms are the first: with
# M = 2^J - 1 + rest the squared error is r^2 L^3/16 (4/3 4^-J - rest 8^-J).
def _by_line(function_class: AbstractFunctionClass, reach: _Reach, p: float) -> float:
    if reach.haar is None or p != 2:
        return 0.0
    length = _length(function_class)
    whole = (reach.haar + 1).bit_length() - 1
    rest = reach.haar + 1 - 2**whole
    squared = (4.0 ** (1 - whole) / 3 - rest * 8.0**-whole) / 16
    slope = _leading(function_class, 1, length)
    return slope * length**1.5 * math.sqrt(max(squared, 0.0)) * _DOWN


# N equal pieces of length h, f in the Hoelder ball with s <= 1. Constants: the middle of the range
# is within r h^s/2; the mean has the squared error h/2 times the mean of |f(u) - f(v)|^2 over the
# piece, at most h r^2 h^(2s)/((2s + 1)(2s + 2)); a Lipschitz function's value in the middle has the
# L^1 error r h^2/4. Chords: with f between the ends u, v of a piece at u + t h,
# |f - chord| <= r h^s ((1 - t) t^s + t (1 - t)^s) <= r h^s (2 t (1 - t))^s <= r (h/2)^s by Jensen.
def _upper(function_class: AbstractFunctionClass, family: Any, size: int, p: float) -> float:
    s = _roughness(function_class)
    order = _order(str(family.kind))
    if s is None or isinstance(function_class, PiecewiseSmooth) or order not in (1, 2):
        return math.inf
    length, r = _length(function_class), float(function_class.radius)
    h = length / int(family.pieces(size))
    if order == 2:
        sup = r * (h / 2) ** s
        return (sup if math.isinf(p) else sup * length ** (1 / p)) * _UP
    if math.isinf(p):
        return r * h**s / 2 * _UP
    if p == 1 and s == 1:
        return r * h / 4 * length * _UP
    square = r * h**s / math.sqrt((2 * s + 1) * (2 * s + 2))
    return square * length ** (1 / p) * _UP
