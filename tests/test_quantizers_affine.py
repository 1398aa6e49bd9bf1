"""The asymmetric grid by exact rationals, and bits that are arrays."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import quantizers


def _same(a, b) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-50, 50, allow_subnormal=False),
    st.floats(1e-3, 10),
    st.integers(1, 8),
    st.integers(0, 255),
)
def test_codes_are_those_of_exact_arithmetic(x, step, bits, zero):
    zero = zero % 2**bits
    q = quantizers.Affine(step, zero, bits)
    code = min(max(round(Fraction(x) / Fraction(step)) + zero, 0), 2**bits - 1)
    assert q.encode(x) == code
    assert q(x) == (code - zero) * step == q.decode(code)
    assert q.range == (-zero * step, (2**bits - 1 - zero) * step)
    assert q(0.0) == 0


@settings(max_examples=200, deadline=None)
@given(st.floats(-100, 100), st.floats(-100, 100), st.integers(1, 12))
def test_the_range_is_covered(lower, upper, bits):
    lower, upper = min(lower, upper), max(lower, upper)
    if upper - lower < 1e-3:
        return
    q = quantizers.Affine.from_range(bits, lower, upper)
    lower, upper = min(lower, 0.0), max(upper, 0.0)
    assert q.step == (upper - lower) / (2**bits - 1)
    assert q.zero_point == round(Fraction(-lower) / Fraction(q.step))
    x = np.linspace(lower, upper, 101)
    assert abs(q(x) - x).max() <= q.step / 2 * (1 + 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_range_per_row(dtype):
    x = np.random.default_rng(0).normal(size=(3, 200)).astype(dtype)
    lower, upper = x.min(1, keepdims=True), x.max(1, keepdims=True)
    lower[1], upper[1] = -1, 1  # the middle is a tie of the zero point
    made = quantizers.Affine.from_range(4, lower, upper)
    together = made(x)
    traced = jax.jit(lambda x, a, b: quantizers.Affine.from_range(4, a, b)(x))(x, lower, upper)
    assert _same(together, traced)
    assert np.array_equal(made.decode(made.encode(x), dtype), together)
    for row in range(3):
        q = quantizers.Affine(dtype(made.step[row, 0]), int(made.zero_point[row, 0]), 4)
        assert _same(q(x[row]), together[row])
    passed = jax.jit(lambda q, x: (q(x), q.decode(q.encode(x))))(made, jnp.asarray(x))
    assert _same(passed[0], together) and _same(passed[1], together)


# Every way to make a grid whose bits are an array, and its fixed counterpart.
MAKERS = {
    "uniform": lambda bits: quantizers.Uniform(0.1, bits=bits),
    "floor": lambda bits: quantizers.Uniform(0.1, "floor", bits=bits),
    "magnitude": lambda bits: quantizers.Uniform.from_bits(bits, 1.7),
    "affine": lambda bits: quantizers.Affine(0.1, 1, bits),
    "range": lambda bits: quantizers.Affine.from_range(bits, -0.4, 1.7),
    "absmax": lambda bits: quantizers.AbsMax(bits).grid(np.array([0.3, -1.7])),
    "minmax": lambda bits: quantizers.MinMax(bits).grid(np.array([0.3, -1.7])),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_bits_in_an_array_give_the_same_values(name, dtype):
    make = MAKERS[name]
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=300), rng.integers(-30, 30, 50) / 20]).astype(dtype)
    most = 23 if dtype is np.float32 else 52
    bits = np.array([1, 2, 3, 4, 8, 16, most])
    fixed = [make(int(b))(x) for b in bits]

    @jax.jit
    @jax.vmap
    def paths(whole, real):
        coded = make(whole).decode(make(whole).encode(jnp.asarray(x)), dtype)
        return make(whole)(x), make(real)(jnp.asarray(x)), coded

    swept, real, coded = paths(jnp.asarray(bits), jnp.asarray(bits + 0.2))
    for row, (b, expected) in enumerate(zip(bits, fixed, strict=True)):
        assert _same(swept[row], expected) and _same(real[row], expected)
        assert _same(coded[row], expected)
        assert _same(make(np.array(b))(x), expected)
        assert type(make(np.array(b))(x)) is np.ndarray


def test_bits_for_each_row():
    x = np.random.default_rng(2).normal(size=(3, 50))
    bits = np.array([[1], [3], [6]])
    together = quantizers.Uniform(0.1, bits=bits)(x)
    for row, b in enumerate((1, 3, 6)):
        assert _same(together[row], quantizers.Uniform(0.1, bits=b)(x[row]))


def test_traced_bits_out_of_range_make_nan():
    x = jnp.array([0.3, -2.0], jnp.float32)
    sweep = lambda make: jax.vmap(lambda b: make(b)(x))(jnp.array([-1, 0, 25, 60, 4]))  # noqa: E731
    for make in (MAKERS["affine"], MAKERS["magnitude"]):
        assert np.array_equal(np.isnan(sweep(make)), [[True] * 2] * 4 + [[False] * 2])
    never = lambda b: quantizers.Uniform(0.1, "toward_zero", bits=b)(x)  # noqa: E731
    assert np.isnan(jax.jit(never)(1)).all() and np.isfinite(jax.jit(never)(2)).all()
    with pytest.raises(jax.errors.JaxRuntimeError, match="bits that float32 holds exactly"):
        encode = jax.jit(lambda b: quantizers.Uniform(0.1, bits=b).encode(x))
        jax.block_until_ready(encode(30))
    # A zero point that is no code.
    assert np.isnan(jax.jit(lambda z: quantizers.Affine(0.1, z, 3)(x))(8)).all()


def test_one_trace_for_all_bits():
    count = 0

    @jax.jit
    def function(q, x):
        nonlocal count
        count += 1
        return q(x)

    for b in (2, 3, 4):
        function(quantizers.Uniform(jnp.asarray(0.1), bits=jnp.asarray(b)), jnp.ones(3))
    assert count == 1
    function(quantizers.Uniform(jnp.asarray(0.1), bits=2), jnp.ones(3))
    function(quantizers.Uniform(jnp.asarray(0.1), bits=3), jnp.ones(3))
    assert count == 3  # fixed bits are static


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: quantizers.Affine(0.1, 8, 3), ValueError, "must be a code, from 0 to 2.bits - 1"),
        (lambda: quantizers.Affine(0.1, -1, 3), ValueError, "at least 0; got -1"),
        (lambda: quantizers.Affine(0.1, np.array([9]), 3), ValueError, "must be a code"),
        (lambda: quantizers.Affine(0.1, True, 3), TypeError, "number of at least 0; got True"),
        (lambda: quantizers.Affine(0.1, np.array(0.5), 3), TypeError, "integers; got float64"),
        (lambda: quantizers.Affine(0.1, 0, 53), ValueError, "at most 52"),
        (lambda: quantizers.Affine(0.1, 0, 0), ValueError, "at least 1; got 0"),
        (lambda: quantizers.Affine(0.0, 0, 3), ValueError, "positive and finite; got 0.0"),
        (lambda: quantizers.Affine(0.1, 0, 3, "up"), ValueError, "one of 'nearest'"),
        (lambda: quantizers.Affine.from_range(4, 0.0, 0.0), ValueError, "must have a length"),
        (lambda: quantizers.Affine.from_range(4, 2.0, 1.0), ValueError, "in order; got 2.0 and"),
        (lambda: quantizers.Affine.from_range(4, 0.0, np.inf), ValueError, "must be finite"),
        (
            lambda: quantizers.Affine.from_range(4, np.zeros(2), np.ones(3)),
            ValueError,
            "must have one shape",
        ),
        (
            lambda: quantizers.Affine.from_range(24, np.zeros(1, np.float32), np.ones(1, "f")),
            ValueError,
            "must be below 24",
        ),
        (lambda: quantizers.Affine(0.1, 3, 3).decode(np.array([8])), ValueError, "from 0 to 7"),
        (lambda: quantizers.Affine(0.1, 3, 3).decode(np.array([-1])), ValueError, "from 0 to 7"),
        (lambda: quantizers.Affine(0.1, 3, 24)(np.ones(2, "f")), ValueError, "exceed the 23 bits"),
        (lambda: quantizers.Uniform(0.1, bits=np.array([0, 4])), ValueError, "from 1 to 53"),
        (lambda: quantizers.Uniform(0.1, bits=np.array([True])), TypeError, "whole numbers"),
        (
            lambda: quantizers.Uniform(0.1, bits=np.array(25))(np.ones(2, "f")),
            ValueError,
            "with 25 bits must not exceed the 24 bits",
        ),
        (
            lambda: quantizers.Uniform(0.1, "toward_zero", bits=np.array([1, 2])),
            ValueError,
            "at least 2 bits",
        ),
        (
            lambda: quantizers.Uniform(0.1, bits=np.array([2, 4]))(np.ones(3)),
            ValueError,
            "that broadcasts to the numbers",
        ),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()
