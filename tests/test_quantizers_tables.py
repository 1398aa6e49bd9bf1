"""Codebooks and powers of two: exact judges, the optimal codebook by enumeration."""

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import quantizers

Codebook, PowersOfTwo = quantizers.Codebook, quantizers.PowersOfTwo


def _nearest(x, values):
    """The nearest by exact distances; ties to the smaller size, and to the positive of a pair."""
    x = Fraction(float(x))
    return min(values, key=lambda v: (abs(x - Fraction(float(v))), abs(v), v < 0))


finite = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=200, deadline=None)
@given(st.lists(finite, min_size=1, max_size=9), finite, st.data())
def test_nearest_by_exact_distances(values, x, data):
    q = Codebook(values)
    grid = sorted({v + 0.0 for v in values})
    assert q.values.tolist() == grid
    middle = data.draw(
        st.sampled_from([(a + b) / 2 for a, b in zip(grid, grid[1:], strict=False)] or [0.0])
    )
    for number in (x, middle, math.nextafter(middle, 1e9), math.nextafter(middle, -1e9)):
        if 0 < abs(number) < np.finfo(float).tiny:
            continue
        expected = _nearest(number, grid)
        assert q(number) == expected and q.encode(number) == grid.index(expected)
        assert q.decode(q.encode(number)) == expected


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_every_middle_and_its_neighbors(dtype):
    rng = np.random.default_rng(0)
    values = np.sort(rng.normal(size=66)).astype(dtype)  # enough for the search by halves
    for table in (values, np.array([-0.5, 0.5, 0.75, 1e-20, -1e-25, 3e7], dtype)):
        q = Codebook(table)
        grid = q.values
        middle = (grid[1:] / 2 + grid[:-1] / 2).astype(dtype)
        x = np.concatenate([np.nextafter(middle, dtype(s)) for s in (-9e9, 9e9)] + [middle, grid])
        expected = np.array([_nearest(v, grid) for v in x], dtype)
        assert np.array_equal(q(x), expected)
        traced = jax.jit(lambda v, x: (Codebook(v)(x), Codebook(v).encode(x)))
        shuffled = rng.permutation(grid)
        for value, code in (traced(shuffled, x), (q(jnp.asarray(x)), q.encode(jnp.asarray(x)))):
            assert np.array_equal(value, expected)
            assert np.array_equal(code, q.encode(x))
            assert np.array_equal(q.decode(code, dtype), expected)


def test_ties_around_zero():
    tiny = np.finfo(np.float32).tiny
    q = Codebook(np.array([-tiny, 0, tiny], np.float32))
    x = np.array([-tiny, -tiny / 2, -0.0, 0, tiny / 2, tiny, 2 * tiny], np.float32)
    expected = np.array([-tiny, 0, 0, 0, 0, tiny, tiny], np.float32)
    assert np.array_equal(q(x), expected) and np.array_equal(q(jnp.asarray(x)), expected)
    assert np.array_equal(Codebook([-1, 1])(np.array([-1e-300, -0.0, 0.0])), [-1, 1, 1])


def test_bits_codes_and_range():
    for count, bits in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)):
        q = Codebook(np.arange(count) - 1)
        assert q.bits == bits and q.range == (-1, count - 2) and q.step is None and not q.signed
        codes = q.encode(np.arange(count) - 1.0)
        assert np.array_equal(codes, np.arange(count))
    assert Codebook([0.3, -1, 0.3, 2, -0.0, 0]).values.tolist() == [-1, 0, 0.3, 2]
    assert isinstance(Codebook(jnp.array([1.0, 0.0])).values, jax.Array)
    infinite = Codebook([0.5, 2.0])(np.array([np.inf, -np.inf]))
    assert np.array_equal(infinite, [2, 0.5])


@pytest.mark.parametrize("bits, largest", [(2, 0), (3, -4), (4, 1), (6, 60)])
def test_powers_by_mpmath(bits, largest):
    q = PowersOfTwo(bits, largest)
    powers = [mpmath.mpf(2) ** k for k in range(q.smallest, largest + 1)]
    assert len(powers) == 2 ** (bits - 1) - 1 and q.bits == bits and q.signed
    grid = [-p for p in reversed(powers)] + [mpmath.mpf(0), *powers]
    rng = np.random.default_rng(0)
    exponents = rng.integers(max(q.smallest - 3, -120), largest + 3, 60)
    x = np.ldexp(rng.choice([1, 1.5, -1.5, -1, 1.25, -1.9], 60), exponents)
    x = np.concatenate([x, np.nextafter(x, 9e99), np.nextafter(x, -9e99), [0.0]])
    expected = [min(grid, key=lambda g: (abs(mpmath.mpf(float(v)) - g), abs(g))) for v in x]
    assert np.array_equal(q(x), np.array(expected, float))
    codes = [grid.index(v) - len(powers) for v in expected]
    assert np.array_equal(q.encode(x), codes)
    assert np.array_equal(q.decode(np.array(codes)), q(x))
    single = x.astype(np.float32)
    assert np.array_equal(q(jnp.asarray(single)), q(single))


def test_powers_from_magnitude():
    for magnitude, largest in ((1.0, 0), (1.5, 0), (1.51, 1), (0.76, 0), (0.75, -1), (3e-5, -15)):
        q = PowersOfTwo.from_magnitude(4, magnitude)
        assert q.largest == largest and q.range == (-(2.0**largest), 2.0**largest)


def _least_cost(weights, count, zero):
    """The least cost over all ways to cut the sorted weights, with exact means."""
    weights = sorted(Fraction(float(w)) for w in weights)
    costs = []
    for cuts in itertools.combinations_with_replacement(range(len(weights) + 1), count - 1):
        ends = [0, *cuts, len(weights)]
        parts = [weights[a:b] for a, b in zip(ends, ends[1:], strict=False)]
        free = [sum((w - sum(p) / len(p)) ** 2 for w in p) if p else Fraction(0) for p in parts]
        if not zero:
            costs.append(sum(free))
            continue
        for i, part in enumerate(parts):
            costs.append(sum(free) - free[i] + sum(w * w for w in part))
    return float(min(costs))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-6, 6).map(float), st.floats(-50, 90)), min_size=1, max_size=6),
    st.integers(1, 4),
    st.booleans(),
)
def test_the_optimal_codebook_by_enumeration(weights, count, zero):
    weights = np.array(weights)
    q = Codebook.optimal(weights, count, zero=zero)
    assert q.values.size <= count and (not zero or 0 in q.values)
    cost = np.sum((weights - q(weights)) ** 2)
    assert cost <= _least_cost(weights, count, zero) + 1e-9 * (1 + np.sum(weights**2))


@pytest.mark.parametrize("zero", [False, True])
def test_the_optimal_codebook_by_a_plain_recursion(zero):
    """All splits in a loop, without the order of the minimizers."""
    rng = np.random.default_rng(5)
    weights = np.concatenate([rng.normal(3, 1, 60), rng.choice([0.5, 2.0, -7.0], 40)])
    x, n = np.unique(weights, return_counts=True)
    size = x.size

    def spread(i, j):
        mean = np.average(x[i:j], weights=n[i:j])
        return np.sum(n[i:j] * (x[i:j] - mean) ** 2)

    cost = np.array([[spread(i, j) if i < j else 0 for j in range(size + 1)] for i in range(size)])
    squares = np.concatenate([[0], np.cumsum(n * x**2)])
    best = [np.where(np.arange(size + 1) == 0, 0, np.inf)]
    held = [np.full(size + 1, np.inf)]
    ends = range(1, size + 1)
    for _ in range(6):
        extend = lambda d: [0] + [min(d[i] + cost[i, j] for i in range(j)) for j in ends]  # noqa: E731
        fixed = [
            min(best[-1][i] + squares[j] - squares[i] for i in range(j + 1))
            for j in range(size + 1)
        ]
        held.append(np.minimum(extend(held[-1]), fixed))
        best.append(np.array(extend(best[-1])))
    for count in (1, 2, 3, 6):
        q = Codebook.optimal(weights, count, zero=zero)
        expected = (held if zero else best)[count][size]
        assert np.sum((weights - q(weights)) ** 2) == pytest.approx(expected, rel=1e-12)


def test_the_optimal_codebook_keeps_types_and_merges_equal_weights():
    w = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    q = Codebook.optimal(w, 16)
    assert q.values.dtype == np.float32 and q.values.size == 16 and q.bits == 4
    assert isinstance(Codebook.optimal(jnp.asarray(w), 4).values, jax.Array)
    few = Codebook.optimal(np.array([1.0, 1, 3, 3, 3]), 16)
    assert few.values.tolist() == [1, 3]
    assert Codebook.optimal(np.array([1.0, 3]), 3, zero=True).values.tolist() == [0, 1, 3]
    for tiny in (1e-308, 1e-40):  # subnormal in its type
        small = Codebook.optimal(np.array([tiny, 1.0], np.float64 if tiny < 1e-300 else "f"), 2)
        assert small.values.tolist() == [0, 1]
    # Half of the weights at each step of Lloyd's method stays where it is: a fixed point.
    codes = q.encode(w)
    means = [w[codes == c].astype(float).mean() for c in range(16)]
    assert np.allclose(means, q.values, rtol=1e-6)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: Codebook([]), ValueError, "at least one value, all finite; got none"),
        (lambda: Codebook([1.0, np.nan]), ValueError, "2 values, some NaN or infinite"),
        (lambda: Codebook([np.inf]), ValueError, "some NaN or infinite"),
        (lambda: Codebook(np.array([1j])), TypeError, "real numbers; got complex128"),
        (lambda: jax.jit(lambda v: Codebook(v).values)(jnp.ones((2, 2))), ValueError, "a vector"),
        (lambda: Codebook([1, 1 + 1e-9])(np.ones(2, "f")), ValueError, "float32 cannot hold"),
        (lambda: Codebook([1e300])(np.ones(2, "f")), ValueError, "float32 cannot hold"),
        (lambda: Codebook([1e-40, 1])(jnp.ones(2, "f")), ValueError, "not subnormal"),
        (lambda: Codebook([0, 1]).decode(np.array([2])), ValueError, "from 0 to 1; got 2 to 2"),
        (lambda: Codebook.optimal(np.zeros(0), 2), ValueError, "at least one weight"),
        (lambda: Codebook.optimal(np.array([np.nan]), 2), ValueError, "some NaN or infinite"),
        (lambda: Codebook.optimal(np.ones(2), 0), ValueError, "at least 1; got 0"),
        (lambda: Codebook.optimal(np.arange(3), 2), TypeError, "got int64"),
        (lambda: PowersOfTwo(1), ValueError, "from 2 to 11; got 1"),
        (lambda: PowersOfTwo(12), ValueError, "from 2 to 11; got 12"),
        (lambda: PowersOfTwo(4, 1024), ValueError, "exponents from -1022 to 1023"),
        (lambda: PowersOfTwo(4, -1020), ValueError, "got -1026 to -1020"),
        (lambda: PowersOfTwo(9)(np.ones(2, "f")), ValueError, "float32 cannot hold"),
        (lambda: PowersOfTwo.from_magnitude(4, 0.0), ValueError, "positive and finite; got 0.0"),
        (lambda: PowersOfTwo(4).decode(np.array([-8])), ValueError, "from -7 to 7; got -8"),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()
