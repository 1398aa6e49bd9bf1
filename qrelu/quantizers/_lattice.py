"""The arithmetic of a uniform grid: exact codes and values, the same in NumPy and in JAX."""

import functools
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Rounding = Literal["nearest", "floor", "toward_zero"]
ROUNDINGS = ("nearest", "floor", "toward_zero")


class Lattice(NamedTuple):
    """What is static about a uniform grid. `highest` is None where the grid is unbounded."""

    rounding: Rounding
    lowest: int | None = None
    highest: int | None = None
    mid_rise: bool = False


class Format(NamedTuple):
    """A floating-point type: its precision in bits and the steps a grid may have in it."""

    name: str
    precision: int
    tiny: float
    smallest_step: float
    largest_step: float
    working: type[np.floating]
    integer: type[np.signedinteger]


@functools.cache
def float_format(dtype: np.dtype) -> Format:
    """The constants of a real floating-point type of at most 64 bits."""
    info = jnp.finfo(dtype)
    precision = info.nmant + 1
    double = precision == 53
    # Below `smallest_step` the last bit of the step is subnormal, which devices flush to zero;
    # above its mirror image the reciprocal of the step would be.
    smallest = float(info.tiny) * (2.0 ** (precision - 1) if precision >= 24 else 1.0)
    return Format(
        name=np.dtype(dtype).name,
        precision=precision,
        tiny=float(info.tiny),
        smallest_step=smallest,
        largest_step=1 / smallest,
        working=np.float64 if double else np.float32,
        integer=np.int64 if double else np.int32,
    )


def capacity(fmt: Format) -> int:
    """Codes below this size are exact in the type, and neighbouring grid values are distinct."""
    return 2 ** (fmt.precision - 1)


def _to_format(value: Any, fmt: Format, xp: ModuleType) -> Any:
    """Round a number of the working type to the type (both are the same for 32 and 64 bits)."""
    if fmt.precision >= 24:
        return value
    if xp is np:
        return value.astype(np.dtype(fmt.name)).astype(np.float32)
    # XLA may keep excess precision between conversions, but not across `reduce_precision`.
    exponent = 32 - 24 if fmt.name == "bfloat16" else jnp.finfo(fmt.name).nexp
    return lax.reduce_precision(value, exponent, fmt.precision - 1)


def _high_half(step: Any, fmt: Format, xp: ModuleType) -> Any:
    """The step with the lower half of its significand cleared (as integers: no rounding)."""
    double = fmt.working is np.float64
    word = np.uint64 if double else np.uint32
    mask = word(2**64 - 2**26) if double else word(2**32 - 2**12)
    if xp is np:
        return (step.view(word) & mask).view(fmt.working)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(step, word) & mask, fmt.working)


# The sign of m s - y for an odd integer m and floats s, y.
#
# Write fl for rounding to nearest. fl is monotone and fl(y) = y, so fl(m s) < y implies m s < y,
# and fl(m s) > y implies m s > y. Only fl(m s) = y leaves the sign open; then |m s - y| is at most
# half a unit in the last place, and Dekker's product gives it exactly: with m = mh + ml and
# s = sh + sl, where mh is a multiple of 2^12 (2^27), |ml| < 2^11 (2^26), and sh, sl have 12 (27,
# 26) bits, the four partial products and the four partial sums below are floats. As every
# operation is exact, neither fused multiply-adds nor the order that a compiler picks can change
# the result, and the code does not depend on how the device divides.
def _side(m: Any, step: Any, y: Any, fmt: Format, xp: ModuleType) -> Any:
    half = fmt.working(2.0**27 if fmt.working is np.float64 else 2.0**12)
    product = m * step
    m_high = xp.rint(m / half) * half
    m_low = m - m_high
    s_high = _high_half(step, fmt, xp)
    s_low = step - s_high
    error = (((m_high * s_high - y) + m_high * s_low) + m_low * s_high) + m_low * s_low
    return xp.where(product == y, xp.sign(error), xp.where(product < y, -1, 1).astype(y.dtype))


def _value(code: Any, step: Any, lattice: Lattice, fmt: Format, xp: ModuleType) -> Any:
    """One rounded product, hence the same number on every device."""
    if lattice.mid_rise:
        code = code + fmt.working(0.5)
    return _to_format(code * step, fmt, xp)


# Nearest: the integer nearest to the REAL quotient x/step, ties to the even code. It is
# idempotent: |fl(n step) - n step| < step/2 for |n| < 2^(precision - 1).
# Floor: the largest GRID VALUE fl(n step) that is not above x (with floor(x/step) a value of the
# grid could fall one step when it is rounded again). Toward zero: the same for |x|.
#
# The first guess may be off, because compilers divide by multiplying with a rounded reciprocal and
# some devices divide inaccurately: by one code, and by two where codes come close to the capacity.
# Each pass moves it by at most one code.
def _code(x: Any, step: Any, lattice: Lattice, fmt: Format, xp: ModuleType) -> Any:
    real = fmt.working
    top = capacity(fmt)
    highest = real(top if lattice.highest is None else lattice.highest)
    lowest = real(-top if lattice.lowest is None else lattice.lowest)
    toward_zero = lattice.rounding == "toward_zero"
    y = xp.where(xp.isnan(x) | (abs(x) < fmt.tiny), real(0), x)
    if toward_zero:
        y, lowest = abs(y), real(0)
    shift = real(0.5 if lattice.mid_rise else 0)
    guess = xp.clip(y / step - shift, lowest, highest)
    n = xp.rint(guess) if lattice.rounding == "nearest" else xp.floor(guess)
    # NumPy divides with correct rounding, and half-integers are floats: unless the rounded quotient
    # is one, it lies on the same side of every tie as the real quotient.
    settled = xp is np and lattice.rounding == "nearest" and not lattice.mid_rise
    if settled and not (abs(guess - n) == 0.5).any():
        return n.astype(fmt.integer)
    passes = 1 if lattice.highest is not None and lattice.highest <= top // 8 else 2
    for _ in range(passes):
        value = _value(n, step, lattice, fmt, xp)
        if lattice.rounding == "nearest":
            lower = xp.where(n * step + shift * step < y, n, n - 1)
            side = _side(2 * lower + (1 + 2 * shift), step, 2 * y, fmt, xp)
            even = 2 * xp.rint(lower / 2) == lower
            n = xp.where((side > 0) | ((side == 0) & even), lower, lower + 1)
        else:
            above = _value(n + 1, step, lattice, fmt, xp)
            n = xp.where(above <= y, n + 1, xp.where(value > y, n - 1, n))
        n = xp.clip(n, lowest, highest)
    if toward_zero:
        n = xp.where(x < 0, -n, n)
    return n.astype(fmt.integer)


def _quantized(x: Any, step: Any, lattice: Lattice, xp: ModuleType) -> Any:
    fmt = float_format(np.dtype(x.dtype))
    wide = x.astype(fmt.working)
    code = _code(wide, step, lattice, fmt, xp)
    value = _value(code.astype(fmt.working), step, lattice, fmt, xp)
    # Beyond the capacity the type is no finer than the grid, and the number is left as it is.
    # The selection also keeps compilers from fusing the product above into a later sum.
    keep = xp.isnan(wide)
    if lattice.highest is None:
        keep = keep | (abs(wide) >= capacity(fmt) * step)
    return xp.where(keep, wide, value).astype(x.dtype)


def encode_numpy(x: np.ndarray, step: np.ndarray, lattice: Lattice) -> Any:
    fmt = float_format(x.dtype)
    with np.errstate(all="ignore"):
        return _code(x.astype(fmt.working), step, lattice, fmt, np)


def decode_numpy(codes: np.ndarray, step: np.ndarray, lattice: Lattice, dtype: Any) -> Any:
    fmt = float_format(np.dtype(dtype))
    return _value(codes.astype(fmt.working), step, lattice, fmt, np).astype(dtype)


def quantize_numpy(x: np.ndarray, step: np.ndarray, lattice: Lattice) -> Any:
    with np.errstate(all="ignore"):
        return _quantized(x, step, lattice, np)


@functools.partial(jax.jit, static_argnums=2)
def encode_jax(x: jax.Array, step: jax.Array, lattice: Lattice) -> jax.Array:
    fmt = float_format(np.dtype(x.dtype))
    return _code(x.astype(fmt.working), step, lattice, fmt, jnp)


@functools.partial(jax.jit, static_argnums=(2, 3))
def decode_jax(codes: jax.Array, step: jax.Array, lattice: Lattice, dtype: np.dtype) -> jax.Array:
    fmt = float_format(dtype)
    value = _value(codes.astype(fmt.working), step, lattice, fmt, jnp)
    # Compilers fuse a product with a later sum, which would use it unrounded. The minimum changes
    # nothing, but that takes a range analysis to see (a selection by code is seen through).
    return jnp.minimum(value, jnp.finfo(fmt.working).max).astype(dtype)


_forward = jax.jit(lambda x, step, lattice: _quantized(x, step, lattice, jnp), static_argnums=2)


# x + stop_gradient(q(x) - x) is not q(x) in floating point; a custom derivative is.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def quantize_jax(x: jax.Array, step: jax.Array, lattice: Lattice) -> jax.Array:
    return _forward(x, step, lattice)


@quantize_jax.defjvp
def _(lattice, primals, tangents):
    x, step = primals
    return quantize_jax(x, step, lattice), tangents[0]
