"""Laws that every quantizer obeys, and the same bits on every path for a million numbers."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import quantizers

DTYPES = (np.float32, np.float64)
KEY = jax.random.key(11)
STEP = 0.1

# Bounded grids, unbounded ones, tables; all around zero with steps of about 0.1.
QUANTIZERS = {
    "nearest": quantizers.Uniform(STEP),
    "floor": quantizers.Uniform(STEP, "floor"),
    "toward zero": quantizers.Uniform(STEP, "toward_zero"),
    "stochastic": quantizers.Uniform(STEP, "stochastic"),
    "4 bits": quantizers.Uniform(STEP, bits=4),
    "5 bits floor": quantizers.Uniform.from_bits(5, 1.7, "floor"),
    "5 bits toward zero": quantizers.Uniform.from_bits(5, 1.7, "toward_zero"),
    "4 bits stochastic": quantizers.Uniform(STEP, "stochastic", bits=4),
    "1 bit": quantizers.Uniform(STEP, bits=1),
    "1 bit stochastic": quantizers.Uniform(STEP, "stochastic", bits=1),
    "bits in an array": quantizers.Uniform(STEP, bits=np.array(4)),
    "fixed point": quantizers.FixedPoint(1, 3),
    "fixed point stochastic": quantizers.FixedPoint(1, 3, "stochastic"),
    "paper": quantizers.paper_grid(0, 4, "toward_zero"),
    "affine": quantizers.Affine(STEP, 3, 4),
    "affine floor": quantizers.Affine(STEP, 15, 4, "floor"),
    "affine toward zero": quantizers.Affine(STEP, 3, 4, "toward_zero"),
    "affine stochastic": quantizers.Affine(STEP, 5, 4, "stochastic"),
    "powers of two": quantizers.PowersOfTwo(4, 1),
    "codebook": quantizers.Codebook([-1.3, -0.2, 0.0, 0.1, 0.45, 2.0]),
    "codebook of a pair": quantizers.Codebook([-0.7, 0.7]),
}
# Those that differ in how they compute.
PATHS = (
    "nearest",
    "floor",
    "4 bits",
    "5 bits toward zero",
    "4 bits stochastic",
    "1 bit stochastic",
    "bits in an array",
    "fixed point",
    "affine",
    "powers of two",
    "codebook",
)
FIRST = ("nearest", "floor", "4 bits stochastic", "affine", "codebook")  # one of each arithmetic
RANDOM = [name for name in QUANTIZERS if "stochastic" in name]
NEAREST = [
    name
    for name, q in QUANTIZERS.items()
    if getattr(q, "rounding", "nearest") == "nearest" and q.range[1] != np.inf
]


def _bits(x) -> tuple:
    x = np.asarray(x)
    return x.dtype, x.shape, x.tobytes()


def _numbers(dtype, count, seed=0):
    """Normal numbers, grid values and ties with their neighbors, zeros, infinities."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count).astype(dtype)
    halves = rng.integers(-40, 40, x[::5].size) / 2
    x[::5] = halves.astype(dtype) * dtype(STEP)
    x[1::5] = (rng.integers(-40, 40, x[1::5].size) / 16).astype(dtype)
    x[2::10] = np.nextafter(x[::10], dtype(np.inf))
    x[3::10] = np.nextafter(x[::10], dtype(-np.inf))
    x[:4] = [np.inf, -np.inf, 0.0, -0.0]
    return x


# Around a grid, with its values.
AROUND = {
    "clipped": quantizers.Clipped(QUANTIZERS["affine"]),
    "learned step": quantizers.LearnedStep(QUANTIZERS["4 bits"]),
}


@pytest.mark.parametrize(
    "name, dtype",
    [
        pytest.param(name, dtype, marks=[] if cheap else pytest.mark.slow)
        for name in (*QUANTIZERS, *AROUND)
        for dtype in DTYPES
        for cheap in [name in FIRST and (dtype is np.float32 or name == "nearest")]
    ],
)
def test_a_million_numbers_have_the_same_bits_on_every_path(name, dtype):
    q = (QUANTIZERS | AROUND)[name]
    x = _numbers(dtype, 10**6)
    served = q(x, KEY)
    assert type(served) is np.ndarray and served.dtype == dtype
    unbounded = q.range[1] == np.inf
    assert np.array_equal(np.isinf(served), np.isinf(x) if unbounded else np.zeros(x.shape, bool))
    array = jnp.asarray(x)
    assert _bits(q(array, KEY)) == _bits(served)
    rows, keys = array.reshape(8, -1), jax.random.split(KEY, 8)
    finite = jnp.where(jnp.isinf(array), 0, array)

    @jax.jit
    def paths(array, finite):
        over_rows = jax.vmap(q)(rows, keys if name in RANDOM else None)
        return q(array, KEY), over_rows, q.decode(q.encode(finite, KEY))

    jitted, mapped, decoded = paths(array, finite)
    assert _bits(jitted) == _bits(served)
    if name in RANDOM:
        alone = [q(row, key) for row, key in zip(np.asarray(rows), keys, strict=True)]
        assert _bits(mapped) == _bits(np.stack(alone))
    else:
        assert _bits(mapped) == _bits(served.reshape(8, -1))
    inside = np.isfinite(x)
    assert _bits(np.asarray(decoded)[inside]) == _bits(served[inside])
    codes = q.encode(np.asarray(finite), KEY)
    assert _bits(q.decode(codes, dtype)[inside]) == _bits(served[inside])
    if q.step is None:
        every = q.decode(np.arange(codes.min(), codes.max() + 1), dtype)
        assert every.size <= 2 ** int(q.bits) and np.isin(served, every).all()
    else:
        # One product of a whole number (or a half) and the step, and nothing else.
        step = float(q.step)
        number = np.rint(2 * served[inside].astype(np.float64) / step) / 2
        assert _bits(served[inside] + dtype(0)) == _bits(number.astype(dtype) * dtype(step))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", QUANTIZERS)
def test_idempotent_and_inside_the_range(name, dtype):
    q = QUANTIZERS[name]
    x = _numbers(dtype, 3000)
    values = q(x, KEY)
    assert _bits(q(values, jax.random.key(5))) == _bits(values)
    lower, upper = (dtype(end) for end in q.range)
    assert values.min() == lower and values.max() == upper


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in QUANTIZERS if n not in RANDOM])
def test_monotone(name, dtype):
    values = QUANTIZERS[name](np.sort(_numbers(dtype, 3000)))
    assert (values[1:] >= values[:-1]).all()


@pytest.mark.parametrize("name", NEAREST)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_grid_value_is_nearer(name, dtype):
    """Against every value of the grid, in exact arithmetic."""
    q = QUANTIZERS[name]
    first = q.encode(dtype(-1e3))
    grid = [Fraction(float(v)) for v in q.decode(np.arange(first, q.encode(dtype(1e3)) + 1), dtype)]
    x = _numbers(dtype, 400, seed=1)[4:]
    for number, value in zip(x, q(x), strict=True):
        exact = Fraction(float(number))
        # A uniform grid compares with n * step, whose rounding is half a unit in the last place.
        slack = 0 if q.step is None else Fraction(float(np.spacing(dtype(2 * abs(number) + 1e-3))))
        assert abs(exact - Fraction(float(value))) <= min(abs(exact - v) for v in grid) + slack


@settings(max_examples=150, deadline=None)
@given(st.floats(-1e5, 1e5, allow_subnormal=False), st.sampled_from(sorted(QUANTIZERS)))
def test_any_number(x, name):
    q = QUANTIZERS[name]
    value = q(x, KEY)
    assert q.decode(q.encode(x, KEY)) == value == q(value, KEY)
    lower, upper = q.range
    assert lower <= value <= upper
    if q.step is not None and lower <= x <= upper:
        distance = abs(Fraction(x) - Fraction(float(value)))
        within = 1 if q.rounding == "nearest" else 2
        assert distance <= within * Fraction(float(q.step)) / 2 + Fraction(abs(x)) / 2**52


@pytest.mark.parametrize("name", [n for n, q in QUANTIZERS.items() if q.range[1] != np.inf])
def test_codes_fit_the_bits(name):
    q = QUANTIZERS[name]
    x = _numbers(np.float64, 2000)[4:]
    codes = q.encode(x, KEY)
    bits = int(q.bits)
    data = quantizers.pack(codes, bits, signed=q.signed)
    assert len(data) == -(-x.size * bits // 8)
    back = quantizers.unpack(data, bits, x.size, signed=q.signed)
    assert _bits(q.decode(back)) == _bits(q(x, KEY))
    if not q.signed:
        assert codes.min() == 0
        narrow = codes.astype(np.uint8)
        assert _bits(q.decode(narrow, np.float64)) == _bits(q(x, KEY))


@pytest.mark.parametrize("name", PATHS)
def test_gradient_is_the_identity(name):
    q = QUANTIZERS[name]
    x = jnp.linspace(-3, 3, 13)
    weights = jnp.arange(13.0)

    @jax.jit
    def both(x):
        gradient = jax.grad(lambda x: jnp.sum(weights * q(x, KEY)))(x)
        return gradient, jax.jvp(lambda x: q(x, KEY), (x,), (weights,))

    gradient, (value, tangent) = both(x)
    assert np.array_equal(gradient, weights)
    assert _bits(value) == _bits(q(np.asarray(x), KEY)) and np.array_equal(tangent, weights)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_nan_empty_and_scalars(name):
    q = QUANTIZERS[name]
    for dtype in (jnp.bfloat16, np.float64):
        assert np.isnan(q(np.array([np.nan], dtype), KEY)).all()
        empty = q(np.zeros((0, 3), dtype), KEY)
        assert empty.shape == (0, 3) and empty.dtype == dtype
        if name in FIRST:
            assert q(jnp.zeros((0, 3), dtype), KEY).shape == (0, 3)
    assert np.ndim(q(0.3, KEY)) == 0 and isinstance(q(0.3, KEY), np.floating)
    assert isinstance(q(np.array(0.3), KEY), np.ndarray)
    for argument in (np.array([np.nan, 1]), jnp.array([np.nan, 1])):
        with pytest.raises(ValueError, match="NaN"):
            q.encode(argument, KEY)
    for wrong in (np.arange(3), np.ones(2, complex)):
        with pytest.raises(TypeError, match="must get float16, bfloat16, float32 or float64"):
            q(wrong, KEY)
    with pytest.raises(TypeError, match="must get integers"):
        q.decode(np.ones(2))
    with pytest.raises(ValueError, match="damaged"):
        q.decode(np.array([2**60]))


@pytest.mark.parametrize("name", ["nearest", "affine", "powers of two", "codebook", "1 bit"])
def test_half_precision_has_the_same_bits(name):
    q = QUANTIZERS[name]
    for dtype in (np.float16, jnp.bfloat16):
        x = np.random.default_rng(2).normal(size=2000).astype(dtype)
        served = q(x)
        assert _bits(jax.jit(lambda x: q(x))(jnp.asarray(x))) == _bits(served) == _bits(q(served))
        assert _bits(q.decode(q.encode(x), dtype)) == _bits(served)


@pytest.mark.parametrize("name", ["affine stochastic", "codebook"])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_for_every_platform(name, platform):
    q = QUANTIZERS[name]
    function = jax.jit(jax.value_and_grad(lambda w: jnp.sum(q(w, KEY) ** 2)))
    exported = jax.export.export(function, platforms=[platform])(jnp.ones(8, jnp.float32))
    assert "callback" not in exported.mlir_module()


def test_without_x64_numpy_and_jax_agree():
    x = _numbers(np.float64, 500)
    array = jnp.asarray(x)
    for name in FIRST:
        q = QUANTIZERS[name]
        expected = q(x, KEY)
        single = q(x.astype(np.float32), KEY)
        with jax.enable_x64(False):
            assert _bits(q(x, KEY)) == _bits(expected), name
            assert _bits(q(jnp.asarray(x, jnp.float32), KEY)) == _bits(single), name
            with pytest.raises(TypeError, match=r"set to 32 bits; got float64.*`jax.enable_x64"):
                q(array, KEY)
            with jax.enable_x64(True):
                assert _bits(q(array, KEY)) == _bits(expected), name
