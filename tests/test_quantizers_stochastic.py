"""Stochastic rounding: probabilities by exact rationals, unbiased, keys."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import quantizers

GRIDS = [
    quantizers.Uniform(0.1, "stochastic"),
    quantizers.Uniform(0.1, "stochastic", bits=4),
    quantizers.Uniform(1.3, "stochastic", bits=1),
    quantizers.FixedPoint(1, 3, "stochastic"),
    quantizers.Affine(0.1, 3, 4, "stochastic"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q", GRIDS)
def test_the_choice_is_that_of_exact_arithmetic(q, dtype, monkeypatch):
    """The random number is replaced by ones next to the exact probability."""
    lowest, highest = (q.encode(dtype(end), jax.random.key(0)) for end in (-50, 50))
    bounded = q.range[1] != np.inf
    grid = q.decode(np.arange(lowest, highest + 1), dtype)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=300) * 0.4).astype(dtype)
    x[:100] = grid[rng.integers(0, grid.size, 100)]
    x[100:150] = np.nextafter(x[50:100], dtype(np.inf))
    x[150:200] = np.nextafter(x[50:100], dtype(-np.inf))
    x[200:204] = [np.finfo(dtype).tiny, -np.finfo(dtype).tiny, 1e-9, -1e-9]
    scale = 2**53 if dtype is np.float64 else 2**24
    numbers, expected = [], []
    for number in x:
        below = np.searchsorted(grid, number, side="right") - 1
        if bounded and (below < 0 or below == grid.size - 1):
            numbers.append(1)
            expected.append(grid[max(0, below)])
            continue
        v, w = Fraction(float(grid[below])), Fraction(float(grid[below + 1]))
        share = (Fraction(float(number)) - v) / (w - v)
        # Below zero the size is rounded, and a random number below the share moves it away.
        pair = len(grid) == 2
        share = 1 - share if number < 0 and not pair else share
        chance = int(share * scale) // 2 * 2 + 1 + 2 * int(rng.integers(-1, 2))
        chance = min(max(1, chance), scale - 1)
        numbers.append(chance)
        away = Fraction(chance, scale) < share
        expected.append(grid[below + (away if number >= 0 or pair else not away)])
    odd = np.array(numbers, np.float64).astype(dtype)
    as_given = lambda key, shape, fmt, numpy: odd if numpy else jnp.asarray(odd)  # noqa: E731
    monkeypatch.setattr(quantizers._abstract, "odd_numbers", as_given)
    key = jax.random.key(0)
    assert np.array_equal(q(x, key), expected)
    assert np.array_equal(jax.jit(lambda x: q(x, key))(jnp.asarray(x)), expected)


def test_the_random_numbers_are_odd_and_uniform():
    fmts = [quantizers._formats.float_format(np.dtype(t)) for t in (np.float32, np.float64)]
    for fmt, scale in zip(fmts, (2.0**24, 2.0**53), strict=True):
        odd = quantizers._random.odd_numbers(jax.random.key(0), (50_000,), fmt, True)
        assert odd.dtype == fmt.working and (odd.astype(np.int64) % 2 == 1).all()
        assert odd.min() >= 1 and odd.max() < scale
        counts = np.bincount((odd / scale * 64).astype(int), minlength=64)
        statistic = np.sum((counts - 50_000 / 64) ** 2) / (50_000 / 64)
        assert statistic < 63 + 5 * np.sqrt(2 * 63)  # chi-squared, five standard deviations
        low = (odd.astype(np.int64) >> 1) & 63  # the last random bits
        counts = np.bincount(low, minlength=64)
        assert np.sum((counts - 50_000 / 64) ** 2) / (50_000 / 64) < 63 + 5 * np.sqrt(2 * 63)


@pytest.mark.parametrize("q", GRIDS)
def test_unbiased_within_the_standard_error(q):
    count = 40_000
    for x in (0.0213, -0.0871, 0.15, -0.299):
        draws = q(np.full(count, x), jax.random.key(3))
        assert np.unique(draws).size == 2
        error = draws.std(ddof=1) / np.sqrt(count)
        assert abs(draws.mean() - x) <= 4.5 * error


def test_grid_values_stay_and_infinities_saturate():
    q = quantizers.Uniform(0.1, "stochastic", bits=6)
    x = q.decode(np.arange(-31, 32))
    for seed in range(5):
        assert np.array_equal(q(x, jax.random.key(seed)), x)
    ends = q(np.array([np.inf, -np.inf, 99.0, -0.0]), jax.random.key(0))
    assert np.array_equal(ends, [x[-1], x[0], x[-1], 0])


def test_keys():
    q = GRIDS[0]
    x = np.random.default_rng(0).normal(size=500)
    key = jax.random.key(1)
    assert np.array_equal(q(x, key), q(x, key))
    assert np.array_equal(q(x, key), q(x, jax.random.PRNGKey(1)))
    assert (q(x, key) != q(x, jax.random.key(2))).any()
    keys = jax.random.split(key, 4)
    together = jax.jit(jax.vmap(lambda k: q(x, k)))(keys)
    traced = jax.jit(jax.vmap(q, (None, 0)))(jnp.asarray(x), keys)
    for k, a, b in zip(keys, together, traced, strict=True):
        assert np.array_equal(a, q(x, k)) and np.array_equal(b, a)


@pytest.mark.parametrize("call", [lambda q, *a: q(*a), lambda q, *a: q.encode(*a)])
def test_bad_keys(call):
    q, x = GRIDS[0], np.ones(3)
    for argument in (x, jnp.asarray(x)):
        with pytest.raises(ValueError, match="`Uniform.x, key.` must get a key for stochastic"):
            call(q, argument)
    with pytest.raises(TypeError, match="such as `jax.random.key.seed.`; got int"):
        call(q, x, 0)
    with pytest.raises(ValueError, match="must get one key; got keys of shape .2,."):
        call(q, x, jax.random.split(jax.random.key(0)))
    with pytest.raises(ValueError, match="must get a key for stochastic rounding"):
        quantizers.quantize({"w": x}, q)
    assert quantizers.quantize({"n": 3}, q) == {"n": 3}


def test_leaves_of_a_tree_have_independent_keys():
    q = quantizers.Uniform(1.0, "stochastic")
    half = np.full(4000, 0.5)
    key = jax.random.key(0)
    out = quantizers.quantize({"a": half, "b": half, "c": [half]}, q, key)
    for one, two in (("a", "b"), ("a", "c"), ("b", "c")):
        agree = np.mean(out[one] == np.reshape(out[two], -1))
        assert abs(agree - 0.5) < 5 * 0.5 / np.sqrt(4000)
    # What else is in the tree, and whether it is quantized, does not matter.
    alone = quantizers.quantize({"b": half, "n": 3, "z": np.arange(2)}, q, key)
    assert np.array_equal(alone["b"], out["b"])
    jitted = jax.jit(lambda t, k: quantizers.quantize(t, q, k))(jax.tree.map(jnp.asarray, out), key)
    assert np.array_equal(jitted["a"], out["a"])  # grid values stay
    traced = jax.jit(lambda w, k: quantizers.quantize({"b": w}, q, k))(jnp.asarray(half), key)
    assert np.array_equal(traced["b"], out["b"])
