"""Lipschitz constants, steps and bits: exact rationals judge them, random networks obey them."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import bounds, networks, quantizers

ROUNDINGS = ("nearest", "floor", "toward_zero")
EXPONENTS = (1.0, 1.5, 2.0, 3.0, math.inf)


def _power(base, exponent):
    """base^exponent with 60 digits, exact where the exponent is 0 or 1."""
    return mpmath.power(base, exponent) if exponent not in (0, 1) else mpmath.mpf(base**exponent)


def _judge(widths, radii, bias_radii, radius, p):
    """The closed sum over layers instead of the recursion, with 60 digits."""
    with mpmath.workdps(60):
        inverse = 0 if math.isinf(p) else 1 / mpmath.mpf(p)
        depth, total = len(widths) - 1, mpmath.mpf(0)
        for layer in range(1, depth + 1):
            size = mpmath.mpf(radius) * mpmath.fprod(map(mpmath.mpf, radii[: layer - 1]))
            for k in range(layer - 1):
                later = mpmath.fprod(map(mpmath.mpf, radii[k + 1 : layer - 1]))
                size += mpmath.mpf(bias_radii[k]) * later
            output = _power(widths[layer], inverse)
            alpha = output * _power(widths[layer - 1], 1 - inverse)
            total += mpmath.fprod(map(mpmath.mpf, radii[layer:])) * (alpha * size + output)
        return total


def _evaluate(weights, biases, x):
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        x = w @ (np.maximum(x, 0) if layer else x) + b[:, None]
    return x


def _random_network(rng, widths, density=1.0, scale=1.0):
    weights, biases = [], []
    for m, n in zip(widths, widths[1:], strict=False):
        weights.append(rng.normal(size=(n, m)) * scale * (rng.random((n, m)) < density))
        biases.append(rng.normal(size=n) * scale * (rng.random(n) < density))
    return networks.ReLUNetwork(weights, biases)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_constant_is_the_closed_sum_rounded_upwards(data):
    widths = data.draw(st.lists(st.integers(1, 50), min_size=2, max_size=12))
    depth = len(widths) - 1
    number = st.floats(0, 10)
    radii = data.draw(st.lists(number, min_size=depth, max_size=depth))
    bias_radii = data.draw(st.lists(number, min_size=depth, max_size=depth))
    radius = data.draw(number)
    p = data.draw(st.sampled_from(EXPONENTS))
    value = bounds.parameter_lipschitz(widths, radii, radius, p, bias_bound=bias_radii)
    exact = _judge(widths, radii, bias_radii, radius, p)
    assert mpmath.mpf(value) >= exact
    assert value <= float(exact) * (1 + 1e-12)
    largest = max(1.0, *radii, *bias_radii)
    assert value <= bounds.coarse_lipschitz(widths, largest, radius, p) * (1 + 1e-12)
    if p in (1, math.inf):
        rational = _rational(widths, radii, bias_radii, radius, p)
        assert Fraction(value) >= rational


def _rational(widths, radii, bias_radii, radius, p):
    error, size = Fraction(0), Fraction(radius)
    for layer, (r, b) in enumerate(zip(radii, bias_radii, strict=True)):
        alpha, output = (widths[layer], 1) if math.isinf(p) else (widths[layer + 1],) * 2
        error = Fraction(r) * error + alpha * size + output
        size = Fraction(r) * size + Fraction(b)
    return error


def test_known_values():
    for width, depth in ((1, 1), (3, 3), (7, 5)):
        value = bounds.parameter_lipschitz([width] * (depth + 1), 1.0, 1.0)
        assert value == pytest.approx(width * depth * (depth + 1) / 2 + depth, rel=1e-13)
    assert bounds.parameter_lipschitz((2, 3), 5.0, 7.0) == pytest.approx(2 * 7 + 1, rel=1e-13)
    value = bounds.parameter_lipschitz((2, 3, 1), 5.0, 7.0, p=1)
    assert value == pytest.approx(5 * (3 * 7 + 3) + 1 * 40 + 1, rel=1e-13)
    assert bounds.coarse_lipschitz((1, 4, 4, 1), 2.0, 3.0) == pytest.approx(4 * 4 * 9 * 4)
    assert bounds.coarse_lipschitz((1, 4, 4, 1), 0.5, 3.0) == pytest.approx(4 * 4 * 9)


def test_per_layer_radii_and_no_biases():
    """Without biases K = D sum_l alpha_l prod_(k != l) r_k."""
    widths, radii = (2, 5, 3, 1), (0.5, 2.0, 3.0)
    nonzeros = [(m, n, 0) for m, n in zip(widths, widths[1:], strict=False)]
    for p in EXPONENTS:
        value = bounds.parameter_lipschitz(widths, radii, 0.7, p, bias_bound=0.0, nonzeros=nonzeros)
        inverse = 1 / p
        alphas = [n**inverse * m ** (1 - inverse) for m, n, _ in nonzeros]
        products = [6.0, 1.5, 1.0]
        total = 0.7 * sum(a * b for a, b in zip(alphas, products, strict=True))
        assert total <= value <= total * (1 + 1e-12)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("widths", [(1, 1), (1, 4, 1), (2, 3, 5, 2), (3, 3, 3, 3, 3, 3)])
@pytest.mark.parametrize("r", [0.4, 1.0, 2.5])
def test_the_extremal_pair_attains_the_constant(p, widths, r):
    radius, shift = 0.7, 1e-7 if r > 1 else 1e-8
    pairs = list(zip(widths, widths[1:], strict=False))
    inverse = 1 / p
    alphas = [n**inverse * m ** (1 - inverse) for m, n in pairs]
    weights = [np.full((n, m), r / a) for (m, n), a in zip(pairs, alphas, strict=True)]
    biases = [np.full(n, r * n**-inverse) for _, n in pairs]
    x = np.full((widths[0], 1), radius * widths[0] ** -inverse)
    moved = _evaluate([w - shift for w in weights], [b - shift for b in biases], x)
    distance = np.linalg.norm((_evaluate(weights, biases, x) - moved)[:, 0], p)
    constant = bounds.parameter_lipschitz(widths, r, radius, p)
    assert distance / shift <= constant * (1 + 1e-6)
    assert distance / shift >= constant * (1 - 1e-5)


def test_the_extremal_pair_in_the_limit():
    """With exact rationals the move can be tiny: the constant is attained to 1e-12."""
    widths, r, radius, shift = (2, 3, 4, 1), Fraction(3, 2), Fraction(1), Fraction(1, 10**20)
    values = []
    for move in (Fraction(0), shift):
        x = [radius] * widths[0]
        for m, n in zip(widths, widths[1:], strict=False):
            x = [sum((r / m - move) * max(v, 0) for v in x) + r - move] * n
        values.append(x[0])
    ratio = (values[0] - values[1]) / shift
    assert float(ratio) == pytest.approx(bounds.parameter_lipschitz(widths, 1.5, 1.0), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(EXPONENTS), st.booleans())
def test_no_pair_of_networks_exceeds_the_constant(seed, p, sparse):
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 7, rng.integers(2, 6))
    shift = 10 ** rng.uniform(-6, 0)
    first = _random_network(rng, widths, 0.4 if sparse else 1.0)
    signs = lambda a: shift * rng.choice([-1, 1, rng.uniform(-1, 1)], a.shape) * (a != 0)  # noqa: E731
    weights = [w + signs(w) for w in first.weights]
    biases = [b + signs(b) for b in first.biases]
    x = rng.uniform(-2, 2, (widths[0], 40))
    difference = _evaluate(first.weights, first.biases, x) - _evaluate(weights, biases, x)
    distance = max(np.linalg.norm(column, p) for column in difference.T)

    def norm(a):
        # The l^p operator norm is at most norm_1^(1/p) norm_inf^(1 - 1/p).
        return np.linalg.norm(a, 1) ** (1 / p) * np.linalg.norm(a, np.inf) ** (1 - 1 / p)

    radii = [max(norm(w), norm(v)) for w, v in zip(first.weights, weights, strict=True)]
    bias_radii = [
        max(np.linalg.norm(b, p), np.linalg.norm(c, p))
        for b, c in zip(first.biases, biases, strict=True)
    ]
    radius = max(np.linalg.norm(column, p) for column in x.T)
    nonzeros = None
    if sparse:
        supports = [(w != 0, b != 0) for w, b in zip(first.weights, first.biases, strict=True)]
        nonzeros = [(int(s.sum(1).max()), int(s.sum(0).max()), int(t.sum())) for s, t in supports]
    constant = bounds.parameter_lipschitz(
        [int(n) for n in widths], radii, radius, p, bias_bound=bias_radii, nonzeros=nonzeros
    )
    assert distance <= constant * shift * (1 + 1e-9) + 1e-12


def test_jax_bounds_are_bounds_and_differentiable():
    widths = (1, 8, 8, 8, 1)
    exact = bounds.parameter_lipschitz(widths, 1.3, 0.9)
    function = lambda r, d: bounds.parameter_lipschitz(widths, r, d)  # noqa: E731
    for dtype, slack in ((jnp.float32, 1e-5), (jnp.float64, 1e-13)):
        r, d = jnp.asarray(1.3, dtype), jnp.asarray(0.9, dtype)
        tight = bounds.parameter_lipschitz(widths, float(r), float(d))
        for value in (function(r, d), jax.jit(function)(r, d)):
            assert tight <= float(value) <= tight * (1 + slack)
    slope = jax.grad(function)(1.3, 0.9)
    difference = (
        bounds.parameter_lipschitz(widths, 1.3 + 1e-6, 0.9)
        - bounds.parameter_lipschitz(widths, 1.3 - 1e-6, 0.9)
    ) / 2e-6
    assert float(slope) == pytest.approx(difference, rel=1e-6)
    many = jax.vmap(function, (0, None))(jnp.array([[1.0] * 4, [1.3] * 4]), 0.9)
    assert many.shape == (2,) and float(many[1]) == pytest.approx(exact, rel=1e-12)
    coarse = jax.jit(lambda r: bounds.coarse_lipschitz(widths, r, 0.9))(1.3)
    assert float(coarse) == pytest.approx(bounds.coarse_lipschitz(widths, 1.3, 0.9), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(ROUNDINGS),
    st.sampled_from(["norms", "entries"]),
    st.floats(0.5, 4),
    st.sampled_from([1.0, 1e-6, 0.3, 40.0]),
)
@pytest.mark.filterwarnings(
    "ignore:.*to the single value", "ignore:.*is hardly finer than the step"
)
def test_the_step_keeps_the_rate(seed, rounding, constant, gamma, scale):
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(1, 9, rng.integers(2, 8))]
    net = _random_network(rng, widths, rng.choice([0.3, 1.0]), 10 ** rng.uniform(-1, 0.3))
    radius = 10 ** rng.uniform(-1, 1)
    try:
        step = bounds.rate_step(
            net, gamma, radius, scale=scale, rounding=rounding, constant=constant
        )
    except ValueError as error:
        assert "float64 parameters" in str(error)
        return
    rounded = quantizers.quantize(net, quantizers.Uniform(step, rounding))
    corners = rng.choice([-radius, radius], (widths[0], 20))
    x = np.concatenate([corners, rng.uniform(-radius, radius, (widths[0], 40))], 1)
    distance = abs(
        _evaluate(net.weights, net.biases, x) - _evaluate(rounded.weights, rounded.biases, x)
    ).max()
    accuracy = scale * max(net.connectivity, 1) ** -gamma
    size = abs(_evaluate(list(map(abs, net.weights)), list(map(abs, net.biases)), abs(x))).max()
    assert distance <= accuracy + 1e-13 * size
    codes = quantizers.Uniform(step, rounding).encode(
        np.concatenate([p.ravel() for p in (*net.weights, *net.biases)])
    )
    bits = bounds.bits_per_weight(net.magnitude, step, rounding)
    assert quantizers.unpack(quantizers.pack(codes, bits), bits, codes.size).tolist() == list(codes)


def test_the_step_without_growth_is_in_proportion_to_the_scale():
    net = _random_network(np.random.default_rng(8), (1, 6, 6, 1))
    step = bounds.rate_step(net, 2.0, 1.0)
    for scale in (1e-3, 7):
        assert bounds.rate_step(net, 2.0, 1.0, scale=scale) == pytest.approx(scale * step, rel=1e-6)


def test_the_step_is_nearly_used_up_by_the_extremal_network():
    """Entries just below a multiple of the step, all moved down: no larger step would do."""
    widths, gamma = (1, 4, 4, 1), 2.0
    net = networks.ReLUNetwork(
        [np.full((n, m), 0.37) for m, n in zip(widths, widths[1:], strict=False)],
        [np.full(n, 0.37) for n in widths[1:]],
    )
    accuracy = net.connectivity**-gamma
    for constant in ("norms", "entries"):
        step = bounds.rate_step(net, gamma, 1.0, constant=constant)
        size = (math.floor(0.37 / step) + 1) * step * (1 - 1e-12)
        full = [np.full(w.shape, size) for w in net.weights]
        near = networks.ReLUNetwork(full, [np.full(b.shape, size) for b in net.biases])
        rounded = quantizers.quantize(near, quantizers.Uniform(step, "toward_zero"))
        x = np.ones((1, 1))
        distance = _evaluate(near.weights, near.biases, x) - _evaluate(
            rounded.weights, rounded.biases, x
        )
        assert (0.99 if constant == "entries" else 0.5) * accuracy <= distance[0, 0]
        assert distance[0, 0] <= accuracy * (1 + 1e-3)


@pytest.mark.parametrize("constant", ["norms", "entries"])
def test_weights_that_grow_when_rounded(constant):
    """A chain whose entries all round up by half a step: the second order counts."""
    found = 0
    for weight in np.linspace(0.9, 1.1, 160):
        net = networks.ReLUNetwork([np.full((1, 1), weight)] * 5, [np.full(1, weight)] * 5)
        step = bounds.rate_step(net, 0.2, 1.0, rounding="nearest", constant=constant)
        if not 0.5 < (weight / step) % 1 < 0.52:
            continue
        rounded = quantizers.quantize(net, quantizers.Uniform(step))
        x = np.ones((1, 1))
        distance = float(
            _evaluate(rounded.weights, rounded.biases, x)[0, 0]
            - _evaluate(net.weights, net.biases, x)[0, 0]
        )
        assert 0.9 * net.connectivity**-0.2 <= distance <= net.connectivity**-0.2
        found += 1
    assert found > 0


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_entries_allow_larger_steps_than_norms(rounding):
    rng = np.random.default_rng(5)
    for density in (0.3, 1.0):
        net = _random_network(rng, (2, 9, 9, 9, 1), density)
        steps = [
            bounds.rate_step(net, 2.0, 1.0, rounding=rounding, constant=constant)
            for constant in ("norms", "entries")
        ]
        assert steps[0] <= steps[1]


def test_the_step_without_growth_is_the_accuracy_over_the_constant():
    net = _random_network(np.random.default_rng(6), (1, 5, 5, 1))
    steps = []
    for p in (1, np.inf):
        radii = [np.linalg.norm(w, p) for w in net.weights]
        bias_radii = [np.linalg.norm(b, p) for b in net.biases]
        nonzeros = [(w.shape[1], w.shape[0], b.size) for w, b in zip(*_layers(net), strict=True)]
        k = bounds.parameter_lipschitz(
            net.widths, radii, 0.8, float(p), bias_bound=bias_radii, nonzeros=nonzeros
        )
        steps.append(net.connectivity**-1.5 / k)
    step = bounds.rate_step(net, 1.5, 0.8)
    assert step <= max(steps) and step == pytest.approx(max(steps), rel=1e-10)
    classical = max(steps) / math.e
    assert bounds.rate_step(net, 1.5, 0.8, rounding="floor") > classical
    assert bounds.rate_step(net, 1.5, 0.8, rounding="nearest") > 2 * classical


def _layers(net):
    return net.weights, net.biases


def test_float32_networks():
    net = _random_network(np.random.default_rng(8), (1, 6, 6, 1), scale=0.5)
    single = networks.ReLUNetwork(
        [w.astype(np.float32) for w in net.weights], [b.astype(np.float32) for b in net.biases]
    )
    step = bounds.rate_step(single, 0.5, 1.0)
    assert 0 < step < bounds.rate_step(net, 0.5, 1.0)
    rounded = quantizers.quantize(single, quantizers.Uniform(step, "toward_zero"))
    x = np.linspace(-1, 1, 401)[None]
    wide = [
        _evaluate([w.astype(float) for w in n.weights], [b.astype(float) for b in n.biases], x)
        for n in (single, rounded)
    ]
    assert abs(wide[0] - wide[1]).max() <= net.connectivity**-0.5
    with pytest.raises(ValueError, match="Use float64 parameters"):
        bounds.rate_step(single, 6.0, 1.0)


def test_overflow_and_infinite_parameters():
    widths = (1, 1, 1, 1)
    assert bounds.parameter_lipschitz(widths, 1e200, 1.0) == math.inf
    assert bounds.parameter_lipschitz(widths, (1e200, 1e200, 0.0), 1.0) == math.inf
    nonzeros = [(1, 1, 1), (1, 1, 1), (0, 0, 0)]
    value = bounds.parameter_lipschitz(widths, (1e200, 1e200, 0.0), 1.0, nonzeros=nonzeros)
    assert value >= 0  # never NaN
    large = networks.ReLUNetwork([np.full((1, 1), 1e200)] * 3, [np.zeros(1)] * 3)
    nan = networks.ReLUNetwork([np.full((1, 1), np.nan)], [np.zeros(1)])
    for constant in ("norms", "entries"):
        for rounding in ROUNDINGS:
            with pytest.raises(ValueError, match="would need more digits"):
                bounds.rate_step(large, 1.0, 1.0, rounding=rounding, constant=constant)
        with pytest.raises(ValueError, match="must get finite parameters"):
            bounds.rate_step(nan, 1.0, 1.0, constant=constant)


def test_zero_networks_have_steps():
    net = networks.ReLUNetwork([np.zeros((2, 1)), np.zeros((1, 2))], [np.zeros(2), np.zeros(1)])
    for rounding in ROUNDINGS:
        for constant in ("norms", "entries"):
            step = bounds.rate_step(net, 2.0, 1.0, rounding=rounding, constant=constant)
            assert math.isfinite(step) and step > 0


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1e3), st.floats(1e-3, 10), st.sampled_from(ROUNDINGS))
def test_bits_hold_every_reachable_code(magnitude, step, rounding):
    q = quantizers.Uniform(step, rounding)
    ends = np.array([-magnitude, magnitude])
    lowest, highest = q.encode(ends)
    bits = bounds.bits_per_weight(magnitude, step, rounding)
    assert -(2 ** (bits - 1)) <= lowest and highest <= 2 ** (bits - 1) - 1
    levels = highest - lowest + 1
    # Ties may be reached on one side only, so the formula may count two levels more.
    assert bits <= max(1, math.ceil(math.log2(levels + 2)))


def test_bits_hold_codes_that_rounded_grid_values_reach():
    """Magnitudes that are a grid value in floats, some a hair below it in rationals."""
    rng = np.random.default_rng(9)
    early = 0
    for step, n in zip(rng.random(1000), rng.integers(1, 300, 1000), strict=True):
        magnitude = n * step
        early += Fraction(float(magnitude)) < int(n) * Fraction(float(step))
        for rounding in ROUNDINGS:
            q = quantizers.Uniform(step, rounding)
            bits = bounds.bits_per_weight(magnitude, step, rounding)
            assert q.encode(magnitude) == n < 2 ** (bits - 1)
    assert early > 100


def test_bits_by_the_formula():
    assert bounds.bits_per_weight(1.0, 0.25, "toward_zero") == 4  # 9 levels
    assert bounds.bits_per_weight(0.99, 0.25, "toward_zero") == 3  # 7 levels
    assert bounds.bits_per_weight(0.99, 0.25, "floor") == 3  # 8 levels
    assert bounds.bits_per_weight(0.99, 0.25, "nearest") == 4  # 9 levels
    assert bounds.bits_per_weight(0.1, 0.25) == 1
    assert bounds.bits_per_weight(1e300, 1e-300) > 1000


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: bounds.parameter_lipschitz((3,), 1.0, 1.0), "at least two positive integers"),
        (lambda: bounds.parameter_lipschitz((3, 0), 1.0, 1.0), "a positive integer; got 0"),
        (lambda: bounds.parameter_lipschitz((1, 1), -1.0, 1.0), "norm_bound=....*non-negative"),
        (lambda: bounds.parameter_lipschitz((1, 1), 1.0, math.inf), "input_radius=....*finite"),
        (lambda: bounds.parameter_lipschitz((1, 1), (1.0, 2.0), 1.0), "one per layer, 1; got"),
        (lambda: bounds.parameter_lipschitz((1, 1), jnp.ones(2), 1.0), "one per layer, 1; got"),
        (lambda: bounds.parameter_lipschitz((1, 1), jnp.array(-1.0), 1.0), "non-negative"),
        (lambda: bounds.parameter_lipschitz((1, 1), 1.0, 1.0, 0.5), "p=....*at least 1"),
        (lambda: bounds.parameter_lipschitz((1, 1), 1.0, 1.0, bias_bound=math.nan), "bias_bound"),
        (lambda: bounds.parameter_lipschitz((1, 1), 1.0, 1.0, nonzeros=[]), "one triple per layer"),
        (lambda: bounds.coarse_lipschitz((1, 1), 1.0, -1.0), "coarse_lipschitz.input_radius"),
        (lambda: bounds.bits_per_weight(-1.0, 1.0), "magnitude=....*non-negative"),
        (lambda: bounds.bits_per_weight(1.0, 0.0), "positive and finite"),
        (lambda: bounds.rate_step(_tiny(), 0.0, 1.0), "gamma=....*positive and finite; got 0"),
        (lambda: bounds.rate_step(_tiny(), 1.0, math.inf), "input_radius=....*positive"),
        (lambda: bounds.rate_step(_tiny(), 1.0, 1.0, scale=0.0), "scale=....*positive.*got 0"),
        (lambda: bounds.rate_step(_tiny(), 60.0, 1.0), "Use float64 parameters"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def _tiny():
    return networks.ReLUNetwork([np.ones((1, 1))], [np.ones(1)])
