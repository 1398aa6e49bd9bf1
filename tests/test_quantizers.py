"""Grids: exact rational judges, the same bits on every path, bad input."""

import itertools
import math
import types
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import quantizers

ROUNDINGS = ("nearest", "floor", "toward_zero")
DTYPES = (np.float32, np.float64)
STEPS = (0.25, 0.1, 1 / 3, 7.3e-5)


def _same_bits(a, b) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _judge(x, step, rounding, highest=None):
    """The code by exact rationals: nearest by the real quotient, the others by the grid's floats.

    Exponents of the inputs are moderate, so rationals stay small.
    """
    kind = type(step)
    exact, spacing = Fraction(float(x)), Fraction(float(step))
    if rounding == "nearest":
        code = round(exact / spacing)  # Python rounds ties of rationals to even
    else:
        size = abs(exact) if rounding == "toward_zero" else exact
        code = math.floor(size / spacing)
        while Fraction(float(kind(code + 1) * step)) <= size:
            code += 1
        while Fraction(float(kind(code) * step)) > size:
            code -= 1
        if rounding == "toward_zero" and exact < 0:
            code = -code
    return code if highest is None else max(-highest, min(highest, code))


def _hard_numbers(dtype, step, codes=300, seed=0):
    """Grid values, ties, their neighbours and random numbers."""
    rng = np.random.default_rng(seed)
    n = rng.integers(-codes, codes, 400)
    grid = (n * dtype(step)).astype(dtype)
    ties = ((n + 0.5) * dtype(step)).astype(dtype)
    near = [np.nextafter(v, dtype(s) * np.inf) for v in (grid, ties) for s in (-1, 1)]
    normal = (rng.normal(size=400) * codes * step / 3).astype(dtype)
    return np.concatenate([grid, ties, *near, normal, np.zeros(1, dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_codes_are_those_of_exact_arithmetic(dtype, step, rounding):
    x = _hard_numbers(dtype, step)
    q = quantizers.Uniform(step, rounding)
    expected = np.array([_judge(v, dtype(step), rounding) for v in x])
    assert np.array_equal(q.encode(x), expected)
    assert _same_bits(q(x), expected.astype(dtype) * dtype(step) + dtype(0))


@pytest.mark.parametrize("bits", [22, 23, 24])
def test_codes_are_exact_up_to_the_last_bit_of_float32(bits):
    """Near the end of the significand the guess by division may be off by two."""
    rng = np.random.default_rng(bits)
    highest = 2 ** (bits - 1) - 1
    step = np.float32(1e-4) * np.float32(1 + rng.random())
    n = rng.integers(-highest, highest, 2000)
    x = ((n + rng.choice([0, 0.5], n.size)) * float(step)).astype(np.float32)
    q = quantizers.Uniform(float(step), bits=bits)
    expected = np.array([_judge(v, step, "nearest", highest) for v in x])
    assert np.array_equal(q.encode(x), expected)
    assert np.array_equal(jax.jit(q.encode)(jnp.asarray(x)), expected)


class _Inaccurate(np.ndarray):
    """A step by which a device divides with an error of up to 1.4 codes."""

    def __rtruediv__(self, other):
        error = np.random.default_rng(0).uniform(-1.4, 1.4, np.shape(other))
        return (np.asarray(other) / np.asarray(self) + error).astype(np.float32)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_codes_do_not_depend_on_the_division_of_the_device(rounding):
    # Another module than NumPy, so that nothing relies on NumPy's correctly rounded division.
    module = types.ModuleType("device")
    vars(module).update(vars(np))
    step = np.float32(1e-4)
    rng = np.random.default_rng(4)
    x = (rng.integers(-(2**22), 2**22, 2000) * step).astype(np.float32)
    q = quantizers.Uniform(float(step), rounding, bits=24)
    fmt = quantizers._lattice.float_format(np.dtype(np.float32))
    code = quantizers._lattice._code(x, np.asarray(step).view(_Inaccurate), q._lattice, fmt, module)
    assert np.array_equal(code, q.encode(x))


@settings(max_examples=300, deadline=None)
@given(
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.floats(1e-3, 1e3),
    st.sampled_from(ROUNDINGS),
)
def test_any_number_and_step(x, step, rounding):
    q = quantizers.Uniform(step, rounding)
    code = q.encode(x)
    assert code == _judge(x, np.float64(step), rounding)
    assert q.decode(code) == q(x) == code * step
    distance = abs(Fraction(float(x)) - code * Fraction(step))
    assert 2 * distance <= Fraction(step) if rounding == "nearest" else True
    assert abs(q(x)) <= abs(x) or rounding != "toward_zero"
    assert q(x) <= x or rounding != "floor"


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**40), 2**40), st.integers(0, 30))
def test_powers_of_two_agree_with_rint(mantissa, exponent):
    x = mantissa * 2.0**-30
    q = quantizers.Uniform(2.0**-exponent)
    assert q(x) == np.rint(x * 2.0**exponent) * 2.0**-exponent


def _paths(q, x):
    """The same numbers through every way to call a quantizer."""
    array = jnp.asarray(x)
    bits = None if q.range[1] == math.inf else q.bits
    traced = jax.jit(lambda x, step: quantizers.Uniform(step, q.rounding, bits=bits)(x))
    return {
        "eager": q(array),
        "jit": jax.jit(q)(array),
        "jit of vmap": jax.jit(jax.vmap(q))(array),
        "traced step": traced(array, jnp.asarray(q.step, array.dtype)),
        "decoded": q.decode(q.encode(array)),
        "decoded under jit": jax.jit(lambda x: q.decode(q.encode(x)))(array),
        "decoded in NumPy": q.decode(q.encode(x)),
        "forward mode": jax.jvp(q, (array,), (array,))[0],
        "twice": q(q(array)),
    }


PATHS = list(
    itertools.product(
        DTYPES,
        (0.1, 1 / 3),
        [(None, "nearest"), (None, "floor"), (8, "nearest"), (5, "toward_zero"), (1, "nearest")],
    )
)


@pytest.mark.parametrize(
    "dtype, step, grid",
    # Each dtype with each step, each grid.
    [pytest.param(*p, marks=[] if i % 4 == 0 else pytest.mark.slow) for i, p in enumerate(PATHS)],
)
def test_every_path_gives_the_same_bits(dtype, step, grid):
    bits, rounding = grid
    x = _hard_numbers(dtype, step, codes=40)
    q = quantizers.Uniform(step, rounding, bits=bits)
    expected = q(x)
    assert type(expected) is np.ndarray
    for path, value in _paths(q, x).items():
        assert _same_bits(value, expected), path


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_path_on_a_million_numbers(dtype):
    rng = np.random.default_rng(7)
    x = rng.normal(size=10**6).astype(dtype)
    for rounding in ROUNDINGS:
        q = quantizers.Uniform.from_bits(9, 3.0, rounding)
        x[::7] = (rng.integers(-255, 255, x[::7].size) + 0.5).astype(dtype) * dtype(q.step)
        expected = q(x)
        for path, value in _paths(q, x).items():
            assert _same_bits(value, expected), path


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_half_precision(dtype, rounding):
    x = np.random.default_rng(0).normal(size=2000).astype(dtype)
    q = quantizers.Uniform(0.1, rounding, bits=7)
    value = q(x)
    assert value.dtype == np.dtype(dtype)
    assert _same_bits(jax.jit(q)(jnp.asarray(x)), value)
    assert _same_bits(q(value), value)
    assert np.array_equal(q.encode(value), q.encode(x))
    assert _same_bits(q.decode(q.encode(x), dtype), value)
    spacing = 0.1 * (1 + 2.0**-7)
    inside = abs(x.astype(float)) < 6
    error = abs(value.astype(float) - x.astype(float))[inside]
    assert error.max() <= (spacing / 2 if rounding == "nearest" else spacing) + 2.0**-7


def test_fused_arithmetic_after_the_quantizer_does_not_change_the_value():
    """A compiler that fuses code * step with a later sum would use an unrounded grid value."""
    rng = np.random.default_rng(1)
    x, y, z = (rng.normal(size=20_000).astype(np.float32) for _ in range(3))
    q = quantizers.Uniform(0.1)
    served = q(x)
    assert _same_bits(jax.jit(lambda x, y: q(x) + y)(x, y), served + y)
    assert _same_bits(jax.jit(lambda x, y: q(x) - x)(x, y), served - x)
    assert _same_bits(jax.jit(lambda x, z: q(x) * z)(x, z), served * z)
    decoded = jax.jit(lambda codes, y: q.decode(codes) + y)(jnp.asarray(q.encode(x)), y)
    assert _same_bits(decoded, served + y)


def test_step_by_magnitude_is_the_same_under_jit():
    """A division by a constant becomes a product with its rounded reciprocal under jit."""
    m = np.random.default_rng(2).uniform(0.1, 3, 1000).astype(np.float32)
    for bits in (3, 4, 6, 8):
        step = lambda m, bits=bits: quantizers.Uniform.from_bits(bits, m).step  # noqa: E731
        expected = m / np.float32(2 ** (bits - 1) - 1)
        for path in (step, jax.jit(step), jax.vmap(step), jax.jit(jax.vmap(step))):
            assert _same_bits(path(jnp.asarray(m)), expected)
        assert _same_bits(step(m), expected)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_monotone_and_idempotent(rounding):
    for q in (
        quantizers.Uniform(0.1, rounding),
        quantizers.Uniform.from_bits(3, 0.7, rounding),
        quantizers.FixedPoint(1, 3, rounding),
    ):
        x = np.sort(np.concatenate([_hard_numbers(np.float64, 0.1, 30), [-np.inf, np.inf]]))
        value = q(x)
        assert (value[1:] >= value[:-1]).all()
        assert _same_bits(q(value), value)


def test_bits_count_the_levels():
    wide = np.linspace(-10, 10, 100_001)
    for bits in range(1, 9):
        q = quantizers.Uniform.from_bits(bits, 2.0)
        values = np.unique(q(wide))
        assert values.size == (2**bits - 1 if bits > 1 else 2)
        assert values[-1] == -values[0] == pytest.approx(2.0 if bits > 1 else 1.0, rel=1e-15)
        assert q.bits == bits
    for i, f in ((0, 1), (1, 2), (2, 0), (3, 4)):
        q = quantizers.FixedPoint(i, f)
        values = np.unique(q(wide * 2))
        assert values.size == 2 ** (i + f + 1) - 1 and q.bits == i + f + 1
        assert values.max() == 2.0**i - 2.0**-f and q.step == 2.0**-f
        assert np.array_equal(values * 2.0**f, np.rint(values * 2.0**f))
    with pytest.raises(ValueError, match="Uniform.step..bits. must have a bounded grid"):
        print(quantizers.Uniform(0.1).bits)


def test_one_bit_is_a_pair():
    q = quantizers.Uniform.from_bits(1, 2.0)
    x = np.array([-5.0, -1e-9, 0.0, 1e-9, 0.7, 5.0])
    assert np.array_equal(q(x), [-1, -1, 1, 1, 1, 1])
    assert np.array_equal(q.encode(x), [-1, -1, 0, 0, 0, 0])
    floor = quantizers.Uniform.from_bits(1, 2.0, "floor")
    assert np.array_equal(floor(np.array([-2.0, 0.9, 1.0])), [-1, -1, 1])


def test_papers_grid():
    q = quantizers.paper_grid(1, 3)
    assert (q.integer_bits, q.fraction_bits, q.bits) == (2, 3, 6)
    values = np.unique(q(np.linspace(-9, 9, 10_001)))
    assert np.array_equal(values, np.arange(-31, 32) / 8)
    assert quantizers.paper_grid(-1, 2).integer_bits == 0


def test_nan_infinity_and_subnormals():
    x = np.array([np.nan, np.inf, -np.inf, 5e-324, -5.6e-309, -0.0])
    single = np.array([np.nan, np.inf, -np.inf, 1e-45, -1e-38, -0.0], np.float32)
    unbounded = quantizers.Uniform(0.1, "floor")
    bounded = quantizers.Uniform.from_bits(3, 0.75, "floor")
    for xs in (x, single):
        assert (xs[3:5] != 0).all()
        for value in (unbounded(xs), unbounded(jnp.asarray(xs)), jax.jit(unbounded)(xs)):
            assert np.isnan(value[0]) and value[1] == np.inf and value[2] == -np.inf
            assert np.array_equal(value[3:], [0, 0, 0])
        for value in (bounded(xs), bounded(jnp.asarray(xs)), jax.jit(bounded)(xs)):
            assert np.isnan(value[0]) and value[1] == 0.75 and value[2] == -0.75
    for bad in (np.nan, np.inf):
        numbers = np.array([1.0, bad])
        for argument in (numbers, jnp.asarray(numbers)):
            with pytest.raises(ValueError, match="NaN and infinity have no code"):
                unbounded.encode(argument)
        with pytest.raises(jax.errors.JaxRuntimeError, match="NaN and infinity have no code"):
            jax.block_until_ready(jax.jit(unbounded.encode)(jnp.asarray(numbers)))


def test_numbers_beyond_the_capacity_are_kept():
    q = quantizers.Uniform(0.1)
    for dtype, top in ((np.float32, 2**23), (np.float64, 2**52)):
        x = np.array([0.1 * top * 1.5, -1e30], dtype)
        assert _same_bits(q(x), x) and _same_bits(jax.jit(q)(x), x)
        with pytest.raises(ValueError, match=f"below {top} steps"):
            q.encode(x)
        inside = np.array([0.1 * top * 0.99], dtype)
        assert q.encode(inside)[0] == _judge(inside[0], dtype(0.1), "nearest")


def test_step_per_row_and_rank():
    x = np.random.default_rng(3).normal(size=(3, 50))
    steps = np.array([[0.1], [0.2], [0.3]])
    together = quantizers.Uniform(steps)(x)
    for row, step in enumerate((0.1, 0.2, 0.3)):
        assert _same_bits(together[row], quantizers.Uniform(step)(x[row]))
    assert _same_bits(quantizers.Uniform(jnp.asarray(steps))(jnp.asarray(x)), together)
    assert _same_bits(jax.vmap(lambda s, x: quantizers.Uniform(s)(x))(steps[:, 0], x), together)
    assert quantizers.Uniform(np.full(50, 0.1))(jnp.asarray(x)).shape == (3, 50)
    with pytest.raises(ValueError, match="step that broadcasts to the numbers"):
        quantizers.Uniform(np.full(3, 0.1))(x)
    with pytest.raises(ValueError, match="step that broadcasts to the numbers"):
        quantizers.Uniform(steps)(x[0])


@pytest.mark.parametrize(
    "q",
    [
        quantizers.Uniform(0.3),
        quantizers.Uniform.from_bits(2, 1.0),
        quantizers.FixedPoint(0, 2, "floor"),
    ],
)
def test_gradient_is_the_identity(q):
    def outer(v):
        return jnp.sum(jnp.sin(v) * jnp.arange(41))

    x = jnp.linspace(-3, 3, 41)  # beyond the bounded grids too: saturation is not seen
    direction = jnp.cos(x)

    @jax.jit
    def derivatives(x):
        loss = lambda x: outer(q(x))  # noqa: E731
        forward = jax.jvp(q, (x,), (direction,))[1]
        hessian = jax.hessian(lambda x: jnp.sum(q(x)))(x)
        return (
            jax.grad(loss)(x),
            jax.grad(outer)(q(x)),
            forward,
            jax.jacfwd(jax.grad(loss))(x),
            hessian,
        )

    reverse, expected, forward, second, hessian = derivatives(x)
    np.testing.assert_allclose(reverse, expected, rtol=1e-15)
    assert np.array_equal(forward, direction)
    assert np.allclose(second, np.diag(-np.sin(q(np.asarray(x))) * np.arange(41)), atol=1e-12)
    assert not hessian.any()


def test_a_bias_is_rounded_once_and_not_for_every_point():
    """No fused loop over the points of a batch contains the comparisons of the rounding."""

    def layer(bias, x):
        return jnp.maximum(x + quantizers.quantize(bias, quantizers.Uniform(0.1))[None], 0)

    shapes = jnp.ones(64, jnp.float32), jnp.ones((1024, 64), jnp.float32)
    text = jax.jit(layer).lower(*shapes).compile().as_text()
    loops = [part for part in text.split("\n\n") if "[1024,64]" in part]
    assert loops and not any("compare" in part for part in loops)


def test_gradient_in_the_step_is_zero():
    gradient = jax.grad(lambda s: jnp.sum(quantizers.Uniform(s)(jnp.linspace(-1, 1, 9))))(0.1)
    assert gradient == 0
    by_magnitude = lambda w: jnp.sum(quantizers.Uniform.from_bits(4, jnp.max(w))(w))  # noqa: E731
    assert np.array_equal(jax.jit(jax.grad(by_magnitude))(jnp.linspace(0.1, 1, 5)), np.ones(5))


def test_one_trace_per_shape():
    count = 0

    @jax.jit
    def function(x, q):
        nonlocal count
        count += 1
        return q(x)

    for step in (0.1, 0.2, 0.3):
        function(jnp.ones(5), quantizers.Uniform(jnp.asarray(step)))
    assert count == 1


def test_numpy_float64_survives_without_x64():
    x = _hard_numbers(np.float64, 0.1)
    q = quantizers.Uniform(0.1)
    expected = q(x)
    with jax.enable_x64(False):
        assert _same_bits(q(x), expected)
        assert _same_bits(q.decode(q.encode(x)), expected)
        single = q(jnp.asarray(x.astype(np.float32)))
        assert _same_bits(single, q(x.astype(np.float32)))
        assert _same_bits(q.decode(q.encode(single)), single)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_for_every_platform(platform):
    q = quantizers.Uniform.from_bits(4, 0.7)
    function = jax.jit(jax.value_and_grad(lambda w: jnp.sum(q(w) ** 2)))
    exported = jax.export.export(function, platforms=[platform])(jnp.ones(8, jnp.float32))
    assert "callback" not in exported.mlir_module()


def test_quantize_maps_over_parameters_only():
    q = quantizers.Uniform(0.25)
    tree = {
        "jax": jnp.array([0.3, 0.4]),
        "numpy": np.array([[0.3]]),
        "scalar array": np.array(0.3, np.float32),
        "integer": np.array([3]),
        "complex": jnp.array([0.3 + 1j]),
        "number": 0.3,
        "function": jax.nn.relu,
        "nothing": None,
    }
    out = quantizers.quantize(tree, q)
    assert isinstance(out["jax"], jax.Array) and np.array_equal(out["jax"], [0.25, 0.5])
    assert type(out["numpy"]) is np.ndarray and out["numpy"].dtype == np.float64
    assert type(out["scalar array"]) is np.ndarray and out["scalar array"].dtype == np.float32
    assert out["scalar array"] == 0.25
    for name in ("integer", "complex", "number", "function", "nothing"):
        assert out[name] is tree[name]
    assert quantizers.quantize((), q) == ()
    gradient = jax.grad(lambda w: jnp.sum(quantizers.quantize({"w": w}, q)["w"] ** 2))
    assert np.array_equal(gradient(jnp.array([0.3])), [0.5])


def test_numpy_parameters_never_reach_jax(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("JAX was called")

    q = quantizers.Uniform(0.1)
    for name in ("quantize_jax", "encode_jax", "decode_jax"):
        monkeypatch.setattr(quantizers._lattice, name, refuse)
    for name in ("asarray", "where", "rint"):
        monkeypatch.setattr(jnp, name, refuse)
    x = np.array([0.12, 0.19])
    assert np.array_equal(quantizers.quantize([x], q)[0], q.decode(q.encode(x)))


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: quantizers.Uniform(0.0), ValueError, r"`Uniform\(step=...\)` must be positive"),
        (lambda: quantizers.Uniform(-1), ValueError, "must be positive and finite; got -1"),
        (lambda: quantizers.Uniform(math.nan), ValueError, "must be positive and finite; got nan"),
        (lambda: quantizers.Uniform(jnp.array([1.0, 0])), ValueError, "positive and finite"),
        (lambda: quantizers.Uniform(0.1, "up"), ValueError, "one of 'nearest', 'floor', 'toward"),
        (lambda: quantizers.Uniform(0.1, "toward_zero", bits=1), ValueError, "at least 2 bits"),
        (lambda: quantizers.Uniform.from_bits(0, 1.0), ValueError, "at least 1; got 0"),
        (lambda: quantizers.Uniform.from_bits(54, 1.0), ValueError, "at most 53"),
        (lambda: quantizers.Uniform.from_bits(8, 0.0), ValueError, "magnitude=...*positive"),
        (lambda: quantizers.Uniform.from_bits(8, np.inf), ValueError, "positive and finite"),
        (lambda: quantizers.FixedPoint(1, -1), ValueError, "non-negative integer; got -1"),
        (lambda: quantizers.FixedPoint(0, 0), ValueError, "1 to 52 bits together"),
        (lambda: quantizers.FixedPoint(30, 30), ValueError, "1 to 52 bits together"),
        (lambda: quantizers.FixedPoint(1, 1, "down"), ValueError, "FixedPoint.rounding=...."),
        (lambda: quantizers.paper_grid(-2, 3), ValueError, "at least -1; got -2"),
        (lambda: quantizers.quantize(1.0, np.rint), TypeError, "quantizer"),
        (lambda: quantizers.Uniform(0.1)(np.arange(3)), TypeError, "got int64"),
        (lambda: quantizers.Uniform(0.1).decode(np.ones(2)), TypeError, "must get integers"),
        (lambda: quantizers.FixedPoint(1, 1).decode(np.array([4])), ValueError, "from -3 to 3"),
        (lambda: quantizers.Uniform(0.1).decode(2**60), ValueError, "damaged"),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_bits_and_steps_beyond_the_type():
    for bits, dtype in ((25, np.float32), (12, np.float16)):
        with pytest.raises(ValueError, match=f"must not exceed the {bits - 1} bits"):
            quantizers.Uniform(0.1, bits=bits)(np.zeros(2, dtype))
        quantizers.Uniform(0.1, bits=bits - 1)(np.zeros(2, dtype))
    with pytest.raises(ValueError, match="must have a step between .* for float32 numbers"):
        quantizers.Uniform(1e-40)(np.zeros(2, np.float32))
    assert quantizers.Uniform(1e-40)(np.array([1.4e-40])) == 1e-40
