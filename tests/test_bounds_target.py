"""Distances between networks and functions: mpmath and closed forms judge the enclosures."""

import json
import math
import sys
from fractions import Fraction

import equinox as eqx
import flint
import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import bounds, networks, targets
from qrelu.bounds._jet import Jet

mp = mpmath.mp
# The built-in functions once more, by another hand.
JUDGES = {
    "square": lambda x: x * x,
    "cubic": lambda x: x**3,
    "exp": lambda x: mp.exp(3 * x),
    "reciprocal": lambda x: 1 / x,
    "sine": lambda x: mp.sin(2 * mp.pi * x),
    "gaussian": lambda x: mp.exp(-50 * (x - mp.mpf(1) / 2) ** 2),
    "runge": lambda x: 1 / (1 + 25 * (2 * x - 1) ** 2),
    "tanh": lambda x: mp.tanh(50 * (x - mp.mpf(1) / 2)),
    "oscillation": lambda x: mp.sin(16 * mp.pi * x),
    "chirp": lambda x: mp.sin(16 * mp.pi * x * x),
    "power1.5": lambda x: x * mp.sqrt(x),
    "entropy": lambda x: x * mp.log(x) if x else mp.mpf(0),
    "sqrt": mp.sqrt,
    "kink": lambda x: abs(x - mp.mpf(1) / 3),
    "corners": lambda x: abs(mp.sin(3 * mp.pi * x)),
    "cusp": lambda x: mp.sqrt(abs(x - mp.mpf(1) / 3)),
}


def _interpolant(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    return networks.ReLUNetwork(
        [np.ones((len(slopes), 1)), np.diff(slopes, prepend=0.0)[None]],
        [-np.asarray(knots[:-1]), np.array([values[0]])],
    )


def _random(rng, widths, scale=1.0):
    shapes = list(zip(widths, widths[1:], strict=False))
    return networks.ReLUNetwork(
        [rng.normal(size=(n, m)) * scale / m**0.5 for m, n in shapes],
        [rng.normal(size=n) * scale for _, n in shapes],
    )


def _exact(network, x):
    """The value at one point, as a fraction."""
    h = [Fraction(float(x))]
    for layer, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        h = [max(v, Fraction(0)) for v in h] if layer else h
        h = [
            sum((Fraction(float(v)) * t for v, t in zip(row, h, strict=True)), Fraction(float(c)))
            for row, c in zip(np.asarray(w), np.asarray(b), strict=True)
        ]
    return h[0]


def _distance(network, name, x):
    with mpmath.workdps(50):
        value = _exact(network, x)
        return abs(mp.mpf(value.numerator) / value.denominator - JUDGES[name](mp.mpf(float(x))))


def _both(name):
    return [targets.get(name), bounds.expression(name)]


@pytest.mark.parametrize("name", list(JUDGES))
def test_enclosures_of_interpolants(name):
    target = targets.get(name)
    knots = np.linspace(*target.domain, 12)
    network = _interpolant(knots, target(knots))
    found = [bounds.enclose_target(network, t) for t in _both(name)]
    x = np.linspace(*target.domain, 301)
    for f in found:
        assert f.complete and f.upper <= f.lower * (1 + 1e-6)
        assert max(_distance(network, name, t) for t in x) <= f.upper
        assert _distance(network, name, f.witness[0]) >= f.lower
        assert f.box[0] <= f.witness <= f.box[1] and f.target == name
    assert found[0].lower <= found[1].upper and found[1].lower <= found[0].upper


@pytest.mark.parametrize("name", ["takagi", "weierstrass"])
def test_rough_targets_by_their_modulus(name):
    target = targets.get(name)
    network = _interpolant(np.linspace(0, 1, 9), target(np.linspace(0, 1, 9)))
    found = bounds.enclose_target(network, target, gap=1e-3)
    x = np.linspace(0, 1, 20001)
    values = np.interp(x, np.linspace(0, 1, 9), target(np.linspace(0, 1, 9)))
    assert abs(values - target(x)).max() <= found.upper <= found.lower * 1.001
    if name == "takagi":  # f minus its interpolant at 2^3 + 1 points is 2^-3 f(2^3 x), at most 1/12
        assert found.lower <= 1 / 12 <= found.upper


def test_known_distances():
    for n in (1, 3, 8, 50):
        knots = np.linspace(0, 1, n + 1)
        network = _interpolant(knots, knots**2)
        for target in _both("square"):
            found = bounds.enclose_target(network, target, gap=1e-9)
            assert found.lower <= (1 + 1e-12) / (4 * n**2)
            assert found.upper >= (1 - 1e-12) / (4 * n**2)
            assert found.upper <= found.lower * (1 + 1e-9)
        network = _interpolant(knots, np.sqrt(knots))
        for target in _both("sqrt"):
            found = bounds.enclose_target(network, target)
            assert found.lower <= 1 / (4 * math.sqrt(n)) * (1 + 1e-12)
            assert found.upper >= 1 / (4 * math.sqrt(n)) * (1 - 1e-12)


def test_the_sawtooth_network_for_the_square():
    """Depth m + 1, width 3: the distance from x^2 is exactly 4^-(m + 1)."""
    for m in (1, 2, 5, 9):
        weights = [np.ones((3, 1))]
        biases = [np.array([0.0, -0.5, 0.0])]
        for layer in range(2, m + 1):
            weights.append(np.array([[0.5, -1, 0], [0.5, -1, 0], [-0.5, 1, 1]]))
            biases.append(np.array([0.0, -(2.0 ** (-2 * layer + 1)), 0.0]))
        weights.append(np.array([[-0.5, 1, 1]]))
        biases.append(np.zeros(1))
        network = networks.ReLUNetwork(weights, biases)
        for target in _both("square"):
            found = bounds.enclose_target(network, target, gap=1e-9)
            assert found.complete
            assert found.lower * (1 - 1e-12) <= 4.0 ** -(m + 1) <= found.upper * (1 + 1e-12)
            assert found.upper <= 4.0 ** -(m + 1) * (1 + 1e-8)


def test_a_tight_gap():
    rng = np.random.default_rng(2)
    network = _random(rng, (1, 12, 12, 1))
    found = bounds.enclose_target(network, bounds.expression("exp"), gap=1e-12)
    assert found.complete and found.upper <= found.lower * (1 + 1e-12)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(list(JUDGES)),
    st.sampled_from([(1, 6, 1), (1, 1), (1, 5, 4, 1), (1, 4, 4, 4, 1)]),
    st.sampled_from([1e-3, 1.0, 1e4]),
    st.booleans(),
)
def test_no_measured_distance_exceeds_the_enclosure(seed, name, widths, scale, single):
    rng = np.random.default_rng(seed)
    network = _random(rng, widths, scale)
    if single:
        network = jax.tree.map(lambda p: p.astype(np.float32), network)
    low, high = targets.get(name).domain
    ends = np.sort(rng.uniform(low, high, 2)) if rng.random() < 0.5 else np.array([low, high])
    box = (float(ends[0]), float(ends[1]))
    for target in _both(name):
        gap = float(10 ** rng.uniform(-8, -1))
        found = bounds.enclose_target(network, target, box, gap=gap, budget=5000)
        assert found.lower <= found.upper
        if found.complete:
            # At the singular end of a square root 8 units of the argument are worth 4e-8.
            assert found.upper <= found.lower * (1 + gap) + 1e-9 * scale + 1e-7
        x = np.clip(np.append(rng.uniform(*box, 12), found.witness), *box)
        distances = [_distance(network, name, t) for t in x]
        assert max(distances) <= found.upper
        assert distances[-1] >= found.lower * (1 - 1e-15)


def test_knots_closer_than_floats():
    """Two kinks between neighboring floats, and slopes of a million beside them."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        size = 10.0 ** rng.uniform(0, 6)
        w = np.array([[3.0], [3.0 + 2.0**-51], [3.0 - 2.0**-51]])
        network = networks.ReLUNetwork(
            [w, size * rng.normal(size=(1, 3))], [-np.ones(3), rng.normal(size=1)]
        )
        for target in _both("exp"):
            found = bounds.enclose_target(network, target)
            for x in (0.0, 1 / 3, np.nextafter(1 / 3, 1), 0.7, 1.0, found.witness[0]):
                assert _distance(network, "exp", x) <= found.upper
            assert _distance(network, "exp", found.witness[0]) >= found.lower


def test_a_peak_between_floats():
    """R = 1 - 192 |x - 1/3| reaches 1 at a third only, which is no float: the lines on both sides,
    continued to the float next to it, do not bound it from below."""
    k = 64.0
    network = networks.ReLUNetwork(
        [np.array([[1.0], [3.0]]), np.array([[3 * k, -2 * k]])],
        [np.array([0.0, -1.0]), np.array([1 - k])],
    )
    nothing = bounds.Expression(lambda x: x - x, (0, 1))
    flat = targets.Function(lambda x: 0 * x, (0, 1), curvature=0.0)
    for target in (nothing, flat):
        found = bounds.enclose_target(network, target, (0.33, 0.34), gap=1e-13)
        assert found.lower <= 1.0 <= found.upper <= 1 + 1e-12
        assert abs(_exact(network, found.witness[0])) >= Fraction(found.lower)


def test_data_and_functions_of_a_user():
    data = targets.Data([0, 0.3, 0.5, 1], [1.0, -2, 3, 0.5])
    network = _interpolant(np.array([0, 0.5, 1]), np.array([1, 3, 0.5]))
    found = bounds.enclose_target(network, data)
    known = abs(1 + 0.6 * 2 - -2)
    assert found.complete and found.lower <= known * (1 + 1e-12) and known <= found.upper
    assert found.witness[0] == 0.3
    function = targets.Function(lambda x: np.sin(x), (0.0, 3.0), curvature=1.0)
    network = _interpolant(np.linspace(0, 3, 4), np.sin(np.linspace(0, 3, 4)))
    first = bounds.enclose_target(network, function)
    second = bounds.enclose_target(network, bounds.Expression(lambda x: x.sin(), [0, 3]))
    assert first.complete and second.complete
    assert first.lower <= second.upper and second.lower <= first.upper
    unknown = targets.Function(lambda x: np.sin(x), (0.0, 3.0))
    with pytest.raises(ValueError, match="declares none. Pass `curvature`"):
        bounds.enclose_target(network, unknown)


def test_a_model_of_equinox_and_several_layers():
    mlp = eqx.nn.MLP(1, 1, 8, 2, activation=jax.nn.relu, key=jax.random.key(0))
    found = bounds.enclose_target(mlp, targets.get("sine"))
    x = np.linspace(0, 1, 2001)
    values = np.asarray(jax.vmap(mlp)(x[:, None]))[:, 0]
    assert found.lower * 0.99 <= abs(values - np.sin(2 * np.pi * x)).max() <= found.upper + 1e-5


def test_a_budget_that_runs_out():
    rng = np.random.default_rng(0)
    network = _random(rng, (1, 30, 1))
    for target in _both("chirp"):
        short = bounds.enclose_target(network, target, budget=1)
        full = bounds.enclose_target(network, target)
        assert not short.complete and full.complete
        assert short.lower <= full.upper and full.lower <= short.upper
        assert "budget ran out" in str(short) and "budget" not in str(full)


def test_records_go_through_json():
    network = _random(np.random.default_rng(1), (1, 5, 1))
    found = bounds.enclose_target(network, targets.get("sine"))
    text = json.dumps(found.to_dict())
    again = bounds.TargetEnclosure.from_dict(json.loads(text))
    assert again == found and hash(again) == hash(found) and again != 3
    bad = {**found.to_dict(), "lower": found.upper * 2}
    with pytest.raises(ValueError, match="lower <= upper"):
        bounds.TargetEnclosure.from_dict(bad)
    with pytest.raises(ValueError, match='must have "format"'):
        bounds.TargetEnclosure.from_dict({"format": "x"})
    with pytest.raises(ValueError, match="witness in the box"):
        bounds.TargetEnclosure.from_dict({**found.to_dict(), "box": None})


CHAINS = [
    lambda x, f: f(x, "exp") * 2 - 1 / (x + 1),
    lambda x, f: f(x + 2, "log") / f(x, "cosh") + f(x, "log1p"),
    lambda x, f: f(f(x, "sin") + 2, "sqrt") - f(x * x, "cos"),
    lambda x, f: f(x, "tan") * f(x, "tanh") + f(3 * x, "atan") ** 3,
    lambda x, f: f(x, "sinh") ** -2 + 3 - x**0 + x**1,
    lambda x, f: f(x, "erf") * (x + 1) ** 2 - abs(x - 5),
    lambda x, f: (x + 1) ** 2.5 + f(x, "xlogx"),
    lambda x, f: f(x, "sin_pi") + f(x / 3, "cos_pi") - 0.1,
]


@pytest.mark.parametrize("chain", CHAINS)
def test_jets_hold_values_and_derivatives(chain):
    """mpmath's numerical derivatives at points lie in the balls, also in those of an interval."""
    other = {
        "log1p": lambda t: mp.log(1 + t),
        "sin_pi": mp.sinpi,
        "cos_pi": mp.cospi,
        "xlogx": lambda t: t * mp.log(t),
    }
    judge = lambda t: chain(t, lambda y, name: other.get(name, getattr(mp, name, None))(y))  # noqa: E731
    arb = flint.arb
    with mpmath.workdps(40), flint.ctx.workprec(128):
        for point in (0.25, 0.6, 1.125):
            wide = arb(point - 0.05).union(arb(point + 0.05))
            for x in (arb(point), wide):
                jet = chain(Jet(x, arb(1), arb(0)), lambda y, name: getattr(y, name)())
                parts = (jet.value, jet.first, jet.second)
                for k, part in enumerate(parts):
                    known = mp.diff(judge, mp.mpf(point), k) if k else judge(mp.mpf(point))
                    assert abs(mp.mpf(float(part.mid())) - known) <= (
                        float(part.rad()) + 1e-15 * (1 + abs(known))
                    )
                plain = chain(Jet(x), lambda y, name: getattr(y, name)())
                assert plain.first is None and plain.value.overlaps(jet.value)


def test_jets_at_the_edge_of_their_domain():
    arb = flint.arb
    touching = arb(0).union(arb(0.25))
    root = Jet(touching, arb(1), arb(0)).sqrt()
    assert root.value.contains(arb(0)) and root.value.contains(arb(0.5))
    assert not root.second.is_finite()
    small = Jet(touching).xlogx().value
    assert small.contains(arb(0)) and small.contains(arb(0.25) * arb(0.25).log())
    assert Jet(arb(0)).xlogx().value == 0
    assert not Jet(arb(-1).union(arb(2))).xlogx().value.is_finite()
    around = abs(Jet(arb(-1).union(arb(2)), arb(1), arb(0)))
    assert around.value.contains(arb(2)) and not around.second.is_finite()


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match=r"pip install 'qrelu\[arb\]'"):
        bounds.expression("sine")
    network = _random(np.random.default_rng(1), (1, 5, 1))
    assert bounds.enclose_target(network, targets.get("sine")).complete


def _net(*widths):
    return _random(np.random.default_rng(0), widths)


@pytest.mark.parametrize(
    "error, make, text",
    [
        (ValueError, lambda: bounds.enclose_target(_net(2, 1), targets.get("exp")), "one input"),
        (ValueError, lambda: bounds.enclose_target(_net(1, 2), targets.get("exp")), "one output"),
        (
            ValueError,
            lambda: bounds.enclose_target(_net(1, 1), targets.get("exp"), (0.5, 0.5)),
            "inside the domain",
        ),
        (
            ValueError,
            lambda: bounds.enclose_target(_net(1, 1), targets.get("exp"), (0.0, math.inf)),
            "inside the domain",
        ),
        (
            ValueError,
            lambda: bounds.enclose_target(_net(1, 1), targets.get("exp"), gap=0.0),
            "must be positive",
        ),
        (
            TypeError,
            lambda: bounds.enclose_target(_net(1, 1), np.sin),
            "must be a `bounds.Expression` or a target",
        ),
        (TypeError, lambda: bounds.enclose_target(3, targets.get("exp")), "ReLUNetwork"),
        (
            ValueError,
            lambda: bounds.enclose_target(
                _net(1, 1), bounds.Expression(lambda x: x.log(), (0.0, 1.0))
            ),
            "no finite enclosure at x = 0.0",
        ),
        (ValueError, lambda: bounds.expression("takagi"), "must name a built-in target"),
        (ValueError, lambda: bounds.Expression(lambda x: x, (1.0, 0.0)), "lower < upper"),
        (ValueError, lambda: bounds.Expression(lambda x: x, (1.0,)), "domain .lower, upper."),
        (ValueError, lambda: bounds.Expression(lambda x: (-x).log(), (0, 1)), "must be finite"),
        (TypeError, lambda: bounds.Expression(lambda x: math.sin(x), (0, 1)), "`x.sin..` instead"),
        (TypeError, lambda: bounds.Expression(lambda x: x.gamma(), (0, 1)), "gamma"),
        (TypeError, lambda: bounds.Expression(lambda x: x + "a", (0, 1)), "got str"),
    ],
)
def test_bad_arguments(error, make, text):
    with pytest.raises(error, match=text):
        make()
