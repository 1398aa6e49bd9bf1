"""The built-in functions that are twice continuously differentiable on their domain."""

import math

import numpy as np
from scipy import special

from ._builtin import Builtin, Closed, Facts, both_uniform
from ._rates import Regularity

PI = math.pi

# Convex or concave f, sup norm: the interpolant lies on one side of f with gaps g_i on the cells;
# shifted by half of the largest gap its error is max g_i / 2, and the best line on the worst cell
# alone is no better. So on given knots the best error is half of the largest gap, exactly, and with
# free knots all gaps are equal. "convex" in a source refers to this.
CONVEX = "derived (convex: half of the largest gap to the chord)"


def square() -> Builtin:
    # All cells of x^2 of one width are alike up to a linear function, so equal cells are best in
    # every norm, and the p-th power of the error is N times that of one cell.
    closed = {}
    for p, constant in ((math.inf, 1 / 8), (2.0, 1 / math.sqrt(180)), (1.0, 1 / 16)):
        every = Closed(lambda n, c=constant: c / n**2, "exact", "derived (all cells alike)")
        closed |= {("free-knot", p): every} | both_uniform(p, every)
    return Builtin(
        "square",
        lambda x, xp: x * x,
        lambda x: 2 * x,
        lambda x: np.full_like(x, 2.0),
        description="x^2",
        difficulty="smooth",
        facts=Facts(1 / 3, 1 / math.sqrt(5), 1.0, monotone=1, convex=1),
        regularity=Regularity(degree=2),
        closed=closed,
    )


def cubic() -> Builtin:
    return Builtin(
        "cubic",
        lambda x, xp: x * x * x,
        lambda x: 3 * x * x,
        lambda x: 6 * x,
        domain=(-1.0, 1.0),
        description="x^3 on [-1, 1]; flat in the middle",
        difficulty="smooth",
        facts=Facts(1 / 2, math.sqrt(2 / 7), 1.0, monotone=1, convex=0, inflections=(0.0,)),
        regularity=Regularity(degree=3),
    )


def exp() -> Builtin:
    # Chord of e^u over [-d, 0], d = 3h: slope m = (1 - e^-d)/d = 1 - q, touched from below at
    # u = ln m, gap 1 + m ln m - m = q + (1 - q) log1p(-q). The last cell is the worst one.
    def last_cell(n: int) -> float:
        d = 3 / n
        q = (d + math.expm1(-d)) / d if d > 1e-2 else d / 2 - d**2 / 6 + d**3 / 24 - d**4 / 120
        gap = q + (1 - q) * math.log1p(-q) if q > 1e-3 else q**2 / 2 + q**3 / 6 + q**4 / 12
        return math.exp(3) * gap / 2

    return Builtin(
        "exp",
        lambda x, xp: xp.exp(3 * x),
        lambda x: 3 * np.exp(3 * x),
        lambda x: 9 * np.exp(3 * x),
        description="exp(3x)",
        difficulty="smooth",
        facts=Facts(
            math.expm1(3) / 3, math.sqrt(math.expm1(6) / 6), math.exp(3), monotone=1, convex=1
        ),
        closed=both_uniform(math.inf, Closed(last_cell, "exact", CONVEX)),
    )


def reciprocal() -> Builtin:
    # The gap of 1/x to its chord over [u, v] is (u^-1/2 - v^-1/2)^2.
    a, b = 0.1, 1.0

    def half_gap(u: float, v: float) -> float:
        return (v - u) ** 2 / (math.sqrt(u * v) * (math.sqrt(u) + math.sqrt(v))) ** 2 / 2

    return Builtin(
        "reciprocal",
        lambda x, xp: 1 / x,
        lambda x: -1 / x**2,
        lambda x: 2 / x**3,
        domain=(a, b),
        description="1/x on [1/10, 1]",
        difficulty="smooth",
        facts=Facts(math.log(10), 3.0, 10.0, monotone=-1, convex=1),
        closed={("free-knot", math.inf): Closed(lambda n: half_gap(a, b) / n**2, "exact", CONVEX)}
        | both_uniform(math.inf, Closed(lambda n: half_gap(a, a + (b - a) / n), "exact", CONVEX)),
    )


def _wave(name: str, half_periods: int, difficulty: str) -> Builtin:
    w = half_periods * PI
    return Builtin(
        name,
        lambda x, xp: xp.sin(w * x),
        lambda x: w * np.cos(w * x),
        lambda x: -(w**2) * np.sin(w * x),
        description=f"sin({half_periods} pi x)",
        difficulty=difficulty,
        facts=Facts(
            2 / PI,
            1 / math.sqrt(2),
            1.0,
            monotone=0,
            convex=0,
            inflections=tuple(k / half_periods for k in range(1, half_periods)),
        ),
        turns=tuple((k + 0.5) / half_periods for k in range(half_periods)),
    )


def sine() -> Builtin:
    return _wave("sine", 2, "smooth")


def oscillation() -> Builtin:
    return _wave("oscillation", 16, "oscillating")


def gaussian() -> Builtin:
    # z = 10 (x - 1/2): f = exp(-z^2/2), f'' = 100 (z^2 - 1) f, f''' ~ z (3 - z^2) f.
    def value(x, xp):
        z = 10 * (x - 0.5)
        return xp.exp(-z * z / 2)

    return Builtin(
        "gaussian",
        value,
        lambda x: -100 * (x - 0.5) * value(x, np),
        lambda x: 100 * (100 * (x - 0.5) ** 2 - 1) * value(x, np),
        description="exp(-50 (x - 1/2)^2)",
        difficulty="smooth",
        facts=Facts(
            math.sqrt(PI / 50) * math.erf(math.sqrt(12.5)),
            math.sqrt(math.sqrt(PI) / 10 * math.erf(5)),
            1.0,
            monotone=0,
            convex=0,
            inflections=(0.4, 0.6),
        ),
        turns=(0.5 - math.sqrt(3) / 10, 0.5, 0.5 + math.sqrt(3) / 10),
    )


def runge() -> Builtin:
    # u = 5 (2x - 1): f = 1/(1 + u^2), f'' = 100 (6u^2 - 2)/(1 + u^2)^3, f''' ~ u (1 - u^2).
    def u(x):
        return 5 * (2 * x - 1)

    root = 1 / math.sqrt(3)
    return Builtin(
        "runge",
        lambda x, xp: 1 / (1 + u(x) ** 2),
        lambda x: -20 * u(x) / (1 + u(x) ** 2) ** 2,
        lambda x: 100 * (6 * u(x) ** 2 - 2) / (1 + u(x) ** 2) ** 3,
        description="1/(1 + 25 (2x - 1)^2)",
        difficulty="steep",
        facts=Facts(
            math.atan(5) / 5,
            math.sqrt(1 / 52 + math.atan(5) / 10),
            1.0,
            monotone=0,
            convex=0,
            inflections=(0.5 - root / 10, 0.5 + root / 10),
        ),
        turns=(0.4, 0.5, 0.6),
    )


def tanh() -> Builtin:
    # T = tanh(k(x - 1/2)): f'' = -2 k^2 T (1 - T^2), f''' ~ 1 - 3 T^2.
    k = 50.0
    turn = math.atanh(1 / math.sqrt(3)) / k

    def slope(x):
        return k / np.cosh(k * (x - 0.5)) ** 2

    return Builtin(
        "tanh",
        lambda x, xp: xp.tanh(k * (x - 0.5)),
        slope,
        lambda x: -2 * k * np.tanh(k * (x - 0.5)) * slope(x),
        description="tanh(50 (x - 1/2))",
        difficulty="steep",
        facts=Facts(
            2 / k * math.log(math.cosh(k / 2)),
            math.sqrt(1 - 2 * math.tanh(k / 2) / k),
            math.tanh(k / 2),
            monotone=1,
            convex=0,
            inflections=(0.5,),
        ),
        turns=(0.5 - turn, 0.5 + turn),
    )


def chirp() -> Builtin:
    # phi = c x^2, c = 16 pi: f'' = 2c (cos phi - 2 phi sin phi), zero where tan phi = 1/(2 phi);
    # d/dphi f'' ~ 3 sin phi + 2 phi cos phi, zero where tan phi = -2 phi/3. Both fixed-point
    # iterations below contract by 3/4 or better on each branch.
    c = 16 * PI
    branch = np.arange(16) * PI
    inflection, turn = branch + PI / 4, branch + 3 * PI / 4
    for _ in range(200):
        inflection = branch + np.arctan(1 / (2 * inflection))
        turn = branch + PI - np.arctan(2 * turn / 3)
    fresnel = special.fresnel(np.sqrt(2 * np.arange(17)))[0]
    return Builtin(
        "chirp",
        lambda x, xp: xp.sin(c * x * x),
        lambda x: 2 * c * x * np.cos(c * x * x),
        lambda x: 2 * c * (np.cos(c * x * x) - 2 * c * x * x * np.sin(c * x * x)),
        description="sin(16 pi x^2), faster and faster",
        difficulty="oscillating",
        facts=Facts(
            float(np.abs(np.diff(fresnel)).sum() / math.sqrt(32)),
            math.sqrt(0.5 - float(special.fresnel(8.0)[1]) / 16),
            1.0,
            monotone=0,
            convex=0,
            inflections=tuple(np.sqrt(inflection / c).tolist()),
        ),
        turns=tuple(np.sqrt(turn / c).tolist()),
    )
