"""Rounding errors of evaluating deep networks inside of enclosures: covered, and not overstated.

The judges are evaluations with the worst rounding errors that floating point allows, sums in other
orders, and exact rationals.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import bounds, networks, quantizers

pytestmark = pytest.mark.filterwarnings("ignore:.*to the single value.*")

UNIT = 2.0**-24


def _network(rng, widths, biases=0.2):
    pairs = list(zip(widths, widths[1:], strict=False))
    weights = [(rng.normal(size=(n, m)) * np.sqrt(2 / m)).astype(np.float32) for m, n in pairs]
    return networks.ReLUNetwork(
        weights, [(biases * rng.normal(size=n)).astype(np.float32) for _, n in pairs]
    )


def _rounded(net, step):
    return quantizers.quantize(net, quantizers.Uniform(step, "nearest"))


def _parameters(net):
    return [
        (np.asarray(w, np.float64), np.asarray(b, np.float64))
        for w, b in zip(net.weights, net.biases, strict=True)
    ]


def _worst(net, x, side, near=0.0):
    """The first output with rounding errors that add up: all of them push it to one side.

    A sum of k products and a bias may be off by k units of its absolute terms. The sign of each
    layer's errors is that of its effect on the output. Units count as on above -near.
    """
    layers = _parameters(net)
    h, pattern = x, []
    for w, b in layers[:-1]:
        z = w @ h + b
        h = np.maximum(z, 0)
        pattern.append(z > -near)
    effects = [np.ones(1)]
    row = layers[-1][0][:1]
    for (w, _), on in zip(layers[-2::-1], pattern[::-1], strict=True):
        effects.append((row * on)[0])
        row = (row * on) @ w
    h = x
    for i, ((w, b), effect) in enumerate(zip(layers, effects[::-1], strict=True)):
        h = np.maximum(h, 0) if i else h
        size = abs(w) @ abs(h) + abs(b)
        error = np.count_nonzero(h) * UNIT * size
        h = w @ h + b
        signs = np.sign(effect)
        h[: len(signs)] += side * signs * error[: len(signs)]
    return h[0]


def _shuffled(net, xs, rng):
    """Values in float32, summed in a random order of units."""
    h = xs.T.astype(np.float32)
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.maximum(h, 0) if i else h
        total = np.repeat(np.asarray(b)[:, None], h.shape[1], 1)
        for j in rng.permutation(w.shape[1]):
            total = total + np.asarray(w)[:, j, None] * h[j]
        assert total.dtype == np.float32
        h = total
    return h


def _exact(net, x):
    h = [Fraction(float(t)) for t in x]
    for i, (w, b) in enumerate(_parameters(net)):
        h = [max(t, Fraction(0)) for t in h] if i else h
        h = [
            sum((Fraction(u) * t for u, t in zip(row, h, strict=True)), Fraction(c))
            for row, c in zip(w, b, strict=True)
        ]
    return h


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.sampled_from([3, 6, 12]),
    st.sampled_from([1, 2]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([None, 2.0**-4, 2.0**-12]),
)
def test_no_evaluation_leaves_the_enclosure(seed, depth, width, inputs, biases, step):
    rng = np.random.default_rng(seed)
    width = min(width, 6) if inputs == 2 else width
    net = _network(rng, (inputs, *[width] * depth, 1), biases)
    other = net if step is None else _rounded(net, step)
    lower = rng.choice([0.0, -1.0, 0.3], inputs)
    upper = lower + 10 ** rng.uniform(-5, 0, inputs)
    result = bounds.enclose(net, other, (lower, upper), budget=3000)
    powers = np.repeat(2.0 ** -np.arange(20.0)[:, None], inputs, 1)
    shares = np.concatenate([rng.random((20, inputs)), powers])
    xs = np.clip(lower + shares * (upper - lower), lower, upper)
    here = result.witness
    for side in (-1, 1):
        for x in (*xs, here):
            assert abs(_worst(net, x, side) - _worst(other, x, -side)) <= result.upper
        assert abs(_worst(net, here, side) - _worst(other, here, -side)) >= result.lower
    for _ in range(3):
        measured = abs(_shuffled(net, xs, rng) - _shuffled(other, xs, rng)).max()
        assert measured <= result.upper
        at = here[None]
        assert abs(_shuffled(net, at, rng) - _shuffled(other, at, rng)).max() >= result.lower
    for x in (xs[0], here):
        exact = abs(_exact(net, x)[0] - _exact(other, x)[0])
        assert exact <= Fraction(result.upper)
    assert exact >= Fraction(result.lower)


@pytest.mark.parametrize("depth", [1, 3, 6, 10])
@pytest.mark.parametrize("biases", [0.0, 0.2])
def test_bounds_are_of_the_size_of_the_worst_errors(depth, biases):
    """Whatever the depth: absolute weights alone would cost a factor of about four per layer."""
    rng = np.random.default_rng(depth)
    net = _network(rng, (1, *[16] * depth, 1), biases)
    result = bounds.enclose(net, net, (-1.0, 1.0))
    xs = np.linspace(-1, 1, 2001)[:, None]
    worst = max(_worst(net, x, 1) - _worst(net, x, -1) for x in xs)
    assert 0 < worst <= result.upper < 3 * worst


@pytest.mark.parametrize("depth", [2, 4, 6])
def test_errors_pass_units_that_vanish(depth):
    """Weights are positive, and every other layer is zero up to rounding: errors turn it on."""
    rng = np.random.default_rng(depth)
    h, weights, biases = np.ones(1), [], []
    for i, (m, n) in enumerate(zip([1, *[24] * depth], [*[24] * depth, 1], strict=True)):
        w = (rng.uniform(0.5, 1.5, (n, m)) / m).astype(np.float32)
        b = (-w @ h if i % 2 else rng.uniform(1, 2, n)).astype(np.float32)
        h = np.maximum(w.astype(np.float64) @ h + b, 0)
        weights.append(w)
        biases.append(b)
    net = networks.ReLUNetwork(weights, biases)
    result = bounds.enclose(net, net, (1.0, 1.0))
    x = np.ones(1)
    worst = _worst(net, x, 1, near=1e-5) - _worst(net, x, -1, near=1e-5)
    assert 0 < worst <= result.upper < 2.5 * worst


@pytest.mark.parametrize("depth", [3, 6, 10])
@pytest.mark.parametrize("biases", [0.0, 0.2])
def test_deep_networks_in_float32_have_certificates(depth, biases):
    net = _network(np.random.default_rng(1), (1, *[24] * depth, 1), biases)
    other = _rounded(net, 2.0**-7)
    result = bounds.enclose(net, other, (0, 1))
    exact = bounds.enclose(net, other, (0, 1), evaluation="exact")
    assert result.evaluation == ("float32", "float32")
    assert result.lower <= exact.lower <= exact.upper <= result.upper <= 1.25 * result.lower


def test_float64_needs_no_more_cells():
    rng = np.random.default_rng(0)
    net = _network(rng, (1, 16, 16, 16, 1))
    other = _rounded(net, 2.0**-6)
    cells = [bounds.enclose(net, other, (-1, 1), evaluation=e).boxes for e in ("exact", "float64")]
    assert cells[0] == cells[1]


def test_a_type_too_coarse_still_has_bounds():
    rng = np.random.default_rng(3)
    net = _network(rng, (1, 12, 12, 12, 1))
    other = _rounded(net, 2.0**-3)
    uppers = [
        bounds.enclose(net, other, (-1, 1), evaluation=e).upper
        for e in ("exact", "float32", "float16", "bfloat16")
    ]
    assert uppers == sorted(uppers) and uppers[-1] < np.inf
