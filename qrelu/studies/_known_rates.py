"""Rates that are proven, each for a function, a family and a norm, to be measured beside them."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import families, norms, targets
from ..families import AbstractFamily
from ..norms import AbstractNorm
from ..targets import AbstractTarget

# What a fit may miss a proven rate by: more where the rate carries a logarithm.
TOLERANCE, LOG_TOLERANCE = 0.05, 0.1
# The share of the theory's step with which the cases are rounded.
_SHARE = 1 / 16

_SPLINES = "classical (Jackson and Bernstein inequalities of splines, local scaling), recalled"
_BALANCED = "[deboor1973], recalled: pieces with equal integrals of a power of a derivative"
_BERNSTEIN = "classical (Bernstein: singularities and best polynomials), recalled"
_LEGENDRE = "derived (closed form of the Legendre coefficients)"
_FOURIER = "derived (closed form of the Fourier coefficients)"
_NONLINEAR = "[devore1998], recalled: best M-term approximation and Besov spaces"
_EDGE = "[donoho2001], recalled: wavelets at a curved edge"
_SELF_SIMILAR = "derived (self-similar: the error on dyadic cells in closed form)"

_BOUNDED = "coefficients are bounded and each moves the function by at most a power of M"
_POSITIONS = "as for all terms, and a position up to a power of M takes of order log M bits"
_DEEP = "as for chosen terms: levels are of order log M, so each moves the function by a power of M"
_KNOTS = "knots are no closer than a power of 1/M, so of order log M bits tell them apart"
_NETWORK = "[gonon2023]: Lipschitz in the parameters with a constant that is a power of M"


class KnownCase(NamedTuple):
    r"""A function, a family and a norm in which the rate is proven.

    - `target`, `family`, `norm`, `sizes`: what is approximated and how, at which sizes.
    - `gamma`, `log_power`: the error falls like $M^{-\gamma} (\log M)^{\texttt{log\_power}}$.
    - `source`: where that comes from; "recalled" is classical and from memory.
    - `kept`: whether rounding with of order log M bits for each parameter keeps the rate.
    - `why_kept`: the reason.
    """

    target: AbstractTarget
    family: AbstractFamily
    norm: AbstractNorm
    sizes: tuple[int, ...]
    gamma: float
    log_power: float
    source: str
    kept: bool
    why_kept: str

    @property
    def name(self) -> str:
        """Function, family and norm in words."""
        return f"{self.target.name}, {self.family.name}, {self.norm.name}"

    @property
    def tolerance(self) -> float:
        """How far a measured rate may lie from the proven one."""
        return LOG_TOLERANCE if self.log_power else TOLERANCE


def _doubling(start: int, count: int, shift: int = 0) -> tuple[int, ...]:
    return tuple((start << i) + shift for i in range(count))


@functools.lru_cache(maxsize=1)
def known_rates() -> tuple[KnownCase, ...]:
    r"""The table of proven rates, for networks and classical families.

    **Returns:**

    Cases in the order of their families; `measure_known(case)` measures one. Each rate is that of
    the best approximation in the family: it is attained, and no better one is possible, for the
    function named.
    """
    cases: list[KnownCase] = []
    L1, L2, Sup = norms.L1(), norms.L2(), norms.Sup()

    def add(target, family, norm, sizes, gamma, source, why, log_power=0.0):
        cases.append(KnownCase(target, family, norm, sizes, gamma, log_power, source, True, why))

    _networks(add, L1, L2, Sup)
    _constants_and_splines(add, L2, Sup)
    _polynomials(add, L2, Sup)
    _waves(add, L2, Sup)
    _wavelets(add, L2)
    return tuple(cases)


def _networks(add, L1, L2, Sup) -> None:
    get = targets.get
    free, even, tree = families.FreeKnot(), families.UniformKnot(), families.DyadicTree()
    many, even_sizes = _doubling(24, 7), _doubling(12, 7, 1)  # 4 * 2^k pieces
    for name, norm in (("exp", L2), ("sine", L1), ("sqrt", Sup), ("power1.5", L2)):
        add(get(name), free, norm, many, 2.0, _BALANCED, _NETWORK)
    add(get("runge"), even, L2, _doubling(48, 6, 1), 2.0, _SPLINES, _NETWORK)
    # a + 1/p for the singularity x^a at an end, and for a kink off the knots a = 1.
    add(get("sqrt"), even, Sup, even_sizes, 0.5, _SPLINES, _NETWORK)
    add(get("sqrt"), even, L2, even_sizes, 1.0, _SPLINES, _NETWORK)
    add(get("power1.5"), even, Sup, even_sizes, 1.5, _SPLINES, _NETWORK)
    add(get("power1.5"), even, L2, _doubling(12, 8, 1), 2.0, _SPLINES, _NETWORK, 0.5)
    add(get("corners"), even, L2, even_sizes, 1.5, _SPLINES, _NETWORK)
    add(get("exp"), tree, L2, _doubling(28, 6), 2.0, _SPLINES, _NETWORK)
    add(get("takagi"), tree, Sup, _doubling(28, 7), 1.0, _SELF_SIMILAR, _NETWORK)


def _constants_and_splines(add, L2, Sup) -> None:
    get = targets.get
    even, free = families.PiecewiseConstant(), families.PiecewiseConstant("free")
    sizes = _doubling(16, 7)
    add(get("exp"), even, L2, sizes, 1.0, _SPLINES, _BOUNDED)
    add(get("sqrt"), even, Sup, sizes, 0.5, _SPLINES, _BOUNDED)
    add(_step(), even, L2, sizes, 0.5, _SPLINES, _BOUNDED)
    # On a dyadic cell of length h = 2^-m Takagi's curve is a slope, a sum of m signs, and a copy of
    # itself: variance h^2 (m/12 + 1/36).
    add(get("takagi"), even, L2, _doubling(16, 7), 1.0, _SELF_SIMILAR, _BOUNDED, 0.5)
    # Bounded variation V: half of V/N, attained for monotone functions.
    add(get("sqrt"), free, Sup, _doubling(16, 7, -1), 1.0, _BALANCED, _KNOTS)
    add(get("exp"), free, L2, _doubling(16, 7, -1), 1.0, _BALANCED, _KNOTS)
    spline = families.Spline
    add(get("exp"), spline(3), L2, _doubling(8, 6, 2), 3.0, _SPLINES, _BOUNDED)
    add(get("exp"), spline(3), Sup, _doubling(8, 6, 2), 3.0, _SPLINES, _BOUNDED)
    add(get("exp"), spline(4), L2, _doubling(8, 6, 3), 4.0, _SPLINES, _BOUNDED)
    add(get("kink"), spline(4), L2, _doubling(16, 6, 3), 1.5, _SPLINES, _BOUNDED)
    add(get("exp"), spline(3, "free"), L2, _doubling(16, 5, 1), 3.0, _BALANCED, _KNOTS)
    add(get("sqrt"), spline(4, "free"), L2, _doubling(16, 5), 4.0, _BALANCED, _KNOTS)


def _polynomials(add, L2, Sup) -> None:
    get = targets.get
    polynomial = families.Polynomial()
    odd = _doubling(8, 5, 1)
    # |x - c|^a inside: n^-a in the sup norm, n^-(a + 1/2) in L^2; at an end n^-2a, n^-(2a + 1).
    add(_absolute(), polynomial, Sup, odd, 1.0, _BERNSTEIN, _BOUNDED)
    add(_absolute(), polynomial, L2, _doubling(16, 6, 1), 1.5, _LEGENDRE, _BOUNDED)
    add(get("sqrt"), polynomial, Sup, _doubling(8, 5), 1.0, _BERNSTEIN, _BOUNDED)
    add(get("sqrt"), polynomial, L2, _doubling(8, 6), 2.0, _LEGENDRE, _BOUNDED)
    add(get("power1.5"), polynomial, Sup, _doubling(8, 4), 3.0, _BERNSTEIN, _BOUNDED)
    add(_sign(), polynomial, L2, _doubling(16, 6), 0.5, _LEGENDRE, _BOUNDED)


def _waves(add, L2, Sup) -> None:
    lowest, largest = families.Fourier(), families.Fourier("largest")
    odd = _doubling(16, 7, 1)
    # Coefficients of order 1/k at a jump, 1/k^2 at a kink, 1/k^4 for the spline below.
    add(_sign(), lowest, L2, odd, 0.5, _FOURIER, _BOUNDED)
    add(_absolute(), lowest, L2, odd, 1.5, _FOURIER, _BOUNDED)
    add(_absolute(), lowest, Sup, odd, 1.0, _FOURIER, _BOUNDED)
    add(_periodic_spline(), lowest, L2, odd[:6], 3.5, _FOURIER, _BOUNDED)
    add(_periodic_spline(), lowest, Sup, odd[:6], 3.0, _FOURIER, _BOUNDED)
    add(_sign(), largest, L2, odd[:6], 0.5, _FOURIER, _POSITIONS)
    add(_absolute(), largest, L2, odd[:6], 1.5, _FOURIER, _POSITIONS)


def _wavelets(add, L2) -> None:
    get, wavelet = targets.get, families.Wavelet
    haar, sizes = wavelet(), _doubling(16, 6)
    add(_identity(), haar, L2, sizes, 1.0, "derived (closed form 2^-J / sqrt(12))", _POSITIONS)
    add(get("exp"), haar, L2, sizes, 1.0, _NONLINEAR, _POSITIONS)
    add(get("sqrt"), haar, L2, sizes, 1.0, _NONLINEAR, _POSITIONS)
    for n in (2, 3, 4):
        add(get("sine"), wavelet(f"db{n}", "periodic"), L2, sizes, float(n), _NONLINEAR, _POSITIONS)
    # At a jump a few terms of each level, of order log M in all: the smooth parts keep their rate.
    add(_waves_and_a_jump(6.0, 0.5), haar, L2, _doubling(32, 6), 1.0, _NONLINEAR, _DEEP)
    db2 = wavelet("db2")
    add(_waves_and_a_jump(100.0, 0.02), db2, L2, _doubling(128, 5), 2.0, _NONLINEAR, _DEEP)
    # A curve meets of order 2^q squares of level q, each with a coefficient of order 2^-q.
    plane = families.TensorWavelet()
    add(targets.cartoon(), plane, L2, _doubling(64, 4), 0.5, _EDGE, _POSITIONS)


def _absolute() -> AbstractTarget:
    return targets.Function(np.abs, (-1.0, 1.0), breakpoints=(0.0,), name="|x|")


def _sign() -> AbstractTarget:
    return targets.Function(np.sign, (-1.0, 1.0), breakpoints=(0.0,), name="sign x")


def _identity() -> AbstractTarget:
    return targets.Function(lambda x: 1.0 * x, (0.0, 1.0), name="x")


def _step() -> AbstractTarget:
    # Both values are nonzero, so that the number of pieces is the number of parameters.
    return targets.Function(
        lambda x: np.where(x < 1 / 3, 1.0, 2.0), (0.0, 1.0), breakpoints=(1 / 3,), name="step"
    )


def _waves_and_a_jump(frequency: float, jump: float) -> AbstractTarget:
    return targets.Function(
        lambda x: np.sin(frequency * x) + jump * (x > 1 / 3),
        (0.0, 1.0),
        breakpoints=(1 / 3,),
        name=f"sin {frequency:g}x and a jump",
    )


def _periodic_spline() -> AbstractTarget:
    return targets.Function(lambda x: (x * (1 - x)) ** 2, (0.0, 1.0), name="x^2 (1 - x)^2")


class MeasuredCase(NamedTuple):
    """A case with what was measured.

    - `case`: the proven rate.
    - `connectivity`, `errors`: what was measured at each size, equal functions once.
    - `gamma`: the measured rate; `how` says from which model, or that it is a slope.
    - `rounded`: the rate after rounding with a fixed share of the theory's step, so that rounding
        adds little to the error from the first size on; where the theory has no step (free knots),
        with the fewest bits that keep the error within a tenth.
    - `bits`: its bits per parameter at the largest size.
    """

    case: KnownCase
    connectivity: np.ndarray
    errors: np.ndarray
    gamma: float
    how: str
    rounded: float
    bits: float

    @property
    def recovered(self) -> bool:
        """Whether the measured rate is the proven one, up to the case's tolerance."""
        return abs(self.gamma - self.case.gamma) <= self.case.tolerance


def measure_known(case: KnownCase) -> MeasuredCase:
    """Fit, measure and find the rate of one case, unrounded and rounded.

    **Arguments:**

    - `case`: an entry of `known_rates()`.

    **Returns:**

    A `MeasuredCase`.
    """
    target, family, norm = case.target, case.family, case.norm
    fits = [family.fit(target, size, norm=norm) for size in case.sizes]
    errors = [norm.distance(fit.function, target) for fit in fits]
    counted = np.array([fit.connectivity for fit in fits])
    _, first = np.unique(counted, return_index=True)
    gamma, how = _rate(case, counted[first], [errors[i] for i in first])
    in_theory = all(getattr(fit.function, "sensitivity", 1.0) is not None for fit in fits)
    rule = families.TheoryStep(case.gamma, _SHARE) if in_theory else families.MatchedBits()
    wrapper = families.Quantized(family, rule)
    coarse = [wrapper.round(fits[i], target, norm=norm) for i in first]
    rounded, _ = _rate(
        case, counted[first], [norm.distance(fit.function, target) for fit in coarse]
    )
    bits = coarse[-1].bits_per_weight
    values = np.array([float(errors[i]) for i in first])
    return MeasuredCase(case, counted[first], values, gamma, how, rounded, bits)


def _rate(case: KnownCase, sizes: np.ndarray, errors: Sequence) -> tuple[float, str]:
    """The rate of `fit_rate`, or the slope of the larger half of the sizes where it gives none."""
    from ..rates import fit_rate, slope

    values = np.array([float(error) for error in errors])
    fit = fit_rate(sizes, values, uncertainties=[error.uncertainty for error in errors])
    if fit.established:
        return fit.gamma, fit.model
    half = max(len(sizes) // 2, 2)
    return float(slope(sizes[-half:].astype(np.float64), values[-half:])), "slope"
