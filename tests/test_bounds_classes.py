"""Constants, steps and bits of classes of networks: attained, obeyed, and refuted beyond."""

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import bounds, quantizers

ROUNDINGS = ("nearest", "floor", "toward_zero")
EXPONENTS = (1.0, 1.5, 2.0, 3.0, math.inf)


def _values(network, x):
    """Values of shape (outputs, points), in NumPy."""
    for layer, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        x = w @ (np.maximum(x, 0) if layer else x) + b[:, None]
    return x


def _norm(matrix, p):
    """The operator norm for p in {1, 2, inf}, and an upper bound in between."""
    if p in (1, 2, math.inf):
        return np.linalg.norm(matrix, p)
    return np.linalg.norm(matrix, 1) ** (1 / p) * np.linalg.norm(matrix, np.inf) ** (1 - 1 / p)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=7),
    st.floats(0.3, 3),
    st.floats(0, 4),
    st.sampled_from(EXPONENTS),
    st.sampled_from([None, 0.0, 0.7, 2.0]),
)
def test_the_extremal_pair_attains_the_constant(widths, r, radius, p, bias_bound):
    pair = bounds.extremal_pair(widths, r, radius, p, bias_bound=bias_bound)
    beta = r if bias_bound is None else bias_bound
    for network in (pair.first, pair.second):
        assert max(_norm(w, p) for w in network.weights) <= r * (1 + 1e-14)
        assert max(np.linalg.norm(b, p) for b in network.biases) <= beta * (1 + 1e-14)
    assert np.linalg.norm(pair.point, p) <= radius * (1 + 1e-14)
    moves = [
        abs(u - v)
        for a, b in ((pair.first.weights, pair.second.weights),)
        for u, v in zip(a, b, strict=True)
    ]
    assert all((m == pair.shift).all() for m in moves)
    x = pair.point[:, None]
    distance = np.linalg.norm((_values(pair.first, x) - _values(pair.second, x))[:, 0], p)
    assert distance / pair.shift == pytest.approx(pair.constant, rel=1e-6)
    if bias_bound != 0:
        whole = bounds.parameter_lipschitz(widths, r, radius, p, bias_bound=bias_bound)
        assert pair.constant == whole


def test_the_extremal_pair_per_layer():
    radii, betas = (0.5, 2.0, 1.5), (1.0, 0.25, 0.0)
    pair = bounds.extremal_pair((2, 3, 4, 1), radii, 2.0, bias_bound=betas)
    assert not pair.second.biases[2].any()
    x = pair.point[:, None]
    ratio = abs(_values(pair.first, x) - _values(pair.second, x)).max() / pair.shift
    nonzeros = [(2, 3, 3), (3, 4, 4), (4, 1, 0)]
    known = bounds.parameter_lipschitz(
        (2, 3, 4, 1), radii, 2.0, bias_bound=betas, nonzeros=nonzeros
    )
    assert ratio == pytest.approx(known, rel=1e-6) and pair.constant == known


def test_known_constants():
    """Unit norms, sup norm, equal widths: W L (L + 1)/2 + L; no biases: D r^(L-1) sum of widths."""
    for width, depth in itertools.product((1, 5, 16), (1, 2, 7)):
        widths = (width,) * (depth + 1)
        known = width * depth * (depth + 1) / 2 + depth
        value = bounds.parameter_lipschitz(widths, 1.0, 1.0)
        assert known <= value <= known * (1 + 1e-13)
        chain = bounds.chain_lipschitz([2.0] * depth, 3.0)
        known = 3 * depth * 2.0 ** (depth - 1)
        assert known * (1 - 1e-13) <= chain <= known
        assert chain <= bounds.parameter_lipschitz(widths, 2.0, 3.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from((1.0, 2.0, math.inf)))
def test_the_box_constant_holds_and_is_attained(seed, p):
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(1, 6, rng.integers(2, 6))]
    sizes = rng.uniform(0.2, 2, len(widths) - 1)
    constant = bounds.box_lipschitz(widths, sizes, 1.3, p)
    shapes = list(zip(sizes, widths, widths[1:], strict=False))
    shift = 1e-7

    def network(draw):
        weights = [draw(s, (n, m)) for s, m, n in shapes]
        return weights, [draw(s, (n,)) for s, _, n in shapes]

    def run(parameters, x):
        for layer, (w, b) in enumerate(zip(*parameters, strict=True)):
            x = w @ (np.maximum(x, 0) if layer else x) + b[:, None]
        return x

    full = network(lambda s, shape: np.full(shape, s))
    low = tuple([v - shift for v in part] for part in full)
    x = np.full((widths[0], 1), 1.3 * widths[0] ** (0 if math.isinf(p) else -1 / p))
    attained = np.linalg.norm((run(full, x) - run(low, x))[:, 0], p) / shift
    assert constant * (1 - 1e-5) <= attained <= constant * (1 + 1e-6)
    first = network(lambda s, shape: rng.uniform(-s, s, shape))
    second = tuple(
        [np.clip(v + rng.uniform(-0.1, 0.1, v.shape), -s, s) for s, v in zip(sizes, part)]  # noqa: B905
        for part in first
    )
    moved = max(
        abs(a - b).max()
        for u, v in zip(first, second, strict=True)
        for a, b in zip(u, v)  # noqa: B905
    )
    x = rng.normal(size=(widths[0], 30))
    x *= 1.3 / np.linalg.norm(x, p, axis=0)
    distance = np.linalg.norm(run(first, x) - run(second, x), p, axis=0).max()
    assert distance <= constant * moved * (1 + 1e-12)


@pytest.mark.parametrize("exponent", [1, 2, 3, 7, 2.5, math.inf])
@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_the_mean_constant_in_one_dimension_is_the_quadrature_of_the_constant(exponent, p):
    widths, radii, side = (1, 4, 3, 2), (1.5, 0.5, 2.0), 1.25
    mean = bounds.mean_lipschitz(widths, radii, side, exponent, p)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x = side * (nodes + 1) / 2
    values = np.array([bounds.parameter_lipschitz(widths, radii, float(t), p) for t in x])
    if math.isinf(exponent):
        judge = bounds.parameter_lipschitz(widths, radii, side, p)
    else:
        judge = (values**exponent @ weights / 2) ** (1 / exponent)
    assert judge * (1 - 1e-12) <= mean
    # A fractional exponent takes Minkowski's inequality, which loses little here.
    assert mean <= judge * (1 + (1e-10 if exponent != 2.5 else 0.05))
    if exponent == 2:
        pair = bounds.extremal_pair(widths, radii, side, p)
        moved = _values(pair.first, x[None]) - _values(pair.second, x[None])
        sizes = np.linalg.norm(moved, p, axis=0) / pair.shift
        assert (sizes**2 @ weights / 2) ** 0.5 == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("exponent", [1.0, 2.0, 5.0, 1.5])
def test_the_mean_constant_in_several_dimensions(exponent, p):
    """A sample of the cube: the mean of K(|x|)^s is below, and not by much."""
    rng = np.random.default_rng(3)
    widths = (3, 4, 1)
    sizes = np.linalg.norm(rng.uniform(0, 2.0, (3, 4000)), p, axis=0)
    still, moved = (bounds.parameter_lipschitz(widths, 1.2, d, p) for d in (0.0, 1.0))
    values = (still + (moved - still) * sizes) ** exponent
    low = (values.mean() - 4 * values.std() / 4000**0.5) ** (1 / exponent)
    high = (values.mean() + 4 * values.std() / 4000**0.5) ** (1 / exponent)
    mean = bounds.mean_lipschitz(widths, 1.2, 2.0, exponent, p)
    assert low <= mean <= high * 1.2


def test_the_radius_of_a_box():
    assert bounds.input_radius(-2.0, 1.0) == 2.0
    assert bounds.input_radius([0, -3], [4, 1], 1) == pytest.approx(7, rel=1e-12)
    for p in (1.0, 1.5, 2.0, 7.3):
        value = bounds.input_radius([0.0, -3.0, 0.1], [4.0, 1.0, 0.3], p)
        exact = (4**p + 3**p + 0.3**p) ** (1 / p)
        assert exact * (1 - 1e-15) <= value <= exact * (1 + 1e-12)
    assert math.isfinite(bounds.input_radius([1e300] * 3, [1e300] * 3, 2.0))


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(ROUNDINGS),
    st.sampled_from((1.0, 2.0, math.inf)),
    st.sampled_from(["exact", "coarse"]),
)
def test_no_network_of_the_class_moves_further(seed, rounding, p, constant):
    """Many random networks at once, scaled to the class, rounded, compared at many points."""
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(1, 6, rng.integers(2, 6))]
    r, radius = float(rng.uniform(0.5, 2)), float(rng.uniform(0.2, 2))
    accuracy = float(10 ** rng.uniform(-3, 0.5))
    step = bounds.sufficient_step(
        widths, r, radius, accuracy, p, rounding=rounding, constant=constant
    )
    q = quantizers.Uniform(step, rounding)
    y = rng.normal(size=(50, widths[0], 8))
    y *= radius / np.linalg.norm(y, p, axis=1, keepdims=True)
    z = y
    for layer, (m, n) in enumerate(zip(widths, widths[1:], strict=False)):
        w, b = rng.normal(size=(50, n, m)), rng.normal(size=(50, n))
        if rng.random() < 0.5:  # the extremal sign pattern
            w, b = abs(w), abs(b)
        w *= r / np.array([_norm(v, p) for v in w])[:, None, None]
        b *= r / np.linalg.norm(b, p, axis=1)[:, None]
        hidden = (lambda t: np.maximum(t, 0)) if layer else (lambda t: t)
        y, z = w @ hidden(y) + b[:, :, None], q(w) @ hidden(z) + q(b)[:, :, None]
    distance = np.linalg.norm(y - z, p, axis=1).max()
    assert distance <= accuracy * (1 + 1e-9) + 1e-12


def _round(value, step, rounding):
    """The multiple of the step, in fractions."""
    ratio = value / step
    if rounding == "nearest":
        return math.floor(ratio + Fraction(1, 2)) * step
    return math.floor(ratio) * step  # values are not negative


def _just_below(most, step, rounding):
    """The largest value below `most` that falls by a whole (half a) step; zero if there is none."""
    half = Fraction(1, 2) if rounding == "nearest" else 0
    k = math.floor(most / step + half)
    return (
        max((k - half) * step * (1 - Fraction(1, 10**15)), Fraction(0)) if k >= 1 else Fraction(0)
    )


def _worst_known(widths, r, beta, radius, step, rounding, p):
    """The largest change by rounding among extremal networks, in exact arithmetic."""
    layers = list(zip(widths, widths[1:], strict=False))
    alphas = [Fraction(m if math.isinf(p) else n) for m, n in layers]
    ones = [Fraction(1 if math.isinf(p) else n) for _, n in layers]
    x = radius / (1 if math.isinf(p) else widths[0])
    share = Fraction(1, 2) if rounding == "nearest" else Fraction(1)
    networks = [
        [
            (_just_below(r / a, step, rounding), _just_below(beta / o, step, rounding))
            for a, o in zip(alphas, ones, strict=True)
        ]
    ]
    tiny = 1 - Fraction(1, 10**15)
    for killed in range(len(layers)):
        for by_bias in (False, True):
            network = []
            for layer, (a, o) in enumerate(zip(alphas, ones, strict=True)):
                w, b = r / a, beta / o if layer < killed else Fraction(0)
                if layer == killed:
                    w = Fraction(0) if by_bias else min(share * step * tiny, r / a)
                    b = min(share * step * tiny, beta / o) if by_bias else Fraction(0)
                network.append((w, b))
            networks.append(network)
    worst = Fraction(0)
    for network in networks:
        y = z = x
        for (w, b), (m, _) in zip(network, layers, strict=True):
            y, z = (
                m * w * y + b,
                m * _round(w, step, rounding) * z + _round(b, step, rounding),
            )
        worst = max(worst, abs(y - z) * (1 if math.isinf(p) else widths[-1]))
    return worst


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ROUNDINGS), st.sampled_from((1.0, math.inf)))
def test_every_larger_step_fails_somewhere(seed, rounding, p):
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(1, 5, rng.integers(2, 7))]
    r, beta, radius = (Fraction(float(v)) for v in rng.uniform(0.3, 2, 3))
    accuracy = float(10 ** rng.uniform(-4, 0.5))
    step = bounds.necessary_step(
        widths, float(r), float(radius), accuracy, p, rounding=rounding, bias_bound=float(beta)
    )
    enough = bounds.sufficient_step(
        widths, float(r), float(radius), accuracy, p, rounding=rounding, bias_bound=float(beta)
    )
    assert enough <= step
    if math.isinf(step):
        return
    for factor in (1 + 1e-9, 1.01, *(1 + 10 ** rng.uniform(-3, 2, 6))):
        larger = Fraction(step) * Fraction(float(factor))
        assert _worst_known(widths, r, beta, radius, larger, rounding, p) > accuracy


def test_the_second_order_of_the_necessary_step():
    """Two neurons in a row without biases: the exact worst case, at steps of every remainder."""
    closest = math.inf
    for k in range(3, 10):
        for theta in np.linspace(0.7, 0.999, 60):
            step = 1 / (k + theta)
            below = np.append(np.arange(1, k + 1) * step, 1.0)
            rounded = np.append(np.arange(k) * step, k * step)
            worst = (below[:, None] * below - rounded[:, None] * rounded).max()
            necessary = bounds.necessary_step(
                (1, 1, 1), 1.0, 1.0, worst * (1 + 1e-9), rounding="toward_zero", bias_bound=0.0
            )
            assert necessary >= step
            closest = min(closest, necessary / step)
    assert closest < 1.03


def test_truncation_enlarges_spectral_norms():
    """[[1, 1], [1, -.99]] becomes [[1, 1], [1, 0]]; so p = 2 pays for the growth of norms."""
    matrix = np.array([[1, 1], [1, -0.99]])
    assert np.linalg.norm(np.trunc(matrix), 2) > 1.1 * np.linalg.norm(matrix, 2)
    for p, same in ((1.0, False), (2.0, True), (math.inf, False)):
        steps = [
            bounds.sufficient_step((2, 4, 4, 1), 1.0, 1.0, 0.1, p, rounding=rounding)
            for rounding in ("toward_zero", "floor")
        ]
        assert (steps[0] == steps[1]) is same


def test_sufficient_and_necessary_meet_for_small_accuracies():
    for rounding, p, r in itertools.product(ROUNDINGS, (1.0, 2.0, math.inf), (0.8, 1.0, 1.7)):
        widths = (2, 6, 5, 1)
        pair = [
            f(widths, r, 1.0, 1e-8, p, rounding=rounding)
            for f in (bounds.sufficient_step, bounds.necessary_step)
        ]
        assert pair[0] <= pair[1] <= pair[0] * (1 + 1e-4)
        coarse = bounds.sufficient_step(
            widths, r, 1.0, 1e-8, p, rounding=rounding, constant="coarse"
        )
        assert coarse <= pair[0]


def test_the_coarse_step_for_large_accuracies():
    """Accuracy over e times the closed form is no bound there: norms grow by more than e."""
    depth, step = 10, 1.9
    widths = (1,) * (depth + 1)
    accuracy = step / 2 * math.e * bounds.coarse_lipschitz(widths, 1.0, 1.0)
    y = z = 1.0
    for _ in range(depth):
        y, z = y + 1, step * z + step  # all parameters are 1, and 1 rounds to 1.9
    assert z - y > 3 * accuracy
    assert bounds.sufficient_step(widths, 1.0, 1.0, accuracy, constant="coarse") < step / 4


def test_steps_are_jittable_and_differentiable():
    widths = (1, 5, 1)
    for function, rounding in (
        (bounds.sufficient_step, "nearest"),
        (bounds.sufficient_step, "toward_zero"),
        (bounds.necessary_step, "floor"),
    ):
        call = lambda r, e: function(widths, r, 0.9, e, rounding=rounding)  # noqa: B023, E731
        plain, traced = call(1.3, 1e-2), jax.jit(call)(1.3, 1e-2)
        assert float(traced) == pytest.approx(plain, rel=1e-9)
        assert (traced <= plain) if function is bounds.sufficient_step else (traced >= plain)
        slopes = jax.grad(call, (0, 1))(1.3, 1e-2)
        for i, h in enumerate((1e-6, 1e-8)):
            ends = [[1.3, 1e-2], [1.3, 1e-2]]
            ends[0][i] -= h
            ends[1][i] += h
            difference = (call(*ends[1]) - call(*ends[0])) / (2 * h)
            assert float(slopes[i]) == pytest.approx(difference, rel=1e-4)
        if rounding != "nearest":
            continue
        many = jax.vmap(call, (0, None))(jnp.array([1.0, 1.3]), 1e-2)
        assert float(many[1]) == pytest.approx(plain, rel=1e-9)
        single = call(jnp.float32(1.3), jnp.float32(1e-2))
        assert float(single) == pytest.approx(plain, rel=1e-4)
    constant = lambda d: bounds.mean_lipschitz(widths, 1.3, d, 2)  # noqa: E731
    difference = (constant(0.9 + 1e-6) - constant(0.9 - 1e-6)) / 2e-6
    assert float(jax.grad(constant)(0.9)) == pytest.approx(difference, rel=1e-6)
    assert float(jax.grad(lambda r: bounds.box_lipschitz(widths, r, 1.0))(1.0)) > 0
    chain = jax.jit(lambda r: bounds.chain_lipschitz(r, 1.0))(jnp.array([2.0, 2.0, 2.0]))
    assert 12 * (1 - 1e-12) <= float(chain) <= 12


def test_bits_grow_linearly_with_the_depth_only_beyond_norm_one():
    for r in (2.0, 1.5):
        bits = bounds.bits_by_depth([1, 2, 5, 20, 40], r, 0.1)
        assert (bits.necessary <= bits.sufficient).all()
        assert (bits.sufficient - bits.necessary <= 1).all()
        for counts in (bits.sufficient, bits.necessary):
            assert abs((counts[4] - counts[3]) / 20 - bits.per_layer) < 0.08 + 1 / 20
    for r in (1.0, 0.7):
        bits = bounds.bits_by_depth([10, 40, 160], r, 0.1)
        assert bits.per_layer == 0
        assert bits.sufficient[2] - bits.sufficient[0] <= 2 * math.log2(16) + 1


def _smallest_bits(depth, r, accuracy):
    """The fewest bits with which a^depth x keeps the accuracy for all a in [0, r], by brute force.

    On [(k - 1/2) eta, (k + 1/2) eta) the rounded value is k eta, and a^L is monotone.
    """
    for bits in range(1, 40):
        levels = (2**bits - 2) // 2  # codes -levels..levels
        step = r / (levels + 0.499) if levels else 2.01 * r
        k = np.arange(levels + 1)
        low, high = np.maximum(k - 0.5, 0) * step, np.minimum((k + 0.5) * step, r)
        error = np.maximum(abs(low**depth - (k * step) ** depth), high**depth - (k * step) ** depth)
        if error.max() <= accuracy:
            return bits
    raise AssertionError


def test_the_measured_bits_of_the_chain_are_no_more_than_enough():
    """One neuron per layer and no biases is a part of the class."""
    for r in (2.0, 1.5, 1.0):
        measured = [_smallest_bits(depth, r, 0.1) for depth in range(1, 13)]
        bits = bounds.bits_by_depth(range(1, 13), r, 0.1)
        assert (np.array(measured) <= bits.sufficient).all()
        assert (bits.sufficient - np.array(measured) <= 5).all()


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: bounds.sufficient_step((1, 1), 1.0, 1.0, 0.0), "accuracy=....*positive; got 0"),
        (lambda: bounds.sufficient_step((1, 1), 1.0, 1.0, math.nan), "accuracy=....*finite"),
        (lambda: bounds.sufficient_step((1, 1), 1.0, 1.0, 1e-30), "finer than float64"),
        (lambda: bounds.necessary_step((1, 1), 1.0, 1.0, -1.0), "accuracy=....*non-negative"),
        (lambda: bounds.necessary_step((1, 1), -1.0, 1.0, 1.0), "norm_bound=....*non-negative"),
        (lambda: bounds.extremal_pair((1, 1), 0.0, 1.0), "must be positive in every layer"),
        (lambda: bounds.extremal_pair((1, 1, 1), (1e-20, 1.0), 1.0), "similar sizes"),
        (lambda: bounds.mean_lipschitz((1, 1), 1.0, 1.0, 0.5), "exponent=....*at least 1"),
        (lambda: bounds.input_radius(1.0, 0.0), "lower <= upper"),
        (lambda: bounds.input_radius([0.0], [1.0, 2.0]), "one shape"),
        (lambda: bounds.input_radius(0.0, 1.0, 0.5), "at least 1"),
        (lambda: bounds.bits_by_depth([0], 1.0, 0.1), "depths=....*positive integer; got 0"),
        (lambda: bounds.chain_lipschitz([-1.0], 1.0), "non-negative"),
        (
            lambda: bounds.parameter_lipschitz((1, 1), 1.0, 1.0, nonzeros=[(1, -1, 1)]),
            "nonzeros=....*non-negative integer; got -1",
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
