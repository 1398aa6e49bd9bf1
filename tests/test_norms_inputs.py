"""What norms accept, what they refuse, and data with their closed forms."""

import re
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import families, networks, norms, targets

NORMS = [norms.L1(), norms.L2(), norms.Sup()]


def hat_network(dtype=np.float64):
    """relu(x) - 2 relu(x - 1/2): 0, 1/2, 0 at 0, 1/2, 1."""
    return networks.ReLUNetwork(
        (np.ones((2, 1), dtype), np.array([[1.0, -2.0]], dtype)),
        (np.array([0.0, -0.5], dtype), np.zeros(1, dtype)),
    )


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_networks_pieces_and_arrays_agree(norm):
    target = targets.get("square")
    net = hat_network()
    direct = norm.between(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 0.0]), target)
    assert float(norm.distance(net, target)) == pytest.approx(float(direct), rel=1e-14)
    cut = networks.pieces(net, 0.0, 1.0)
    assert float(norm.distance(cut, target)) == pytest.approx(float(direct), rel=1e-14)
    exact = networks.pieces(net, 0.0, 1.0, exact=True)
    assert isinstance(exact.values.ravel()[0], Fraction)
    assert float(norm.distance(exact, target)) == pytest.approx(float(direct), rel=1e-14)
    in_jax = networks.ReLUNetwork(
        tuple(map(jnp.asarray, net.weights)), tuple(map(jnp.asarray, net.biases))
    )
    assert float(norm.distance(in_jax, target)) == pytest.approx(float(direct), rel=1e-14)


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
@pytest.mark.parametrize("scale", [2.0**-960, 2.0**-548, 2.0**-500, 2.0**500, 2.0**664, 2.0**1021])
def test_a_distance_scales_with_both(norm, scale):
    net = hat_network()
    scaled = networks.ReLUNetwork((net.weights[0], scale * net.weights[1]), net.biases)
    wave, large = (
        targets.Function(lambda x, s=s: s * np.sin(2 * np.pi * x), (0, 1)) for s in (1.0, scale)
    )
    one, other = norm.distance(net, wave), norm.distance(scaled, large)
    assert float(other) / scale == pytest.approx(float(one), rel=1e-14)
    assert other.uncertainty / scale == pytest.approx(one.uncertainty, rel=0.1)


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
@pytest.mark.parametrize("scale", [2.0**-548, 2.0**664])
@pytest.mark.parametrize("name", ["piecewise-constant", "linear-spline", "polynomial"])
def test_a_distance_of_families_scales_with_both(name, scale, norm):
    """Steps and lines are measured cell by cell, polynomials as a difference."""

    def measured(size):
        exp = targets.Function(lambda x: size * np.exp(x), (0, 1))
        return norm.distance(families.get(name).fit(exp, 6, norm=norm).function, exp)

    found, one = measured(scale), measured(1.0)
    # A fit at another scale ends elsewhere, by rounding and by what its own search leaves.
    assert float(found) / scale == pytest.approx(float(one), rel=1e-4)
    assert 0 < found.uncertainty / scale < 1e-5 * one


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
@pytest.mark.parametrize("scale", [2.0**-960, 2.0**-548, 2.0**664, 2.0**1021])
def test_a_distance_from_zero_and_from_data_scales(norm, scale):
    """Zero has no size of its own to choose the units by; data have closed forms."""
    zero, x = np.zeros(2), np.linspace(0, 1, 9)
    for make in (
        lambda size: targets.Function(lambda x: size * np.exp(x), (0, 1)),
        lambda size: targets.Data(x, size * np.cos(x)),
    ):
        one, other = (norm.between(np.array([0.0, 1.0]), zero, make(s)) for s in (1.0, scale))
        assert float(other) / scale == pytest.approx(float(one), rel=1e-14)
        assert other.uncertainty / scale == pytest.approx(one.uncertainty, rel=0.1)


def test_results_that_leave_float64_say_so():
    ends, zero = np.array([0.0, 1.0]), np.zeros(2)
    large = targets.Function(lambda x: 1e200 * np.exp(x), (0, 1))
    with pytest.raises(ValueError, match=r"`L2\(\).piecewise\(...\)` must stay below 1.8e308"):
        norms.L2().piecewise(ends, zero, large)
    tiny = targets.Function(lambda x: 1e-200 * np.exp(x), (0, 1))
    local = norms.L2().piecewise(ends, zero, tiny)
    assert local.errors[0] == 0 < local.uncertainty[0]
    wide = targets.Function(lambda x: 1e306 + 0 * x, (0, 1e6))
    for norm in (norms.L1(), norms.L2()):
        with pytest.raises(ValueError, match="must stay below 1.8e308"):
            norm.between(1e6 * ends, zero, wide)
    opposite = targets.Function(lambda x: -1.5e308 + 0 * x, (0, 1))
    data = targets.Data(np.linspace(0, 1, 3), np.array([-1.5e308, -1.4e308, -1.5e308]))
    for norm in NORMS:
        for target in (opposite, data):
            with pytest.raises(ValueError, match=r"whose difference is finite; got inf at x = 0"):
                norm.between(ends, np.full(2, 1.5e308), target)


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_a_pole_is_the_fault_of_the_approximant(norm):
    """Every integral over a simple pole is infinite, whatever finite number its samples give."""
    rule = families.Quantized(families.Rational(), families.Bits(4))
    exp = targets.Function(lambda x: np.exp(x - 5), (5, 6))
    jump = targets.Function(
        lambda x: np.where(x < -300.5, 1.0, -x / 1e3), (-1e3, 1e3), breakpoints=(-300.5,)
    )
    for target in (exp, jump):
        function = rule.fit(target, 20, norm=norms.L2()).function
        assert not function.bounded
        with pytest.raises(ValueError, match="an approximant that is finite .* has a pole in"):
            norm.distance(function, target)


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_an_approximant_on_more_than_the_domain_is_cut(norm):
    target = targets.get("square")
    wide = networks.pieces(hat_network(), -3.0, 4.0)
    narrow = norm.distance(hat_network(), target)
    assert float(norm.distance(wide, target)) == pytest.approx(float(narrow), rel=1e-13)


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_ends_that_were_computed_may_miss_by_rounding(norm):
    target = targets.get("square")
    t = np.array([0.0, 0.5, np.nextafter(1.0, 0)])
    p = np.array([0.0, 0.5, 0.0])
    found = norm.between(t, p, target)
    assert float(found) == pytest.approx(
        float(norm.between(np.array([0.0, 0.5, 1.0]), p, target)), rel=1e-13
    )


@pytest.mark.parametrize(
    "name, cls",
    [
        ("L1", norms.L1), ("l1", norms.L1), ("l2", norms.L2), ("L^2", norms.L2),
        ("Sup", norms.Sup), ("sup", norms.Sup), ("linf", norms.Sup), ("Linf", norms.Sup),
    ],
)  # fmt: skip
def test_norms_by_name(name, cls):
    assert type(norms.get(name)) is cls


def test_exponents_and_names():
    assert [norm.p for norm in NORMS] == [1.0, 2.0, np.inf]
    assert [norm.name for norm in NORMS] == ["L1", "L2", "Sup"]
    for norm in NORMS:
        assert type(norms.get(norm.name)) is type(norm)


def test_unknown_names_and_settings():
    with pytest.raises(ValueError, match=r"`norms.get\(name\)` must be one of .* got 'l3'"):
        norms.get("l3")
    for cls in (norms.L1, norms.L2, norms.Sup):
        with pytest.raises(ValueError, match=r"accuracy=\.\.\.\)` must lie between 0 and 1; got 0"):
            cls(accuracy=0.0)
        with pytest.raises(ValueError, match=r"points=\.\.\.\)` must not be negative; got -1"):
            cls(points=-1)


T3 = np.array([0.0, 0.5, 1.0])


@pytest.mark.parametrize(
    "t, p, message",
    [
        (T3, np.zeros(2), "same length"),
        (T3, np.zeros((3, 2)), "same length"),
        (T3[:1], np.zeros(1), "at least 2"),
        (np.array([0.0, 0.5, 0.5, 1.0]), np.zeros(4), "increasing breakpoints; got 0.5 before 0.5"),
        (np.array([0.0, np.nan, 1.0]), np.zeros(3), "increasing breakpoints"),
        (T3, np.array([0.0, np.nan, 1.0]), "finite values; got nan at breakpoint 0.5"),
        (T3 / 2, np.zeros(3), "on [0.0, 1.0]; got one on [0.0, 0.5]"),
        (T3 + 0.25, np.zeros(3), "on [0.0, 1.0]; got one on [0.25, 1.25]"),
    ],
)
@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_refused_arrays(norm, t, p, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        norm.between(t, p, targets.get("square"))


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_refused_networks_and_things(norm):
    target = targets.get("square")
    two = networks.ReLUNetwork((np.ones((2, 1)), np.ones((2, 2))), (np.zeros(2), np.zeros(2)))
    with pytest.raises(ValueError, match="one input and one output; got 1 and 2"):
        norm.distance(two, target)
    with pytest.raises(TypeError, match="must get a `ReLUNetwork` or its `Pieces`; got str"):
        norm.distance("network", target)
    with pytest.raises(TypeError, match="a target with a domain; got function"):
        norm.distance(hat_network(), lambda x: x)


class Broken:
    name, breakpoints, singular_ends, domain = "broken", (), (False, False), (0.0, 1.0)

    def __init__(self, f):
        self.f = f

    def __call__(self, x):
        return self.f(x)

    def curvature(self, lower, upper):
        return None


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_targets_that_are_not_finite_say_where(norm):
    # Where the declared breakpoints do not hide it, the message carries the place.
    holed = Broken(lambda x: np.where((x > 0.7) & (x < 0.9), np.nan, x))
    with pytest.raises(
        ValueError, match=r"finite on its domain; got nan.*`broken` at x = .*0\.[78]"
    ):
        norm.between(T3, T3, holed)


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
def test_targets_that_are_not_vectorized(norm):
    with pytest.raises(ValueError, match="maps an array of shape .* to the same shape"):
        norm.between(T3, T3, Broken(lambda x: 1.0))


@pytest.mark.parametrize("norm", NORMS, ids=lambda n: n.name)
@pytest.mark.parametrize("name", targets.names())
def test_every_built_in_target_can_be_measured(norm, name):
    """Interpolants: the distance is certain, and no random sample exceeds the sup."""
    target = targets.get(name)
    a, b = target.domain
    t = np.linspace(a, b, 35)
    found = type(norm)(points=2**12).between(t, target(t), target)
    assert found > 0
    rough = target.derivative(t) is None
    assert found.uncertainty <= (0.6 if rough else 1e-5) * found
    if norm.p == np.inf:
        x = np.random.default_rng(0).uniform(a, b, 20_000)
        seen = np.abs(np.interp(x, t, target(t)) - target(x)).max()
        assert seen <= found + found.uncertainty


def exact_linear(t, p, x, y):
    """Judge for data: rationals, every root found exactly."""
    t, p, x, y = ([Fraction(float(v)) for v in column] for column in (t, p, x, y))

    def line(s, knots, values):
        k = max(i for i in range(len(knots) - 1) if knots[i] <= s or i == 0)
        w = (s - knots[k]) / (knots[k + 1] - knots[k])
        return values[k] + w * (values[k + 1] - values[k])

    marks = sorted({*t, *x})
    d = [line(s, t, p) - line(s, x, y) for s in marks]
    l1 = l2 = Fraction(0)
    for u, v, a, b in zip(marks[:-1], marks[1:], d[:-1], d[1:], strict=True):
        h = v - u
        l2 += h * (a * a + a * b + b * b) / 3
        if a * b < 0:
            root = a / (a - b)
            l1 += h * (abs(a) * root + abs(b) * (1 - root)) / 2
        else:
            l1 += h * abs(a + b) / 2
    return float(l1), float(l2) ** 0.5, float(max(map(abs, d)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(1, 9), st.booleans())
def test_data_are_exact(seed, samples, pieces, shared):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-2, 5, samples))
    y = rng.normal(size=samples) * 10.0 ** rng.integers(-3, 4)
    inner = x[1:-1] if shared else rng.uniform(x[0], x[-1], 20)
    inner = np.unique(rng.choice(inner, min(pieces - 1, len(inner)), replace=False))
    t = np.unique(np.concatenate([x[:1], inner, x[-1:]]))
    p = rng.normal(size=len(t)) * 10.0 ** rng.integers(-3, 7)
    target = targets.Data(x, y)
    for norm, exact in zip(NORMS, exact_linear(t, p, x, y), strict=True):
        found = norm.between(t, p, target)
        assert float(found) == pytest.approx(exact, rel=1e-12)
        assert abs(found - exact) <= found.uncertainty
        assert found.assumption == ""
        local = norm.piecewise(t, p, target)
        assert local.errors.shape == (len(t) - 1,)
        whole = local.errors.max() if norm.p == np.inf else local.errors.sum() ** (1 / norm.p)
        assert whole == pytest.approx(float(found), rel=1e-12)


def test_local_suprema_of_data_are_per_piece():
    target = targets.Data([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 1.0, 0.0, -3.0, 0.0])
    local = norms.Sup().piecewise(T3, np.zeros(3), target)
    np.testing.assert_array_equal(local.errors, [1.0, 3.0])
    np.testing.assert_array_equal(local.locations, [0.25, 0.75])
    found = norms.Sup().between(T3, np.zeros(3), target)
    assert (float(found), found.location) == (3.0, 0.75)


def test_data_that_are_reproduced_have_distance_zero():
    x = np.linspace(0, 1, 200) ** 2
    y = np.sin(9 * x)
    for norm in NORMS:
        found = norm.between(x, y, targets.Data(x, y))
        assert float(found) == 0.0 and found.uncertainty < 1e-14


def test_a_million_samples_in_closed_form():
    x = np.linspace(0, 1, 1_000_001)
    target = targets.Data(x, x * x)
    t = np.linspace(0, 1, 11)
    # The samples lie on the parabola; their interpolant differs from it by 1/6 of h^2 on average.
    h, fine = 0.1, 1e-6
    l1 = norms.L1().between(t, t * t, target)
    assert float(l1) == pytest.approx((h**2 - fine**2) / 6, rel=1e-9)
    assert float(norms.Sup().between(t, t * t, target)) == pytest.approx(h**2 / 4, rel=1e-12)


def test_gradients_of_local_errors_guide_a_knot():
    """The use that families make of it: moving the middle knot until both pieces err the same."""
    target = targets.get("exp")

    def gap(knot):
        t = np.array([0.0, knot, 1.0])
        left, right = norms.L2(accuracy=1e-9).piecewise(t, target(t), target).errors
        return left - right

    knot = scipy.optimize.brentq(gap, 0.2, 0.95)
    t = np.array([0.0, knot, 1.0])
    errors = norms.Sup().piecewise(t, target(t), target).errors
    assert 0.5 < knot < 0.9 and 0.5 < errors[0] / errors[1] < 2
