"""The built-in functions with kinks, singular points or roughness at every scale."""

import math

import numpy as np

from ._balanced import balanced_error, gap_of_entropy, gap_of_power
from ._builtin import Builtin, Closed, Facts, both_uniform
from ._rates import Regularity
from ._smooth import CONVEX

PI = math.pi
THIRD = 1 / 3  # on no dyadic grid


def _power_integral(factor: float, exponent: float, lengths: tuple[float, ...] = (1.0,)):
    r"""$s \mapsto \int |f''|^s$ for $|f''| = \texttt{factor} \cdot d^{\texttt{exponent}}$, d the
    distance to the singular point, over sides of the given lengths; infinite where it diverges."""

    def integral(s: float) -> float:
        q = 1 + exponent * s
        return factor**s * sum(length**q for length in lengths) / q if q > 0 else math.inf

    return integral


def power() -> Builtin:
    # Chord of x^(3/2) over [0, h]: slope h^(1/2), touched at 4h/9, gap 4/27 h^(3/2).
    return Builtin(
        "power1.5",
        lambda x, xp: x * xp.sqrt(x),
        lambda x: 1.5 * np.sqrt(x),
        lambda x: 0.75 / np.sqrt(x),
        description="x^1.5",
        difficulty="singular",
        facts=Facts(2 / 5, 1 / 2, 1.0, monotone=1, convex=1),
        singular_ends=(True, False),
        regularity=Regularity(exponents=(1.5,)),
        integral=_power_integral(0.75, -0.5),
        closed={("free-knot", math.inf): Closed(balanced_error(gap_of_power, 1.5), "exact", CONVEX)}
        | both_uniform(math.inf, Closed(lambda n: 2 / 27 / n**1.5, "exact", CONVEX)),
        modulus=lambda h: 1.5 * h,
    )


def sqrt() -> Builtin:
    # The gap of sqrt to its chord over [u, v] is (sqrt v - sqrt u)^2 / (4 (sqrt u + sqrt v)): equal
    # on all cells for sqrt(t_i) = i(i+1)/(N(N+1)), and h^(1/2)/4 on the first of N equal cells.
    return Builtin(
        "sqrt",
        lambda x, xp: xp.sqrt(x),
        lambda x: 0.5 / np.sqrt(x),
        lambda x: -0.25 / (x * np.sqrt(x)),
        description="sqrt(x)",
        difficulty="singular",
        facts=Facts(2 / 3, 1 / math.sqrt(2), 1.0, monotone=1, convex=-1),
        singular_ends=(True, False),
        regularity=Regularity(exponents=(0.5,)),
        integral=_power_integral(0.25, -1.5),
        closed={("free-knot", math.inf): Closed(lambda n: 1 / (4 * n * (n + 1)), "exact", CONVEX)}
        | both_uniform(math.inf, Closed(lambda n: 1 / (8 * math.sqrt(n)), "exact", CONVEX)),
        modulus=lambda h: np.sqrt(np.minimum(h, 1.0)),
    )


def entropy() -> Builtin:
    # Chord of x log x over [0, h]: touched at h/e, gap h/e.
    def value(x, xp):
        return x * xp.log(xp.where(x == 0, 1.0, x))

    def modulus(h):
        # Convex, so |f(x + h) - f(x)| is largest at an end; f falls until x = 1/e, then rises.
        near, far = np.minimum(h, 1 / math.e), np.minimum(h, 1 - 1 / math.e)
        return np.maximum(-value(near, np), -value(1 - far, np))

    return Builtin(
        "entropy",
        value,
        lambda x: np.log(x) + 1,
        lambda x: 1 / x,
        description="x log x",
        difficulty="singular",
        facts=Facts(1 / 4, math.sqrt(2 / 27), 1 / math.e, monotone=0, convex=1),
        singular_ends=(True, False),
        regularity=Regularity(exponents=(1.0,)),
        integral=_power_integral(1.0, -1.0),
        closed={
            ("free-knot", math.inf): Closed(balanced_error(gap_of_entropy, 1.0), "exact", CONVEX)
        }
        | both_uniform(math.inf, Closed(lambda n: 1 / (2 * math.e * n), "exact", CONVEX)),
        modulus=modulus,
    )


def kink() -> Builtin:
    # On N uniform cells, N no multiple of 3, the kink divides its cell as theta = 1/3 : 2/3 and f
    # differs from its interpolant by a triangle of height H = 2 theta (1 - theta) h over that cell.
    # Sup: convex, half of H. L^2: with the Gram matrix (h/6)[1 4 1] of the hats, whose inverse far
    # from the ends is (6/h) z^|i-j| / sqrt(12), z = sqrt(3) - 2, and the moments h H (1/2 - m),
    # h H m, m = (1 + theta)/6, of the triangle,
    #     E^2 = h H^2 (1/3 - 6/sqrt(12) (m^2 + (1/2 - m)^2 + 2 z m (1/2 - m))).
    theta = THIRD
    height = 2 * theta * (1 - theta)
    m = (1 + theta) / 6
    z = math.sqrt(3) - 2
    moments = m**2 + (0.5 - m) ** 2 + 2 * z * m * (0.5 - m)
    square_root = height * math.sqrt(1 / 3 - 6 / math.sqrt(12) * moments)
    sup = Closed(lambda n: 0.0 if n % 3 == 0 else height / 2 / n, "exact", CONVEX)
    middle = Closed(
        lambda n: 0.0 if n % 3 == 0 else square_root / n**1.5,
        "asymptotic",
        "derived (projection of one triangle on the hats)",
    )
    return Builtin(
        "kink",
        lambda x, xp: xp.abs(x - THIRD),
        lambda x: np.sign(x - THIRD),
        lambda x: np.zeros_like(x),
        description="|x - 1/3|; two pieces reproduce it, and N even ones if 3 divides N",
        difficulty="kinked",
        facts=Facts(5 / 18, 1 / 3, 2 / 3, monotone=0, convex=1),
        breakpoints=(THIRD,),
        regularity=Regularity(kinks=True, linear=2),
        integral=lambda s: 0.0,
        closed=both_uniform(math.inf, sup)
        | {("uniform-knot", 2.0): middle}
        | {("free-knot", math.inf): Closed(lambda n: 2 / 9 if n == 1 else 0.0, "exact", CONVEX)},
        modulus=lambda h: h,
    )


def corners() -> Builtin:
    w = 3 * PI
    return Builtin(
        "corners",
        lambda x, xp: xp.abs(xp.sin(w * x)),
        lambda x: w * np.cos(w * x) * np.sign(np.sin(w * x)),
        lambda x: -(w**2) * np.abs(np.sin(w * x)),
        description="|sin(3 pi x)|, kinks at 1/3 and 2/3: knots if 3 divides N",
        difficulty="kinked",
        facts=Facts(2 / PI, 1 / math.sqrt(2), 1.0, monotone=0, convex=0),
        breakpoints=(THIRD, 2 * THIRD),
        regularity=Regularity(kinks=True),
        turns=(1 / 6, 1 / 2, 5 / 6),
        modulus=lambda h: w * h,
    )


def cusp() -> Builtin:
    # Uniform cells, N no multiple of 3: the chord over the cell of the cusp passes
    # sqrt(theta (1 - theta)) (sqrt(theta) + sqrt(1 - theta)) h^(1/2) above it, theta = 1/3, and
    # shifted by half of that it is best (error + - + at left end, cusp, right end). Elsewhere f is
    # concave with smaller gaps, which the shift by at most as much covers. N a multiple of 3: the
    # two cells at the cusp are those of sqrt.
    theta = THIRD
    half = math.sqrt(theta * (1 - theta)) * (math.sqrt(theta) + math.sqrt(1 - theta)) / 2

    def value(x, xp):
        return xp.sqrt(xp.abs(x - THIRD))

    def slope(x):
        d = x - THIRD
        return np.sign(d) * 0.5 / np.sqrt(np.where(d == 0, 1.0, np.abs(d)))

    return Builtin(
        "cusp",
        value,
        slope,
        lambda x: -0.25 / np.abs(x - THIRD) ** 1.5,
        description="|x - 1/3|^0.5; 1/3 is a knot if 3 divides N",
        difficulty="singular",
        facts=Facts(
            2 / 3 * (THIRD**1.5 + (1 - THIRD) ** 1.5),
            math.sqrt(5 / 18),
            math.sqrt(2 / 3),
            monotone=0,
            convex=0,
        ),
        breakpoints=(THIRD,),
        regularity=Regularity(exponents=(0.5,)),
        integral=_power_integral(0.25, -1.5, (THIRD, 1 - THIRD)),
        closed=both_uniform(
            math.inf,
            Closed(
                lambda n: (half if n % 3 else 1 / 8) / math.sqrt(n), "exact", "derived (worst cell)"
            ),
        ),
        modulus=lambda h: np.sqrt(h),
    )


def takagi() -> Builtin:
    r"""$T(x) = \sum_k 2^{-k} d(2^k x)$, d the distance to the nearest integer.

    On N = 2^m uniform cells the interpolant is the partial sum and f minus it is 2^-m T(2^m x). The
    best line on one cell is a constant (T is symmetric): sup, 1/3, for T takes 0, 2/3, 0 at
    0, 1/3, 1; L^2, the mean 1/2, with variance 1/36, since d(2^j x) and d(2^k x) are uncorrelated
    for j < k and have variance 1/48. One and the same constant on all cells is continuous.
    """
    # A float in [0, 1] below 1/2 may have more than 53 bits after the point; later terms are below
    # 2^-64 and change nothing.
    terms = 64

    def value(x, xp):
        total = 0 * x
        for k in range(terms):
            y = x * 2.0**k
            total = total + xp.abs(y - xp.round(y)) * 2.0**-k
        return total

    def modulus(h):
        # Term k changes by at most min(h, 2^-k / 2).
        h = np.asarray(h)
        return sum(np.minimum(h, 2.0**-k / 2) for k in range(terms)) + 2.0**-terms

    def dyadic(constant: float) -> Closed:
        return Closed(
            lambda n: constant / n if n & (n - 1) == 0 else None, "exact", "derived (self-similar)"
        )

    return Builtin(
        "takagi",
        value,
        description="Takagi's curve; deep networks compute its partial sums",
        difficulty="rough",
        facts=Facts(1 / 2, math.sqrt(10) / 6, 2 / 3, monotone=0, convex=0),
        regularity=Regularity(hoelder=1.0),
        closed=both_uniform(math.inf, dyadic(1 / 3)) | both_uniform(2.0, dyadic(1 / 6)),
        modulus=modulus,
    )


def weierstrass() -> Builtin:
    r"""$W(x) = \sum_{k<40} 2^{-k/2} \cos(2 \pi 2^k x)$, Hoelder continuous with exponent 1/2.

    In floating point 2^k x and its fractional part are exact. The sum is cut at 40 terms, far below
    the scale of any mesh, so that the function is defined by what is evaluated.
    """
    terms = 40

    def value(x, xp):
        total = 0 * x
        for k in range(terms):
            y = x * 2.0**k
            total = total + 2.0 ** (-k / 2) * xp.cos(2 * PI * (y - xp.round(y)))
        return total

    def modulus(h):
        # |cos 2 pi u - cos 2 pi v| <= min(2, 2 pi |u - v|).
        h = np.asarray(h)
        return sum(2.0 ** (-k / 2) * np.minimum(2, 2 * PI * 2.0**k * h) for k in range(terms))

    return Builtin(
        "weierstrass",
        value,
        description="sum of 2^(-k/2) cos(2 pi 2^k x), 40 terms",
        difficulty="rough",
        facts=Facts(
            None,
            math.sqrt(1 - 2.0**-terms),
            sum(2.0 ** (-k / 2) for k in range(terms)),
            monotone=0,
            convex=0,
        ),
        regularity=Regularity(hoelder=0.5),
        modulus=modulus,
    )
