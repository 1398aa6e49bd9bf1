"""Limits and rates against splines that SciPy fits and integrals that mpmath takes."""

import math
from typing import NamedTuple

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize

from qrelu import targets
from qrelu.targets._best_known import BEST_KNOWN


class Family(NamedTuple):
    """What a target asks of a family; here the size is the number of pieces."""

    kind: str

    def pieces(self, size):
        return size


class Norm(NamedTuple):
    p: float


FREE, UNIFORM, TREE = Family("free-knot"), Family("uniform-knot"), Family("dyadic-tree")
L1, L2, SUP = Norm(1.0), Norm(2.0), Norm(math.inf)
NORMS = {"L1": L1, "L2": L2, "Sup": SUP}


def _hats(knots, x):
    return np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)


def _grid(knots, per_cell):
    """Points and weights: Gauss points of each cell, in a variable that resolves its ends."""
    t, w = np.polynomial.legendre.leggauss(per_cell)
    s, ds = (1 - np.cos(np.pi * (t + 1) / 2)) / 2, np.pi / 4 * np.sin(np.pi * (t + 1) / 2)
    h = np.diff(knots)[:, None]
    return (knots[:-1, None] + h * s).ravel(), (h * w * ds).ravel()


def _best(target, knots, p, per_cell=120):
    """The error of the best spline on these knots, by least squares or a linear program."""
    edges = np.unique(np.concatenate([knots, target.breakpoints]))
    x, w = _grid(edges, per_cell)
    if p == math.inf:
        x = np.unique(np.concatenate([x, edges]))
    hats, y = _hats(knots, x), target(x)
    if p == 2:
        root = np.sqrt(w)
        values = np.linalg.lstsq(hats * root[:, None], y * root, rcond=None)[0]
        return math.sqrt(np.sum(w * (y - hats @ values) ** 2))
    n, m = len(knots), len(x)
    if p == math.inf:
        one = np.ones((m, 1))
        matrix, bound = np.block([[hats, -one], [-hats, -one]]), np.concatenate([y, -y])
        cost = np.concatenate([np.zeros(n), [1.0]])
    else:
        eye = np.eye(m)
        matrix, bound = np.block([[hats, -eye], [-hats, -eye]]), np.concatenate([y, -y])
        cost = np.concatenate([np.zeros(n), w])
    found = optimize.linprog(cost, matrix, bound, bounds=(None, None), method="highs")
    assert found.status == 0
    return found.fun


UNIFORM_EXACT = ["square", "exp", "reciprocal", "power1.5", "sqrt", "entropy", "kink", "cusp"]


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("name", UNIFORM_EXACT)
def test_sup_limit_on_uniform_knots_is_exact(name, count):
    target = targets.get(name)
    limit = target.limit(SUP, UNIFORM, count)
    assert limit.label == "exact" and limit.counts == "pieces"
    assert limit == target.limit(SUP, TREE, count)
    best = _best(target, np.linspace(*target.domain, count + 1), math.inf)
    assert best == pytest.approx(limit.value, rel=1e-3, abs=1e-14)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_limits_of_the_takagi_curve_are_exact(count):
    target = targets.get("takagi")
    limit = target.limit(SUP, UNIFORM, count)
    assert limit.label == "exact"
    x = np.linspace(0, 1, 3 * 64 * count + 1)  # holds the maxima at thirds of dyadic cells
    knots = np.linspace(0, 1, count + 1)
    hats, one = _hats(knots, x), np.ones((x.size, 1))
    found = optimize.linprog(
        np.append(np.zeros(count + 1), 1.0),
        np.block([[hats, -one], [-hats, -one]]),
        np.concatenate([target(x), -target(x)]),
        bounds=(None, None),
    )
    assert found.fun == pytest.approx(limit.value, rel=1e-9)
    x = (np.arange(2**16) + 0.5) / 2**16
    hats = _hats(knots, x)
    values = np.linalg.lstsq(hats, target(x), rcond=None)[0]
    square = np.mean((target(x) - hats @ values) ** 2)
    assert target.limit(L2, UNIFORM, count).value == pytest.approx(math.sqrt(square), rel=1e-4)
    assert target.limit(L2, UNIFORM, 3 * count).label == "none"


@pytest.mark.parametrize("family", [FREE, UNIFORM, TREE], ids=lambda f: f.kind)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_square_is_exact_in_every_norm(family, norm, count):
    target = targets.get("square")
    limit = target.limit(NORMS[norm], family, count)
    assert limit.label == "exact"
    best = _best(target, np.linspace(0, 1, count + 1), NORMS[norm].p, 80)
    assert best == pytest.approx(limit.value, rel=2e-3)


@pytest.mark.parametrize("name", ["square", "sqrt", "reciprocal", "power1.5", "entropy"])
@pytest.mark.parametrize("count", [2, 3])
def test_sup_limit_of_free_knots_is_exact(name, count):
    """A search over the knots: the cells' best lines, half the gap to the chord on a fine grid."""
    target = targets.get(name)
    a, b = target.domain

    def worst(inner):
        knots = np.array([a, *np.sort(np.clip(inner, a, b)), b])
        gaps = []
        for u, v in zip(knots[:-1], knots[1:], strict=True):
            x = u + (v - u) * np.linspace(0, 1, 2001) ** 2
            chord = target(u) + (target(v) - target(u)) * (x - u) / max(v - u, 1e-300)
            gaps.append(np.abs(chord - target(x)).max())
        return max(gaps) / 2

    found = optimize.minimize(
        worst,
        a + (b - a) * (np.arange(1, count) / count) ** 3,
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000},
    )
    limit = target.limit(SUP, FREE, count)
    assert limit.label == "exact"
    assert found.fun == pytest.approx(limit.value, rel=1e-5)


@pytest.mark.parametrize(("name", "constant"), [("power1.5", 4 / 3), ("entropy", 4.0)])
def test_exact_limits_tend_to_the_asymptotic_one(name, constant):
    """N^2 E -> (1/16) (int |f''|^(1/2))^2: (sqrt(3/4) 4/3)^2 = 4/3 and 2^2 = 4."""
    ratios = [
        targets.get(name).limit(SUP, FREE, n).value * n**2 * 16 / constant for n in (1000, 4000)
    ]
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1) / 3 < 1e-3


def test_numbers_of_the_literature():
    assert targets.get("sqrt").limit(SUP, FREE, 7).value == 1 / (4 * 7 * 8)
    assert targets.get("square").limit(L2, FREE, 5).value == pytest.approx(1 / 25 / math.sqrt(180))
    once = targets.Function(np.exp, (0, 1)).limit(L2, FREE, 1)
    assert once.label == "asymptotic"
    assert once.value == pytest.approx(0.0624755, abs=5e-8)


SECOND = {
    "cubic": lambda x: 6 * x,
    "exp": lambda x: 9 * mp.exp(3 * x),
    "reciprocal": lambda x: 2 / x**3,
    "sine": lambda x: 4 * mp.pi**2 * mp.sinpi(2 * x),
    "gaussian": lambda x: 100 * ((10 * x - 5) ** 2 - 1) * mp.exp(-50 * (x - 0.5) ** 2),
    "runge": lambda x: mp.diff(lambda z: 1 / (1 + 25 * (2 * z - 1) ** 2), x, 2),
    "tanh": lambda x: 5000 * mp.tanh(50 * x - 25) / mp.cosh(50 * x - 25) ** 2,
    "chirp": lambda x: (
        32 * mp.pi * mp.cospi(16 * x**2) - (32 * mp.pi * x) ** 2 * mp.sinpi(16 * x**2)
    ),
    "power1.5": lambda x: 0.75 / mp.sqrt(x),
    "entropy": lambda x: 1 / x,
    "sqrt": lambda x: 0.25 / x**1.5,
    "cusp": lambda x: 0.25 / abs(x - mp.mpf(1) / 3) ** 1.5,
}
CONSTANT = {math.inf: 1 / 16, 2.0: 1 / math.sqrt(720), 1.0: 1 / 32}


def _substituted(second, lower, upper, singular, s):
    """The integral of |f''|^s from a singular point: x = c + t^8 makes the integrand bounded."""
    side = 1 if singular == lower else -1
    width = mp.mpf(upper - lower) ** (mp.mpf(1) / 8)
    return mp.quad(lambda t: abs(second(singular + side * t**8)) ** s * 8 * t**7, [0, width])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", SECOND)
def test_the_integral_of_the_asymptotic_limit(name, norm):
    target, p = targets.get(name), NORMS[norm].p
    limit = target.limit(NORMS[norm], FREE, 10)
    if limit.label != "asymptotic":
        assert norm == "Sup" and name in ("sqrt", "reciprocal", "power1.5", "entropy")
        return
    power = 2 + 1 / p
    a, b = (mp.mpf(end) for end in target.domain)
    with mp.workdps(60 if name == "cusp" else 25):
        if name in ("power1.5", "entropy", "sqrt"):
            area = _substituted(SECOND[name], a, b, a, 1 / power)
        elif name == "cusp":
            third = mp.mpf(1) / 3
            area = _substituted(SECOND[name], a, third, third, 1 / power)
            area += _substituted(SECOND[name], third, b, third, 1 / power)
        else:
            cuts = [a, *map(mp.mpf, target.facts.inflections), b]
            area = mp.quad(lambda x: abs(SECOND[name](x)) ** (1 / power), cuts)
    expected = CONSTANT[p] * float(area) ** power / 100
    assert limit.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_the_integral_of_a_sine_power_is_a_gamma_quotient(norm):
    p = NORMS[norm].p
    power = 2 + 1 / p
    s = 1 / power
    mean = math.gamma((s + 1) / 2) / (math.sqrt(math.pi) * math.gamma(s / 2 + 1))
    for name, w in (("sine", 2 * math.pi), ("oscillation", 16 * math.pi), ("corners", 3 * math.pi)):
        limit = targets.get(name).limit(NORMS[norm], FREE, 10)
        assert limit.label == "asymptotic"
        expected = CONSTANT[p] * w**2 * mean**power / 100
        assert limit.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("norm", ["L1", "L2", "Sup"])
@pytest.mark.parametrize("name", ["cubic", "exp", "sine", "gaussian", "runge"])
def test_asymptotic_limit_on_uniform_knots(name, norm):
    target = targets.get(name)
    count = {"L1": 64, "L2": 128, "Sup": 64}[norm]
    per_cell = {"L1": 8, "L2": 20, "Sup": 12}[norm]
    limit = target.limit(NORMS[norm], UNIFORM, count)
    best = _best(target, np.linspace(*target.domain, count + 1), NORMS[norm].p, per_cell)
    assert best == pytest.approx(limit.value, rel={"L1": 0.06, "L2": 0.03, "Sup": 0.1}[norm])


def test_asymptotic_limit_of_the_kink_on_uniform_knots():
    target = targets.get("kink")
    for count in (16, 32):
        limit = target.limit(L2, UNIFORM, count)
        assert limit.label == "asymptotic"
        assert _best(target, np.linspace(0, 1, count + 1), 2.0) == pytest.approx(
            limit.value, rel=1e-5
        )
    assert target.limit(L2, UNIFORM, 9).value == 0.0


@pytest.mark.parametrize("norm", ["L2", "Sup"])
@pytest.mark.parametrize("name", ["exp", "power1.5", "sqrt", "entropy", "reciprocal"])
def test_free_knots_reach_the_asymptotic_limit(name, norm):
    """Knots with equal integrals of |f''|^s, s = 1/(2 + 1/p), then the best spline on them."""
    target, p = targets.get(name), NORMS[norm].p
    count = 40
    a, b = target.domain
    x = a + (b - a) * np.linspace(0, 1, 400_001) ** 8
    middle = (x[1:] + x[:-1]) / 2
    mass = np.abs(target.second_derivative(middle)) ** (1 / (2 + 1 / p)) * np.diff(x)
    total = np.concatenate([[0], np.cumsum(mass)])
    knots = np.interp(np.linspace(0, total[-1], count + 1), total, x)
    knots[[0, -1]] = a, b
    best = _best(target, knots, p, 24)
    limit = target.limit(NORMS[norm], FREE, count)
    assert best == pytest.approx(limit.value, rel=0.03)


def test_the_kink_is_exact_with_two_pieces():
    target = targets.get("kink")
    for norm in (L1, L2, SUP):
        assert target.limit(norm, FREE, 2)[:2] == (0.0, "exact")
        assert target.rate(FREE, norm).gamma == math.inf
    assert _best(target, np.array([0, 1 / 3, 1]), 2.0) < 1e-15
    assert target.limit(SUP, FREE, 1).value == pytest.approx(
        _best(target, np.array([0.0, 1.0]), math.inf)
    )
    assert target.limit(L2, FREE, 1).label == "none"


def _interpolation_error(target, count, p):
    """The error of interpolation, whose rate is that of the best spline."""
    knots = np.linspace(*target.domain, count + 1)
    x, w = _grid(np.unique(np.concatenate([knots, target.breakpoints])), 40)
    error = np.abs(target(x) - np.interp(x, knots, target(knots)))
    return error.max() if p == math.inf else np.sum(w * error**p) ** (1 / p)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [n for n in targets.names() if n != "weierstrass"])
def test_rates_on_uniform_knots_with_their_logarithms(name, norm):
    target = targets.get(name)
    rate = target.rate(UNIFORM, NORMS[norm])
    assert rate == target.rate(TREE, NORMS[norm])
    counts = np.array([512, 2048, 8192])
    errors = np.array([_interpolation_error(target, n, NORMS[norm].p) for n in counts])
    # Without the known logarithm; what is left of it at these sizes is O(1/log N).
    slope = np.diff(np.log(errors / np.log(counts) ** rate.log_power)) / np.diff(np.log(counts))
    assert -slope[-1] == pytest.approx(rate.gamma, abs=0.05 if rate.log_power else 0.01)


def test_the_logarithm_is_seen():
    """Without it the same test would fail by more than its tolerance."""
    target = targets.get("entropy")
    assert target.rate(UNIFORM, L1).log_power == 1.0
    assert targets.get("power1.5").rate(UNIFORM, L2).log_power == 0.5
    assert targets.get("corners").rate(UNIFORM, L1)[:2] == (2.0, 0.0)
    errors = [_interpolation_error(target, n, 1.0) for n in (2048, 8192)]
    assert abs(math.log(errors[0] / errors[1]) / math.log(4) - 2) > 0.08


def test_rate_of_the_weierstrass_function():
    target = targets.get("weierstrass")
    x = (np.arange(2**18) + 1 / 3) / 2**18
    errors = []
    for count in (16, 1024):
        knots = np.linspace(0, 1, count + 1)
        error = target(x) - np.interp(x, knots, target(knots))
        errors.append(math.sqrt(np.mean(error**2)))
    slope = math.log(errors[0] / errors[1]) / math.log(64)
    for family in (FREE, UNIFORM, TREE):
        assert target.rate(family, L2).gamma == pytest.approx(slope, abs=0.02)
    assert target.limit(L2, FREE, 8).label == "none"


def test_free_knots_have_rate_two_wherever_the_function_is_smooth_between_points():
    for name in targets.names():
        expected = {"kink": math.inf, "takagi": 1.0, "weierstrass": 0.5}.get(name, 2.0)
        for norm in (L1, L2, SUP):
            rate = targets.get(name).rate(FREE, norm)
            assert rate.gamma == expected and rate.log_power == 0 and rate.source


def test_every_limit_has_an_honest_label():
    for name in targets.names():
        for norm in (L1, L2, SUP, Norm(3.0)):
            for family in (FREE, UNIFORM, TREE, Family("fourier")):
                limit = targets.get(name).limit(norm, family, 16)
                assert limit.label in ("exact", "best known", "asymptotic", "none")
                assert math.isnan(limit.value) == (limit.label == "none")
                assert limit.source and limit.counts == "pieces"
    assert targets.get("exp").rate(Family("unheard-of"), L2) is None


def test_best_known_values_stand_before_the_asymptotic_limit():
    assert targets.get("sine").limit(L2, FREE, 8).label == "best known"
    assert targets.get("sine").limit(L2, FREE, 9).label == "asymptotic"
    assert targets.get("sine").limit(L2, UNIFORM, 8).label == "asymptotic"


def test_best_known_values_approach_the_asymptotic_limit():
    for (name, _, count), best in BEST_KNOWN.items():
        target = targets.get(name)
        # The limit itself, from a size without an entry: it scales like 1 / N^2.
        far = target.limit(L2, FREE, 10 * count + 1)
        assert far.label == "asymptotic"
        ratio = best / (far.value * (10 * count + 1) ** 2 / count**2)
        assert abs(ratio - 1) < 2.5 / count, (name, count, ratio)


def test_wrong_families_and_norms_are_named():
    target = targets.get("exp")
    with pytest.raises(TypeError, match=r"Pass the object, for example `families.FreeKnot\(\)`"):
        target.rate("free-knot", L2)
    with pytest.raises(TypeError, match=r"Pass the object, for example `norms.L2\(\)`"):
        target.limit("l2", FREE, 8)
    with pytest.raises(ValueError, match="`norm.p` must be at least 1; got 0.5"):
        target.rate(FREE, Norm(0.5))
    with pytest.raises(ValueError, match=r"`family.pieces\(0\)` must be at least 1; got 0"):
        target.limit(L2, FREE, 0)

    class Kinded:
        kind = "free-knot"

    with pytest.raises(TypeError, match="has no such method"):
        target.limit(L2, Kinded(), 8)


def test_the_rates_of_every_family_are_those_of_the_table_of_proven_rates():
    """The table was written by hand, each row with its source, and is recovered by measuring."""
    from qrelu import studies

    compared = 0
    for case in studies.known_rates():
        if case.target.name in targets.names() and targets.get(case.target.name) is case.target:
            rate = case.target.rate(case.family, case.norm)
            assert rate is not None, case.name
            assert rate[:2] == (case.gamma, case.log_power), case.name
            compared += 1
    assert compared >= 25
