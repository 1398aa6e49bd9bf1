"""Exact pieces: closed forms, rational judges, networks in special position, bad input."""

from fractions import Fraction as F

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu.networks import (
    Pieces,
    ReLUNetwork,
    _exact,
    _pieces,
    _propagation,
    normalize,
    pieces,
    realize,
)


def _judge(net, x):
    """The network at one rational point, naively."""
    h = [F(x)]
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = [max(t, F(0)) for t in h] if layer else h
        h = [sum((F(c) * t for c, t in zip(row, h, strict=True)), F(e)) for row, e in zip(w, b)]  # noqa: B905
    return h


def _obeys_the_judge(net, p, thirds=(F(1, 3), F(1, 2), F(5, 7))):
    """Exact pieces agree with the judge inside and at the ends of every piece, and are maximal."""
    x = p.breakpoints
    for k in range(p.count):
        assert x[k] < x[k + 1]
        assert k == 0 or (p.slopes[k] != p.slopes[k - 1]).any()
        for t in (x[k], x[k + 1], *(x[k] + u * (x[k + 1] - x[k]) for u in thirds)):
            assert _judge(net, t) == list(p.values[k] + p.slopes[k] * (t - x[k]))
    assert _judge(net, x[-1]) == list(p.values[-1])


def _near(p, q, accuracy=1e-13):
    """Float pieces equal exact ones up to rounding, piece by piece."""
    assert p.count == q.count
    for mine, exact in zip(p, q, strict=True):
        exact = exact.astype(float)
        assert mine.dtype == np.float64
        assert np.max(np.abs(mine - exact)) <= accuracy * max(1.0, np.max(np.abs(exact)))


def _sawtooth(levels):
    """Compositions of g(x) = 2 rho(x) - 4 rho(x - 1/2) + 2 rho(x - 1)."""
    kinks, tooth = np.array([0.0, -0.5, -1.0]), np.array([[2.0, -4.0, 2.0]])
    hidden = [np.ones((3, 1))] + [np.ones((3, 1)) @ tooth] * (levels - 1)
    return ReLUNetwork([*hidden, tooth], [*[kinks] * levels, np.zeros(1)])


def _square(levels):
    """f_m(x) = x - sum_s g_s(x) / 4^s, the interpolant of x^2 at k / 2^m."""
    kinks, tooth = np.array([0.0, -0.5, -1.0]), np.array([2.0, -4.0, 2.0])
    weights, biases = [np.ones((4, 1))], [np.append(kinks, 0.0)]
    for s in range(1, levels + 1):
        carry = np.append(-tooth / 4**s, 1.0)  # subtracts g_s / 4^s; f_s stays nonnegative
        if s < levels:
            weights.append(np.vstack([np.ones((3, 1)) @ np.append(tooth, 0.0)[None, :], carry]))
            biases.append(np.append(kinks, 0.0))
    return ReLUNetwork([*weights, carry[None, :]], [*biases, np.zeros(1)])


def _random(widths, seed=0):
    rng = np.random.default_rng(seed)
    return ReLUNetwork(
        [rng.standard_normal((o, i)) / i**0.5 for i, o in zip(widths, widths[1:], strict=False)],
        [rng.standard_normal(o) for o in widths[1:]],
    )


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3, 7, 12])
def test_sawtooth_in_closed_form(levels, exact):
    p = pieces(_sawtooth(levels), 0, 1, exact=exact)
    n = 2**levels
    k = np.arange(n + 1)
    assert p.count == n
    assert np.all(p.breakpoints * n == k)
    assert np.all(p.values[:, 0] == k % 2)
    assert np.all(p.slopes[:, 0] == n * (-1) ** k[:-1])
    kind = F if exact else np.float64
    assert all(isinstance(part.flat[0], kind) for part in p)


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True])
def test_sixteen_levels(exact):
    p = pieces(_sawtooth(16), 0, 1, exact=exact)
    assert p.count == 65_536
    assert np.all(p.breakpoints * 65_536 == np.arange(65_537))
    assert np.all(np.abs(p.slopes) == 65_536)


@pytest.mark.parametrize("exact", [False, True])
def test_square_in_closed_form(exact):
    p = pieces(_square(6), 0, 1, exact=exact)
    assert p.count == 64
    assert np.all(p.values[:, 0] == p.breakpoints**2)
    left, right = p.breakpoints[:-1], p.breakpoints[1:]
    assert np.all(p.slopes[:, 0] == left + right)
    # The sup error of f_m is 4^-(m+1), at the middle of every piece.
    assert np.all(p((left + right) / 2)[:, 0] - ((left + right) / 2) ** 2 == F(1, 4**7))


def test_work_grows_like_the_number_of_pieces(monkeypatch):
    """Numbers handled per piece, counted, do not grow with the number of pieces."""
    counts = {}
    original = _propagation._affine

    def counted(matrix, bias, block, output=False):
        counts[levels] = counts.get(levels, 0) + len(bias) * len(block.x)
        return original(matrix, bias, block, output)

    monkeypatch.setattr(_propagation, "_affine", counted)
    for levels in (8, 12):
        pieces(_sawtooth(levels), 0, 1)
    assert counts[12] / 2**12 < 1.1 * counts[8] / 2**8


@pytest.mark.parametrize("exact", [False, True])
def test_blocks_bound_the_memory(monkeypatch, exact):
    """A narrow layer with many pieces before a wide one: no array grows with their product."""
    largest = [0]
    owner, name = (_exact._Layer, "apply") if exact else (_propagation, "_affine")
    original = getattr(owner, name)

    def counted(*arguments, **options):
        result = original(*arguments, **options)
        largest[0] = max(largest[0], result[1].size)
        return result

    saw, rng = _sawtooth(8), np.random.default_rng(0)
    net = ReLUNetwork(
        [*saw.weights, rng.standard_normal((60, 1)), np.ones((1, 60))],
        [*saw.biases, -rng.random(60), np.zeros(1)],
    )
    monkeypatch.setattr(owner, name, counted)
    monkeypatch.setattr(_exact if exact else _propagation, "BLOCK", 2048)
    p = pieces(net, 0, 1, exact=exact)
    assert p.count > 3_000
    assert largest[0] < 2 * 2048


small = st.sampled_from([-3.0, -2.0, -1.5, -1.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.0, 2.0, 3.0])


@st.composite
def special_networks(draw, min_depth=1):
    """Small dyadic parameters: kinks coincide, neurons die, hyperplanes are repeated."""
    hidden = draw(st.lists(st.integers(1, 4), min_size=min_depth - 1, max_size=4))
    widths = [1, *hidden, draw(st.integers(1, 2))]
    array = lambda *shape: np.array(  # noqa: E731
        draw(st.lists(small, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    ).reshape(shape)
    return ReLUNetwork(
        [array(o, i) for i, o in zip(widths, widths[1:], strict=False)],
        [array(o) for o in widths[1:]],
    )


@settings(deadline=None, max_examples=150)
@given(special_networks(), st.sampled_from([(-2, 2), (0, 1), (-1, 3), (F(-1, 3), F(1, 3))]))
def test_exact_pieces_obey_a_rational_judge(net, interval):
    p = pieces(net, *interval, exact=True)
    assert (p.breakpoints[0], p.breakpoints[-1]) == interval
    _obeys_the_judge(net, p)


@settings(deadline=None, max_examples=300)
@given(special_networks(), st.sampled_from([(-2, 2), (0, 1), (-1, 3), (-0.3, 0.7)]))
def test_float_pieces_equal_exact_pieces(net, interval):
    _near(pieces(net, *interval), pieces(net, *interval, exact=True))


@settings(deadline=None, max_examples=50)
@given(special_networks(min_depth=3), st.integers(4, 40))
def test_blocks_do_not_change_the_result(net, size):
    whole = [pieces(net, -2, 2), pieces(net, -2, 2, exact=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_propagation, "BLOCK", size)
        patch.setattr(_exact, "BLOCK", size)
        parts = [pieces(net, -2, 2), pieces(net, -2, 2, exact=True)]
    _near(parts[0], whole[1])
    assert parts[0].count == whole[0].count
    assert all(np.array_equal(u, v) for u, v in zip(parts[1], whole[1], strict=True))


@pytest.mark.parametrize(
    "widths", [(1, 1), (1, 9, 1), (1, 30, 3), (1, 12, 12, 12, 2), (1,) + (6,) * 9 + (1,)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_pieces_agree_with_realize(widths, seed):
    net = _random(widths, seed)
    p = pieces(net, -2, 2)
    _near(p, pieces(net, -2, 2, exact=True))
    xs = np.linspace(-2, 2, 4001)
    np.testing.assert_allclose(p(xs), realize(net, xs[:, None]), atol=1e-12)
    np.testing.assert_allclose(p.values, realize(net, p.breakpoints[:, None]), atol=1e-12)


def test_slopes_are_the_derivatives_of_realize():
    net = _random((1, 12, 12, 1), 3)
    p = pieces(net, -2, 2)
    middle = (p.breakpoints[1:] + p.breakpoints[:-1]) / 2
    slope = jax.vmap(jax.grad(lambda x: net(x)[0]))(jnp.asarray(middle)[:, None])
    np.testing.assert_allclose(p.slopes, slope, atol=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_kinks_that_cancel_are_not_breakpoints(exact):
    # rho(x) - rho(-x) = x, first as the output, then inside a deeper network.
    signs = np.array([[1.0, -1.0]])
    fold = ReLUNetwork([signs.T, signs], [np.zeros(2), np.zeros(1)])
    assert pieces(fold, -1, 1, exact=exact).count == 1
    deep = ReLUNetwork([signs.T, signs.T @ signs, signs], [np.zeros(2), np.zeros(2), np.ones(1)])
    p = pieces(deep, -1, 1, exact=exact)
    assert p.count == 1
    assert p.values.tolist() == [[0], [2]] and p.slopes.tolist() == [[1]]


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("exact", [False, True])
def test_dead_constant_and_repeated_neurons(depth, exact):
    first = np.array([[1.0], [2.0], [0.0], [0.0], [1.0], [-3.0]])
    bias = np.array([-0.25, -0.5, 4.0, -4.0, -9.0, -1.0])  # kink at 1/4 twice, constants, dead ones
    middle = [] if depth == 2 else [np.eye(6)]
    net = ReLUNetwork(
        [first, *middle, np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])],
        [bias, *[np.zeros(6) for _ in middle], np.zeros(1)],
    )
    p = pieces(net, 0, 1, exact=exact)
    assert p.breakpoints.tolist() == [0, F(1, 4), 1]
    assert p.values.tolist() == [[4], [4], [F(25, 4)]]
    assert p.slopes.tolist() == [[0], [3]]


@pytest.mark.parametrize("depth", [2, 3])
def test_kinks_an_ulp_apart_are_one_breakpoint(depth):
    t = 0.3
    near = np.nextafter(t, 1)
    first, bias = np.ones((3, 1)), np.array([-t, -near, 1.0])
    middle = [] if depth == 2 else [np.eye(3)]
    net = ReLUNetwork(
        [first, *middle, np.array([[1.0, -2.0, 0.0]])],
        [bias, *[np.zeros(3) for _ in middle], np.zeros(1)],
    )
    p = pieces(net, 0, 1)
    assert p.count == 2 and abs(p.breakpoints[1] - t) < 1e-15
    assert p.slopes.tolist() == [[0], [-1]]
    assert pieces(net, 0, 1, exact=True).count == 3


@pytest.mark.parametrize("where", [0.0, 1.0])
@pytest.mark.parametrize("exact", [False, True])
def test_kinks_at_the_ends_are_no_breakpoints(where, exact):
    for net in (
        ReLUNetwork([np.ones((1, 1)), np.ones((1, 1))], [np.array([-where]), np.zeros(1)]),
        ReLUNetwork([np.ones((1, 1))] * 3, [np.array([-where]), np.zeros(1), np.zeros(1)]),
    ):
        p = pieces(net, 0, 1, exact=exact)
        assert p.count == 1 and p.slopes.tolist() == [[1 - where]]
        assert p.values.tolist() == [[0], [1 - where]]


def test_shallow_sums_are_correctly_rounded():
    """Hinges whose sum cancels fifteen digits: values and slopes are still the nearest floats."""
    rng = np.random.default_rng(0)
    n = 120
    knots = np.sort(rng.random(n))
    outer = np.diff(rng.random(n + 1) * 1e9)  # huge, and the partial sums stay as large
    outer[-1] = -outer[:-1].sum()
    net = ReLUNetwork([np.ones((n, 1)), outer[None, :]], [-knots, np.array([0.1])])
    p, q = pieces(net, 0, 1), pieces(net, 0, 1, exact=True)
    assert p.count == q.count
    for x, v in zip(p.breakpoints.tolist(), p.values[:, 0].tolist(), strict=True):
        assert v == float(_judge(net, x)[0])
    for s, t in zip(p.slopes[:, 0].tolist(), q.slopes[:, 0], strict=True):
        assert s == float(t)


def test_many_neurons():
    """The interpolant of x^2 in 4,096 hinges; the slopes are odd multiples of the spacing."""
    n = 4096
    knots = np.arange(n) / n
    outer = np.append(1 / n, np.full(n - 1, 2 / n))
    net = ReLUNetwork([np.ones((n, 1)), outer[None, :]], [-knots, np.zeros(1)])
    p = pieces(net, 0, 1)
    assert p.count == n
    assert np.all(p.breakpoints * n == np.arange(n + 1))
    assert np.all(p.values[:, 0] == p.breakpoints**2)
    assert np.all(p.slopes[:, 0] * n == 2 * np.arange(n) + 1)


def test_sparse_and_dense_products_agree(monkeypatch):
    rng = np.random.default_rng(2)
    thin = lambda o, i: rng.standard_normal((o, i)) * (rng.random((o, i)) < 0.04)  # noqa: E731
    net = ReLUNetwork(
        [rng.standard_normal((80, 1)), thin(80, 80), thin(80, 80), np.ones((1, 80))],
        [rng.standard_normal(80) for _ in range(3)] + [np.zeros(1)],
    )
    p = pieces(net, -1, 1)
    monkeypatch.setattr(_pieces, "_saves", lambda nonzero, size: False)
    q = pieces(net, -1, 1)
    assert p.count == q.count > 20
    for u, v in zip(p, q, strict=True):
        np.testing.assert_allclose(u, v, atol=1e-12)
    _near(p, pieces(net, -1, 1, exact=True))


def test_normalized_networks_have_the_same_pieces():
    net = _square(5)
    p, q = pieces(net, 0, 1), pieces(normalize(net), 0, 1)
    assert p.count == q.count == 32
    for u, v in zip(p, q, strict=True):
        np.testing.assert_allclose(u, v, atol=1e-13)
    same = pieces(normalize(net, powers_of_two=True), 0, 1, exact=True)
    assert all(
        np.array_equal(u, v) for u, v in zip(same, pieces(net, 0, 1, exact=True), strict=True)
    )


def test_float32_parameters_are_exact_float64():
    net = jax.tree.map(lambda p: p.astype(np.float32), _random((1, 8, 8, 1), 1))
    wide = jax.tree.map(lambda p: p.astype(np.float64), net)
    given_jax = jax.tree.map(jnp.asarray, net)
    for other in (net, given_jax):
        p, q = pieces(other, -1, 1), pieces(wide, -1, 1)
        assert all(
            np.array_equal(u, v) and u.dtype == np.float64 for u, v in zip(p, q, strict=True)
        )


def test_works_without_x64():
    with jax.enable_x64(False):
        p = pieces(_square(4), 0, 1)
    assert np.all(p.values[:, 0] == p.breakpoints**2)


def test_evaluation():
    p = pieces(_random((1, 7, 7, 2), 5), -1, 1)
    xs = np.random.default_rng(0).uniform(-1, 1, (3, 4))
    assert p(xs).shape == (3, 4, 2)
    assert p(0.25).shape == (2,)
    assert p([]).shape == (0, 2)
    for j in range(2):
        np.testing.assert_allclose(
            p(xs)[..., j], np.interp(xs, p.breakpoints, p.values[:, j]), atol=1e-13
        )
    np.testing.assert_array_equal(p(p.breakpoints), p.values)
    assert np.isnan(p([np.nan, 0.0])).tolist() == [[True, True], [False, False]]
    assert np.isfinite(p(np.nextafter(1.0, 2.0))).all()
    for x in (-1.1, [0.0, 1.0001], np.inf):
        with pytest.raises(ValueError, match=r"points of \[-1.0, 1.0\]"):
            p(x)


def test_exact_evaluation():
    net = _random((1, 5, 5, 2), 5)
    p = pieces(net, -1, 1, exact=True)
    for x in (F(1, 3), 0.1, 1, -1, np.float64(0.7)):
        assert p(x).tolist() == _judge(net, F(x))
    assert p([[0.5], [F(2, 7)]]).shape == (2, 1, 2)
    with pytest.raises(ValueError, match="points of"):
        p(F(11, 10))


def test_the_record_is_a_tuple_of_arrays():
    p = pieces(_random((1, 7, 2), 5), -1, 1)
    breakpoints, values, slopes = p
    assert isinstance(p, Pieces) and p.count == len(slopes)
    assert breakpoints.shape == (p.count + 1,)
    assert values.shape == (p.count + 1, 2) and slopes.shape == (p.count, 2)


@pytest.mark.parametrize(
    ("a", "b"), [(1, 0), (0, 0), (0, np.inf), (-np.inf, 0), (np.nan, 1), (0, np.nan)]
)
@pytest.mark.parametrize("exact", [False, True])
def test_wrong_intervals(a, b, exact):
    with pytest.raises(ValueError, match="finite ends with a < b"):
        pieces(_random((1, 2, 1)), a, b, exact=exact)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_must_be_finite(value):
    net = ReLUNetwork([np.ones((2, 1)), np.array([[1.0, value]])], [np.zeros(2), np.zeros(1)])
    with pytest.raises(ValueError, match="finite parameters"):
        pieces(net, 0, 1)


def test_several_inputs():
    with pytest.raises(ValueError, match="one input; got 2 inputs"):
        pieces(_random((2, 3, 1)), 0, 1)


def test_a_stack_of_networks():
    stacked = jax.tree.map(lambda p: np.stack([p, p]), _random((1, 3, 1)))
    with pytest.raises(ValueError, match="one network; got a stack"):
        pieces(stacked, 0, 1)


def test_traced_parameters():
    with pytest.raises(TypeError, match="outside of `jit`"):
        jax.jit(lambda net: pieces(net, 0, 1).values)(_random((1, 3, 1)))


@pytest.mark.parametrize("depth", [2, 3])
def test_numbers_beyond_float64(depth):
    huge = [np.full((1, 1), 1e200)] * depth
    net = ReLUNetwork(huge, [np.zeros(1)] * depth)
    with pytest.raises(ValueError, match="beyond the range of float64"):
        pieces(net, 0, 1)
    assert pieces(net, 0, 1, exact=True).slopes[0, 0] == F(1e200) ** depth
