"""L1, L2 and Sup on a table of problems with exact values.

Two different questions: are the norms accurate where they claim to be, and is the uncertainty
honest everywhere, on the rough problems too.
"""

import math
import pickle
from collections.abc import Callable
from typing import NamedTuple

import mpmath as mp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import norms

EPS = np.finfo(float).eps


class Target:
    """The part of a target that norms look at."""

    def __init__(self, f, domain=(0.0, 1.0), breakpoints=(), ends=(False, False), curvature=None):
        self.f, self.domain, self.breakpoints, self.singular_ends = f, domain, breakpoints, ends
        self.bound, self.name, self.calls = curvature, "target", 0

    def __call__(self, x):
        self.calls += x.size
        return self.f(x)

    def curvature(self, lower, upper):
        return None if self.bound is None else self.bound(lower, upper)


class Problem(NamedTuple):
    """A target and an approximant, the exact distances (None: unknown or infinite)."""

    name: str
    difficulty: str
    target: Target
    breakpoints: np.ndarray
    values: np.ndarray
    l1: float | None
    l2: float | None
    sup: float | None

    def exact(self, norm: str) -> float | None:
        return {"L1": self.l1, "L2": self.l2, "Sup": self.sup}[norm]


def constant(value: float) -> Callable:
    return lambda lower, upper: np.full_like(lower, value)


def uniform(n: int, a: float = 0.0, b: float = 1.0) -> np.ndarray:
    return np.linspace(a, b, n + 1)


def zero(t: np.ndarray) -> np.ndarray:
    return np.zeros_like(t)


def power_curvature(alpha: float, c: float = 0.0) -> Callable:
    """The bound |alpha (alpha - 1)| d^(alpha - 2), d the distance of the interval to c."""

    def bound(lower, upper):
        d = np.maximum(np.maximum(lower - c, c - upper), 0.0)
        safe = np.where(d > 0, d, 1.0)
        return np.where(d > 0, abs(alpha * (alpha - 1)) * safe ** (alpha - 2), np.inf)

    return bound


def square_problems():
    """x^2 on N equal pieces: the difference on each is h^2 (s - t(1 - t)) with a shift s."""
    target = Target(np.square, (-1.0, 2.0), curvature=constant(2.0))
    t = uniform(12, -1.0, 2.0)
    h, b = 0.25, 3.0
    # For s = 3/16 the signs change at t = 1/4, 3/4, where the integral of t(1 - t) has equal
    # parts: the best shift in L1, of mean 1/16. Best in L2: the mean 1/6, variance 1/180.
    shifts = {
        "interpolant": (0.0, h**2 / 6 * b, h**2 * math.sqrt(b / 30), h**2 / 4),
        "best in L1": (3 / 16, h**2 / 16 * b, None, h**2 * 3 / 16),
        "best in L2": (1 / 6, None, h**2 * math.sqrt(b / 180), h**2 / 6),
        "best in sup": (1 / 8, None, None, h**2 / 8),
    }
    for name, (s, l1, l2, sup) in shifts.items():
        yield Problem(f"square, {name}", "polynomial", target, t, t * t - s * h**2, l1, l2, sup)


def sqrt_interpolant(n: int) -> Problem:
    """The chord of sqrt over [u, v]: gap (sqrt v - sqrt u)^2/(4 (sqrt u + sqrt v))."""
    t = uniform(n)
    with mp.workdps(30):
        total1 = total2 = mp.mpf(0)
        for u, v in zip(t[:-1], t[1:], strict=True):
            u, v = mp.mpf(float(u)), mp.mpf(float(v))
            p, q = mp.sqrt(u), mp.sqrt(v)
            total1 += 2 * (q**3 - p**3) / 3 - (v - u) * (p + q) / 2
            # With x = y^2: the gap is (y - p)(q - y)/(p + q), a polynomial.
            total2 += mp.quad(
                lambda y, p=p, q=q: ((y - p) * (q - y) / (p + q)) ** 2 * 2 * y, [p, q]
            )
        l1, l2 = float(total1), float(mp.sqrt(total2))
    target = Target(np.sqrt, ends=(True, False), curvature=power_curvature(0.5))
    return Problem(
        f"sqrt, interpolant, {n}", "singular end", target, t, np.sqrt(t), l1, l2,
        1 / (4 * math.sqrt(n)),
    )  # fmt: skip


def cusp_constant(declared: bool) -> Problem:
    """|x - 1/3|^(1/2) against the constant 1/2: the sign changes at 1/3 +- 1/4."""
    c, q = 1 / 3, 0.5
    left, right = c, 1 - c
    side1 = [
        2 / 3 * r**1.5 - q * r + 2 * (q**3 / 3) for r in (left, right)
    ]  # int |sqrt(s) - q| over [0, r], r > q^2
    side2 = [r**2 / 2 - 4 / 3 * q * r**1.5 + q**2 * r for r in (left, right)]
    target = Target(
        lambda x: np.sqrt(np.abs(x - c)),
        breakpoints=(c,) if declared else (),
        curvature=power_curvature(0.5, c) if declared else None,
    )
    name = "cusp" if declared else "cusp, not declared"
    return Problem(
        name, "singular inside" if declared else "undeclared", target, uniform(2),
        np.full(3, q), sum(side1), math.sqrt(sum(side2)), 0.5,
    )  # fmt: skip


def exp_problem(n: int, wobble: float) -> Problem:
    """exp(3x) with nodal values off by a smooth wobble; 30 digits, split at the roots."""
    t = uniform(n)
    p = np.exp(3 * t) + wobble * np.cos(5 * t) / n**2
    with mp.workdps(30):
        l1 = l2 = mp.mpf(0)
        sup = mp.mpf(0)
        for u, v, a, b in zip(
            *(map(float, x) for x in (t[:-1], t[1:], p[:-1], p[1:])), strict=True
        ):
            u, v, a, b = map(mp.mpf, (u, v, a, b))
            s = (b - a) / (v - u)

            def d(x, u=u, a=a, s=s):
                return a + s * (x - u) - mp.exp(3 * x)

            top = mp.log(s / 3) / 3  # d is concave with its maximum here
            cuts = [u, v]
            if u < top < v:
                cuts.insert(1, top)
                sup = max(sup, abs(d(top)))
            sup = max(sup, abs(d(u)), abs(d(v)))
            roots = [
                mp.findroot(d, (x, y), solver="anderson", tol=1e-45)
                for x, y in zip(cuts[:-1], cuts[1:], strict=True)
                if d(x) * d(y) < 0
            ]
            marks = sorted([u, v, *roots])
            l1 += sum(abs(mp.quad(d, [x, y])) for x, y in zip(marks[:-1], marks[1:], strict=True))
            l2 += mp.quad(lambda x, d=d: d(x) ** 2, [u, v])
        exact = float(l1), float(mp.sqrt(l2)), float(sup)
    target = Target(lambda x: np.exp(3 * x), curvature=lambda lower, upper: 9 * np.exp(3 * upper))
    return Problem(f"exp(3x), {n}, {wobble}", "analytic", target, t, p, *exact)


def takagi(x):
    total, scale = np.zeros_like(x), 1.0
    for _ in range(48):
        total += scale * np.abs(x - np.round(x))
        x, scale = 2 * x, scale / 2
    return total


def weierstrass(x):
    # Frequencies 3^n are reduced exactly modulo 2 only for dyadic x; 20 terms stay below 1e-6 of
    # argument error, which the judge below allows for.
    return sum(0.7**n * np.cos(np.pi * 3.0**n * x) for n in range(20))


def table() -> list[Problem]:
    c = 1 / 3
    log = Target(lambda x: np.log(x), ends=(True, False), curvature=lambda u, v: np.inf * v)
    sine = Target(
        lambda x: np.sin(40 * np.pi * x), curvature=constant((40 * np.pi) ** 2 * (1 + 1e-12))
    )
    steep = Target(lambda x: np.tanh(200 * (x - 0.3)), curvature=constant(0.7699 * 200**2))
    kink = Target(lambda x: np.abs(x - c), breakpoints=(c,), curvature=constant(0.0))
    root = Target(lambda x: x**0.1, ends=(True, False), curvature=power_curvature(0.1))
    rough = sum(0.49**n for n in range(20)) / 2
    with mp.workdps(30):
        steep2 = mp.quad(lambda x: mp.tanh(200 * (x - mp.mpf(0.3))) ** 2, [0, 0.28, 0.3, 0.32, 1])
        steep1 = mp.quad(
            lambda x: abs(mp.tanh(200 * (x - mp.mpf(0.3)))), [0, 0.28, mp.mpf(0.3), 0.32, 1]
        )
    return [
        *square_problems(),
        exp_problem(3, 0.0),
        exp_problem(16, 0.7),
        exp_problem(16, 0.0),
        sqrt_interpolant(1),
        sqrt_interpolant(9),
        cusp_constant(True),
        cusp_constant(False),
        Problem("x^0.1", "singular end", root, uniform(3), zero(uniform(3)),
                1 / 1.1, math.sqrt(1 / 1.2), 1.0),
        Problem("log", "infinite end", log, uniform(2), zero(uniform(2)), 1.0, math.sqrt(2), None),
        Problem("oscillation", "oscillating", sine, uniform(2), zero(uniform(2)),
                2 / np.pi, math.sqrt(0.5), 1.0),
        Problem("steep", "steep", steep, uniform(1), zero(uniform(1)),
                float(steep1), float(mp.sqrt(steep2)), math.tanh(140)),
        Problem("kink", "kink", kink, uniform(2), zero(uniform(2)),
                (c**2 + (1 - c) ** 2) / 2, math.sqrt((c**3 + (1 - c) ** 3) / 3), 1 - c),
        Problem("takagi", "rough", Target(takagi), uniform(1), zero(uniform(1)),
                1 / 2, math.sqrt(5 / 18), 2 / 3),
        Problem("weierstrass", "rough", Target(weierstrass), uniform(4), zero(uniform(4)),
                None, math.sqrt(rough), sum(0.7**n for n in range(20))),
    ]  # fmt: skip


PROBLEMS = table()
EASY = {"polynomial", "analytic", "singular end", "singular inside", "infinite end", "oscillating",
        "steep", "kink"}  # fmt: skip
CASES = [
    pytest.param(problem, norm, id=f"{norm}-{problem.name}")
    for problem in PROBLEMS
    for norm in ("L1", "L2", "Sup")
    if problem.exact(norm) is not None
]


def judge(problem: Problem) -> float:
    """What the exact value itself is known to: its formula, and the float64 target's own error."""
    return 1e-6 if problem.name == "weierstrass" else 4e-15 * max(1.0, np.abs(problem.values).max())


@pytest.mark.parametrize(
    "problem, norm", [case for case in CASES if case.values[0].difficulty in EASY]
)
def test_accurate_where_it_claims_to_be(problem, norm):
    exact = problem.exact(norm)
    assert exact is not None
    found = norms.get(norm).between(problem.breakpoints, problem.values, problem.target)
    # 1e-12 relative, and the arithmetic of two functions of size about `values`.
    assert float(found) == pytest.approx(exact, rel=1e-12, abs=judge(problem))
    allowed = 1e-6 if norm == "Sup" else 4e-12
    assert found.uncertainty <= allowed * exact + 40 * judge(problem)


@pytest.mark.parametrize("problem, norm", CASES)
def test_the_uncertainty_is_honest_everywhere(problem, norm):
    exact = problem.exact(norm)
    assert exact is not None
    for settings_ in ({}, {"accuracy": 1e-3}, {"points": 200}, {"points": 5000}):
        rule = {"L1": norms.L1, "L2": norms.L2, "Sup": norms.Sup}[norm](**settings_)
        found = rule.between(problem.breakpoints, problem.values, problem.target)
        assert abs(found - exact) <= found.uncertainty + 4 * EPS * exact + (
            judge(problem) if problem.name == "weierstrass" else 0.0
        ), (settings_, float(found) - exact, found.uncertainty)


@pytest.mark.parametrize("problem, norm", CASES)
def test_work_is_bounded(problem, norm):
    problem.target.calls = 0
    rule = {"L1": norms.L1, "L2": norms.L2, "Sup": norms.Sup}[norm](points=2**13)
    rule.between(problem.breakpoints, problem.values, problem.target)
    # Roots cost up to 40 values each, estimated curvature 6 per cell.
    assert problem.target.calls <= 16 * 2**13


def test_smooth_targets_cost_one_pass():
    target = Target(lambda x: np.exp(3 * x), curvature=lambda u, v: 9 * np.exp(3 * v))
    t = uniform(512)
    p = target(t) + 1e-5
    target.calls = 0
    norms.L2().between(t, p, target)
    assert target.calls == 17 * 512


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("power, norm", [(1, norms.L1()), (2, norms.L2())])
def test_against_scipy_quad(n, power, norm):
    rng = np.random.default_rng(n)
    t = np.sort(np.concatenate([[0.0, 2.0], rng.uniform(0, 2, n - 1)]))
    p = rng.normal(size=n + 1)
    target = Target(lambda x: np.sin(5 * x) + np.abs(x - 0.7), (0.0, 2.0), breakpoints=(0.7,))
    found = norm.between(t, p, target)

    def d(x):
        return float(np.interp(x, t, p) - target(np.array([x]))[0])

    total = 0.0
    marks = np.union1d(t, [0.7])
    for u, v in zip(marks[:-1], marks[1:], strict=True):
        grid = np.linspace(u, v, 500)
        roots = [
            scipy.optimize.brentq(d, x, y, xtol=1e-15)
            for x, y in zip(grid[:-1], grid[1:], strict=True)
            if d(x) * d(y) < 0
        ]
        for x, y in zip([u, *roots], [*roots, v], strict=True):
            total += scipy.integrate.quad(
                lambda x: abs(d(x)) ** power, x, y, epsabs=1e-15, epsrel=1e-13
            )[0]
    assert float(found) == pytest.approx(total ** (1 / power), rel=1e-12)


def test_the_rule_is_gauss_kronrod():
    """Exact to degree 22 (Kronrod) and 13 (Gauss), with SciPy's Legendre nodes inside."""
    from qrelu.norms import _kronrod as rule

    x = rule.NODES
    for degree in range(23):
        assert rule.WEIGHTS @ x**degree == pytest.approx(1 / (degree + 1), rel=1e-14)
    assert abs(rule.WEIGHTS @ x**24 - 1 / 25) > 1e-16
    nodes, weights = np.polynomial.legendre.leggauss(7)
    np.testing.assert_allclose(2 * x[1::2] - 1, nodes, atol=1e-15)
    np.testing.assert_allclose(2 * rule.GAUSS, weights, atol=1e-15)


@settings(max_examples=150, deadline=None)
@given(
    st.floats(0.01, 0.99),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5]),
    st.integers(1, 5),
    st.integers(1, 9),
    st.sampled_from([1, 2]),
)
def test_honest_about_a_power_that_nobody_declared(c, alpha, n, digits, power):
    """|x - c|^alpha, a jump for alpha = 0: the refinement must not stop where it sees least."""
    if alpha == 0:
        target, exact = Target(lambda x: np.where(x > c, 1.0, 0.0)), 1 - c
    else:
        e = 1 + alpha * power
        target, exact = Target(lambda x: np.abs(x - c) ** alpha), (c**e + (1 - c) ** e) / e
    norm = {1: norms.L1, 2: norms.L2}[power](accuracy=10.0**-digits)
    found = norm.between(uniform(n), zero(uniform(n)), target)
    assert abs(found - exact ** (1 / power)) <= found.uncertainty + 4 * EPS


@pytest.mark.parametrize("norm", [norms.L1(), norms.L2(), norms.Sup()])
def test_pieces_add_up(norm):
    problem = exp_problem(16, 0.7)
    local = norm.piecewise(problem.breakpoints, problem.values, problem.target)
    whole = norm.between(problem.breakpoints, problem.values, problem.target)
    assert local.errors.shape == local.uncertainty.shape == local.locations.shape == (16,)
    if norm.p == math.inf:
        assert local.errors.max() == pytest.approx(float(whole), rel=1e-12)
        assert (local.locations >= problem.breakpoints[:-1]).all()
        assert (local.locations <= problem.breakpoints[1:]).all()
        at = local.locations
        d = np.interp(at, problem.breakpoints, problem.values) - problem.target(at)
        np.testing.assert_allclose(np.abs(d), local.errors, atol=1e-13)
    else:
        assert local.errors.sum() == pytest.approx(float(whole) ** norm.p, rel=1e-13)
        assert np.isnan(local.locations).all()


def test_local_suprema_are_exact_on_every_piece():
    problem = sqrt_interpolant(9)
    t = problem.breakpoints
    u, v = np.sqrt(t[:-1]), np.sqrt(t[1:])
    local = norms.Sup().piecewise(t, problem.values, problem.target)
    exact = (v - u) ** 2 / (4 * (u + v))
    np.testing.assert_allclose(local.errors, exact, rtol=1e-12)
    assert (np.abs(local.errors - exact) <= local.uncertainty + 4 * EPS).all()
    np.testing.assert_allclose(local.locations, ((u + v) / 2) ** 2, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12, 1e-15, 0.0])
def test_small_differences_are_honest_about_the_arithmetic(size):
    """A constant offset is known exactly; what float64 loses must be inside the uncertainty."""
    target = Target(lambda x: 3 * x + 1 / 7, curvature=constant(0.0))
    t = uniform(37)
    p = target(t) + size
    for norm in (norms.L1(), norms.L2(), norms.Sup()):
        found = norm.between(t, p, target)
        assert abs(found - size) <= found.uncertainty
        assert found.uncertainty < 1e-13


@pytest.mark.parametrize("size", [1.0, 1e-300, 2.2e-311, 5e-324])
def test_no_cell_is_lost_where_a_change_of_sign_falls_on_its_end(size):
    """Subnormal samples put the crossings that are found on the ends of their cells."""
    norm, t = norms.L1(), uniform(2)
    target = Target(lambda x: size * np.sin(10 * x), curvature=constant(100 * size + 1e-12))
    found = norm.between(t, zero(t), target)
    expected = size * (6 + 1 - np.cos(10 - 3 * np.pi)) / 10  # three half waves and a part
    assert abs(found - expected) <= found.uncertainty + 1e-9 * expected + 1e-320


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=9),
    st.floats(-2, 2),
    st.floats(0.1, 30),
    st.sampled_from(["L1", "L2", "Sup"]),
)
def test_laws_of_a_norm(values, factor, frequency, name):
    """Homogeneous, symmetric under reflection, and subject to the triangle inequality."""
    norm = norms.get(name)
    t = uniform(len(values) - 1)
    p = np.array(values)

    def wave(scale, sign=1):
        return Target(
            lambda x: scale * np.sin(frequency * (x if sign == 1 else 1 - x)),
            curvature=constant(abs(scale) * frequency**2 + 1e-12),
        )

    found = norm.between(t, p, wave(1.0))
    scaled = norm.between(t, factor * p, wave(factor))
    mirrored = norm.between(t, p[::-1].copy(), wave(1.0, -1))
    slack = found.uncertainty + mirrored.uncertainty
    assert abs(found - mirrored) <= slack + 1e-14
    assert abs(scaled - abs(factor) * found) <= (
        scaled.uncertainty + abs(factor) * found.uncertainty + 1e-14
    )
    size = norm.between(t, p, wave(0.0))
    other = norm.between(t, zero(t), wave(1.0))
    assert found <= size + other + found.uncertainty + size.uncertainty + other.uncertainty


def test_norms_are_ordered_by_hoelder():
    problem = exp_problem(16, 0.7)
    l1, l2, sup = (
        norms.get(name).between(problem.breakpoints, problem.values, problem.target)
        for name in ("l1", "l2", "sup")
    )
    assert l1 <= l2 <= sup


def test_a_measurement_is_a_float_with_its_story():
    problem = exp_problem(3, 0.0)
    found = norms.Sup().between(problem.breakpoints, problem.values, problem.target)
    assert isinstance(found, float) and found + 1 == float(found) + 1
    assert found.assumption == "declared curvature"
    assert f"{found:.3f}" == f"{float(found):.3f}"
    assert found.location is not None and f"{found.location:.6g}" in repr(found)
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.uncertainty, again.location) == (found, found.uncertainty, found.location)
    integral = norms.L2().between(problem.breakpoints, problem.values, problem.target)
    assert integral.location is None and integral.assumption == "smooth between breakpoints"


def test_a_bump_between_quadrature_nodes_is_seen_through_its_curvature():
    """Every node sees 1e-3 (x - 1/2); the declared curvature says that more may be there."""
    c, w = 0.7213632465002612, 1e-5
    bump = Target(
        lambda x: 1e-3 * (x - 0.5) + np.exp(-(((x - c) / w) ** 2)),
        curvature=lambda lower, upper: (
            2
            / w**2
            * np.exp(
                -0.25 * np.minimum(np.maximum(np.maximum(lower - c, c - upper), 0) / w, 50) ** 2
            )
            * 2
        ),
    )
    t = uniform(2)
    p = 1e-3 * (t - 0.5)
    assert float(norms.L1().between(t, p, bump)) == pytest.approx(math.sqrt(np.pi) * w, rel=1e-9)
    exact = math.sqrt(w * math.sqrt(np.pi / 2))
    assert float(norms.L2().between(t, p, bump)) == pytest.approx(exact, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-4, 8))
def test_steep_pieces_are_honest_about_their_rounding(seed, digits):
    """A line against a wobbly copy of itself: the rounding is that of the large end values."""
    rng = np.random.default_rng(seed)
    slope, at, size = 10.0**digits, rng.uniform(0.2, 0.8), 1e-9
    t = np.array([0.0, 1.0])
    p = slope * (t - at)

    def line(x):
        # In extended precision, so that only the approximant's rounding is on trial.
        a, b = np.longdouble(p[0]), np.longdouble(p[1])
        return np.asarray(a + (b - a) * x.astype(np.longdouble) - np.longdouble(size), float)

    target = Target(line, curvature=constant(0.0))
    for norm in (norms.L1(), norms.L2(), norms.Sup()):
        found = norm.between(t, p, target)
        assert abs(found - size) <= found.uncertainty
