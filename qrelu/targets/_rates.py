"""The rates that theory gives in one dimension: splines, polynomials, Fourier sums, wavelets."""

import math
import re
from typing import NamedTuple

UNIFORM = ("uniform-knot", "dyadic-tree")

_ORDERS = {
    "free-knot": (2, True),
    "uniform-knot": (2, False),
    "dyadic-tree": (2, False),
    "piecewise-constant-uniform": (1, False),
    "piecewise-constant-free": (1, True),
}


class KnownRate(NamedTuple):
    r"""The error falls like $N^{-\gamma} (\log N)^{\texttt{log\_power}}$ in the number of pieces N.

    For sums of polynomials, waves or wavelets N is the number of terms.

    - `gamma`: the exponent; infinite where the function is reproduced from some size on.
    - `log_power`: the power of the logarithm that multiplies, 0 where there is none.
    - `source`: where it comes from, "derived" with a reason or the paper.
    - `estimated`: whether the regularity behind it was read off numerical values, so that the rate
      is likely but not proven.
    """

    gamma: float
    log_power: float
    source: str
    estimated: bool = False


class Regularity(NamedTuple):
    r"""What decides the rate.

    - `exponents`: an $a$ for every point where f'' grows like $|x - c|^{a - 2}$ (1 for $x \log x$);
      between these points and the kinks f is analytic.
    - `kinks`: whether the slope jumps somewhere between pieces with bounded second derivative.
    - `linear`: the number of pieces if f is itself piecewise linear.
    - `degree`: the degree if f is itself a polynomial.
    - `hoelder`: the exponent of a function that is rough at every point and every scale.
    """

    exponents: tuple[float, ...] = ()
    kinks: bool = False
    linear: int | None = None
    degree: int | None = None
    hoelder: float | None = None


def known_rate(
    kind: str, p: float, regularity: Regularity, *, at_end: bool, periodic: bool
) -> KnownRate | None:
    r"""The exponent of the best error in $L^p$ with N pieces or terms, or None where none is known.

    `at_end` says that the singular points are ends of the domain, `periodic` that the values at the
    two ends agree. None also stands where the error falls faster than every power of N.
    """
    numbered = re.fullmatch(r"spline-(\d+)-(uniform|free)", kind)
    if numbered:
        return _splines(int(numbered[1]), numbered[2] == "free", p, regularity)
    if kind in _ORDERS:
        return _splines(*_ORDERS[kind], p, regularity)
    if kind == "polynomial":
        return _polynomials(p, regularity, at_end)
    if kind.startswith("fourier"):
        return None if periodic else _waves(p, regularity)
    if kind.startswith("wavelet"):
        moments = re.fullmatch(r"wavelet-(?:haar|db(\d+))", kind)
        return moments and _wavelets(int(moments[1] or 1), p, regularity)
    return None


def _splines(order: int, free: bool, p: float, regularity: Regularity) -> KnownRate | None:
    r"""Splines of an order r: degree r - 1, with N pieces.

    Free knots: rate r whenever $\int |f^{(r)}|^{1/(r + 1/p)}$ converges. For $f \sim |x-c|^a$ the
    integrand is $|x-c|^{(a-r)/(r+1/p)}$, integrable iff $a > -1/p$, that is always for $a > 0$.

    Uniform knots with spacing h: on the cell at the singular point the error is
    $h^a \cdot h^{1/p}$ by scaling; the cell number j beyond it adds $(h^a j^{a-r})^p h$, a sum that
    converges iff $(r - a) p > 1$. So the exponent is $\min(r, a + 1/p)$, with a factor
    $(\log N)^{1/p}$ where the two are equal. A kink counts as $a = 1$ without that sum, so without
    the logarithm; constants do not see it.

    A function whose graph repeats itself at every dyadic scale with factor $2^{-\alpha}$: no
    choice of knots helps, since half of 2N dyadic cells hold no knot. For $\alpha = 1$ and
    constants the slope on a cell of length $2^{-m}$ is a sum of m signs: of size $m^{1/2}$ in the
    mean and m at most.
    """
    if regularity.hoelder is not None:
        return _rough(order, free, p, regularity.hoelder)
    if regularity.degree is not None and regularity.degree < order:
        return _reproduced(regularity.degree)
    if free:
        if regularity.linear is not None and order == 2:
            reason = f"derived: reproduced exactly by {regularity.linear} pieces"
            return KnownRate(math.inf, 0.0, reason)
        if regularity.linear is not None and order > 2:
            return None
        return KnownRate(float(order), 0.0, "classical; [deboor1973], recalled")
    exponents = [a for a in regularity.exponents if order > 1 or a < 1]
    worst = min((a + 1 / p for a in exponents), default=math.inf)
    local = min(worst, 1 + 1 / p if regularity.kinks and order > 1 else math.inf)
    if order == 1 and any(a == 1 for a in regularity.exponents):
        return None  # x log x: f' grows like a logarithm
    if local > order:
        return KnownRate(float(order), 0.0, "classical")
    logarithm = 1 / p if worst == local == order else 0.0
    reason = "classical; local scaling at the "
    reason += "kink, unless it meets a knot" if local < worst else "singular point"
    return KnownRate(local, logarithm, reason)


def _reproduced(degree: int) -> KnownRate:
    return KnownRate(math.inf, 0.0, f"derived: a polynomial of degree {degree}, reproduced exactly")


def _rough(order: int, free: bool, p: float, alpha: float) -> KnownRate | None:
    if alpha < order:
        reason = "classical (Hoelder class); no choice of knots helps a function rough at every"
        return KnownRate(alpha, 0.0, reason + " scale")
    if free:
        return None
    return KnownRate(1.0, 1.0 if p == math.inf else 0.5, "derived: slopes are sums of log N signs")


def _polynomials(p: float, regularity: Regularity, at_end: bool) -> KnownRate | None:
    # |x - c|^a inside the domain gives n^-(a + 1/p), at an end n^-2(a + 1/p). In the sup norm the
    # converse theorems hold for rough functions too.
    if regularity.degree is not None:
        return _reproduced(regularity.degree)
    if p not in (2.0, math.inf):
        return None
    source = "classical (Bernstein: singularities and best polynomials), recalled"
    if regularity.hoelder is not None:
        return KnownRate(regularity.hoelder, 0.0, source) if p == math.inf else None
    local = [2 * (a + 1 / p) if at_end else a + 1 / p for a in regularity.exponents]
    local += [1 + 1 / p] if regularity.kinks else []
    return KnownRate(min(local), 0.0, source) if local else None


def _waves(p: float, regularity: Regularity) -> KnownRate | None:
    # The periodic continuation jumps: coefficients of order 1/k.
    if p != 2 or regularity.hoelder is not None:
        return None
    reason = "derived: the values at the two ends differ, so coefficients fall like 1/k"
    return KnownRate(0.5, 0.0, reason)


def _wavelets(moments: int, p: float, regularity: Regularity) -> KnownRate | None:
    # As for free knots of the same order: few coefficients of each level belong to singular points.
    if p != 2:
        return None
    source = "[devore1998], recalled: best M-term approximation and Besov spaces"
    if regularity.hoelder is not None:
        rough = regularity.hoelder < moments
        return KnownRate(regularity.hoelder, 0.0, source) if rough else None
    pieces_vanish = regularity.linear is not None and moments > 1
    if pieces_vanish or (regularity.degree is not None and regularity.degree < moments):
        return None  # only wavelets at kinks are left, a few of each level: faster than any power
    return KnownRate(float(moments), 0.0, source)
