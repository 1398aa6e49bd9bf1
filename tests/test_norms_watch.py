"""Narrow features of targets that declare nothing are found, wherever they lie."""

import math

import numpy as np
import pytest
from numpy.polynomial import Chebyshev, Polynomial

from qrelu import families, networks, norms, targets

NORMS = {"L1": norms.L1(), "L2": norms.L2()}
PULSES = (0.02, 0.005, 0.001)
# Width and kind: a pulse is 1 on |x - c| < width, a Gaussian exp(-((x - c)/width)^2).
FEATURES = [*(("pulse", w) for w in PULSES), ("gaussian", 1e-3)]
KNOTS = np.array([0.0, 1.0])


def places(seed, margin=0.02):
    return np.random.default_rng(seed).uniform(margin, 1 - margin, 20)


class Undeclared:
    """What norms ask of a target, without the checks that `Function` makes of it."""

    breakpoints, singular_ends, domain = (), (False, False), (0.0, 1.0)

    def __init__(self, fn, _, name):
        self.fn, self.name = fn, name

    def __call__(self, x):
        return self.fn(x)

    def curvature(self, lower, upper):
        return None


def feature(kind, width, c, make=Undeclared):
    def pulse(x):
        return 1.0 * (np.abs(x - c) < width)

    def gaussian(x):
        return np.exp(-(((x - c) / width) ** 2))

    return make({"pulse": pulse, "gaussian": gaussian}[kind], (0, 1), name=kind)


def moment(kind, k, a, b):
    """The integral of z^k g over [a, b], g the feature of width 1 at 0."""
    if kind == "pulse":
        a, b = np.clip([a, b], -1, 1)
        return (b ** (k + 1) - a ** (k + 1)) / (k + 1)
    if k == 0:
        return math.sqrt(math.pi) / 2 * (math.erf(b) - math.erf(a))
    low, high = (z ** (k - 1) * math.exp(-z * z) if abs(z) < 25 else 0.0 for z in (a, b))
    return (low - high) / 2 + ((k - 1) / 2 * moment(kind, k - 2, a, b) if k > 1 else 0.0)


def exact(norm, kind, width, c, knots, parts):
    """The distance of a piecewise polynomial p <= 0 from a feature g >= 0.

    The integrals of g - p and g^2 - 2 g p + p^2; g^2 is again a feature.
    """
    total = 0.0
    for u, v, part in zip(knots[:-1], knots[1:], parts, strict=True):
        z = (u - c) / width, (v - c) / width
        own = (part if norm == "L1" else part**2).integ()
        if norm == "L1":
            total += width * moment(kind, 0, *z) - (own(v) - own(u))
            continue
        narrow = 1.0 if kind == "pulse" else math.sqrt(2)
        total += width / narrow * moment(kind, 0, z[0] * narrow, z[1] * narrow)
        around = part(Polynomial([c, width])).coef
        mixed = sum(a * moment(kind, k, *z) for k, a in enumerate(around))
        total += own(v) - own(u) - 2 * width * mixed
    return total if norm == "L1" else math.sqrt(total)


def check(found, expected):
    # The closed forms above lose a few digits of their own.
    assert abs(found - expected) <= found.uncertainty + 1e-14 * max(expected, 0.1)
    assert found.uncertainty <= 1e-6 * expected


def line(u, v, a, b):
    return Polynomial([a - u * (b - a) / (v - u), (b - a) / (v - u)])


ALL = pytest.mark.parametrize("norm, kind, width", [(norm, *f) for norm in NORMS for f in FEATURES])


@ALL
def test_against_the_zero_network(norm, kind, width):
    zero = networks.ReLUNetwork([np.zeros((1, 1))] * 2, [np.zeros(1)] * 2)
    for c in places(0):
        found = NORMS[norm].distance(zero, feature(kind, width, c, targets.Function))
        check(found, exact(norm, kind, width, c, KNOTS, [Polynomial([0.0])]))


@ALL
def test_against_3_to_20_pieces(norm, kind, width):
    rng = np.random.default_rng(1)
    for c in places(2):
        steps = np.cumsum(rng.uniform(0.2, 1, rng.integers(3, 21)))
        t = np.append(0.0, steps / steps[-1])
        p = -rng.uniform(0, 1, len(t))
        found = NORMS[norm].between(t, p, feature(kind, width, c))
        parts = [line(*ends) for ends in zip(t[:-1], t[1:], p[:-1], p[1:], strict=True)]
        check(found, exact(norm, kind, width, c, t, parts))


@ALL
def test_against_polynomials(norm, kind, width):
    fits = []
    for degree in (3, 6):
        smooth = targets.Function(lambda x: -np.exp(x) / 3, (0, 1))
        function = families.get("polynomial").fit(smooth, degree + 1, norm=norms.L2()).function
        series = Chebyshev.interpolate(function, degree, domain=[0, 1])
        fits.append((function, series.convert(kind=Polynomial)))
    for k, c in enumerate(places(3)):
        function, polynomial = fits[k % 2]
        found = NORMS[norm].distance(function, feature(kind, width, c))
        check(found, exact(norm, kind, width, c, KNOTS, [polynomial]))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("accuracy", [1e-1, 1e-3, 1e-6])
def test_the_uncertainty_is_honest_at_any_accuracy(norm, accuracy):
    """1/1000 of the domain is the narrowest that is promised: one or two samples see it."""
    rule = {"L1": norms.L1, "L2": norms.L2}[norm](accuracy=accuracy)
    for c in places(4):
        for kind, width in (("pulse", 5e-4), ("gaussian", 1e-3)):
            found = rule.between(KNOTS, np.zeros(2), feature(kind, width, c))
            expected = exact(norm, kind, width, c, KNOTS, [Polynomial([0.0])])
            assert abs(found - expected) <= found.uncertainty + 1e-15
            assert found.uncertainty < 0.7 * expected


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("where", ["one long piece", "its own piece"])
def test_the_error_of_a_piece_has_the_feature_in_it(norm, where):
    """The parts follow the lengths of the pieces, not their number."""
    rule, p = NORMS[norm], NORMS[norm].p
    t = np.concatenate([np.linspace(0, 0.02, 40), [1.0]])
    if where == "its own piece":
        t = np.array([0.0, 0.3, 0.32, 0.5, 1.0])
    for c in places(5, 0.05):
        local = rule.piecewise(t, np.zeros_like(t), feature("pulse", 1e-3, c))
        overlap = np.minimum(t[1:], c + 1e-3) - np.maximum(t[:-1], c - 1e-3)
        expected = np.maximum(overlap, 0.0)
        assert (np.abs(local.errors - expected) <= local.uncertainty + 1e-15).all(), p
        assert local.uncertainty.max() < 1e-9


def test_the_supremum_on_pieces_of_unequal_length():
    """39 pieces on the first 1/50 of the domain leave the long one as many samples as it needs."""
    t = np.concatenate([np.linspace(0, 0.02, 40), [1.0]])
    for c in places(6, 0.05)[:20]:
        found = norms.Sup().between(t, np.zeros_like(t), feature("pulse", 1e-3, c))
        assert float(found) == 1.0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("breakpoints", [(), (0.25,), (0.25, 0.75)])
def test_an_infinite_bound_is_no_bound(norm, breakpoints):
    """Where the declared curvature is infinite nothing is known either, beside a kink or not."""
    for c in places(7)[:12]:
        target = targets.Function(
            lambda x, c=c: 1.0 * (np.abs(x - c) < 5e-3), (0, 1), breakpoints=breakpoints,
            curvature=math.inf,
        )  # fmt: skip
        found = NORMS[norm].between(KNOTS, np.zeros(2), target)
        check(found, exact(norm, "pulse", 5e-3, c, KNOTS, [Polynomial([0.0])]))


@pytest.mark.parametrize("norm", NORMS)
def test_a_narrower_pulse_is_found_when_its_ends_are_declared(norm):
    """The cure that the docstrings give."""
    c, width = 0.7213632465002612, 1e-8
    ends = (c - width, c + width)
    target = targets.Function(
        lambda x: 1.0 * ((x >= ends[0]) & (x <= ends[1])), (0, 1), breakpoints=ends
    )
    found = NORMS[norm].between(KNOTS, np.zeros(2), target)
    # Next to 0.7 floats are 1e-16 apart, 1e-8 of the width.
    assert float(found) == pytest.approx((2 * width) ** (1 / NORMS[norm].p), rel=1e-7)
    assert "breakpoints" in (type(NORMS[norm]).__doc__ or "")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pieces, most", [(1, 2200), (20, 2500), (2000, 34_000)])
def test_the_watch_is_one_pass(norm, pieces, most):
    """17 values on every cell: 128 and one for every piece at most, or as many as pieces."""
    calls = []

    def smooth(x):
        calls.append(x.size)
        return np.exp(x)

    target = targets.Function(smooth, (0, 1))
    t = np.linspace(0, 1, pieces + 1)
    calls.clear()
    NORMS[norm].between(t, np.exp(t) + 0.2, target)
    assert sum(calls) <= most
    assert len(calls) == 1 or norm == "L1"
