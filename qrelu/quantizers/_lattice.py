"""The arithmetic of a uniform grid: exact codes and values, the same in NumPy and in JAX."""

import functools
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._formats import Format, capacity, float_format

Rounding = Literal["nearest", "floor", "toward_zero", "stochastic"]
ROUNDINGS = ("nearest", "floor", "toward_zero", "stochastic")


class Lattice(NamedTuple):
    """What is static about a uniform grid. `highest` is None where nothing bounds it statically."""

    rounding: Rounding
    lowest: int | None = None
    highest: int | None = None
    mid_rise: bool = False


class Limits(NamedTuple):
    r"""Bounds that are numbers of the working type: arrays, for bits that are swept or learned.

    Values are $(n + \mathrm{shift}) \cdot \\mathrm{step}$ for codes $n$; `highest` is NaN where
    the grid does not exist; a shift that is None is zero.
    """

    lowest: Any
    highest: Any
    shift: Any


def _limits(lattice: Lattice, limits: Limits | None, fmt: Format) -> Limits:
    if limits is not None:
        return limits._replace(shift=fmt.working(0)) if limits.shift is None else limits
    real, top = fmt.working, capacity(fmt)
    return Limits(
        real(-top if lattice.lowest is None else lattice.lowest),
        real(top if lattice.highest is None else lattice.highest),
        real(0.5 if lattice.mid_rise else 0),
    )


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


def _value(code: Any, step: Any, shift: Any, fmt: Format, xp: ModuleType) -> Any:
    """One rounded product, hence the same number on every device."""
    # Without a static shift there is no sum, so that NumPy is spared a pass.
    shifted = code if isinstance(shift, np.floating) and shift == 0 else code + shift
    return _to_format(shifted * step, fmt, xp)


def _unfused(value: Any, fmt: Format, xp: ModuleType) -> Any:
    """The same value. Compilers fuse a product with a later sum, which would use it unrounded; the
    minimum changes nothing, but that takes a range analysis to see (a selection by code is seen
    through)."""
    return value if xp is np else xp.minimum(value, jnp.finfo(fmt.working).max)


# Compilers fuse element-wise work into its consumers and repeat it there: the grid values of a bias
# would be computed again for every point of a batch. They do not repeat divisions, which count as
# expensive, so the last operation is one: by 1, in a form that no simplification sees. (A barrier
# for optimizations is gone before the fusion on a CPU.)
def once(values: Any) -> Any:
    """The same values, computed once under `jax.jit` however often they are used."""
    return values / jnp.where(jnp.isnan(values), values, jnp.ones_like(values))


# Nearest: the integer nearest to the REAL quotient x/step, ties to the even code. It is
# idempotent: |fl(n step) - n step| < step/2 for |n| < 2^(precision - 1).
# Floor: the largest GRID VALUE fl(n step) that is not above x (with floor(x/step) a value of the
# grid could fall one step when it is rounded again). Toward zero: the same for |x|.
#
# The first guess may be off, because compilers divide by multiplying with a rounded reciprocal and
# some devices divide inaccurately: by one code, and by two where codes come close to the capacity.
# Each pass moves it by at most one code.
def _code(
    x: Any,
    step: Any,
    lattice: Lattice,
    fmt: Format,
    xp: ModuleType,
    limits: Limits | None = None,
    noise: Any = None,
) -> Any:
    real = fmt.working
    lowest, highest, shift = _limits(lattice, limits, fmt)
    if xp is not np and _is_short(lattice, fmt):
        return _nearest_short(x, step, lowest, highest, fmt)
    y = xp.where(xp.isnan(x) | (abs(x) < fmt.tiny), real(0), x)
    by_size = lattice.rounding in ("toward_zero", "stochastic")
    small = lattice.highest is not None and lattice.highest <= capacity(fmt) // 8
    passes = 1 if small else 2
    if by_size and not lattice.mid_rise:
        last = xp.where(y < 0, -lowest, highest)
        size = _floor(abs(y), step, real(0), last, real(0), passes, fmt, xp)
        if lattice.rounding == "stochastic":
            size = size + _steps_up(abs(y), size, step, last, noise, fmt, xp)
        n = xp.where(y < 0, -size, size)
        if lattice.rounding == "stochastic" and not isinstance(shift, np.floating):
            n = xp.where(shift > 0, _pair(y, step, noise, fmt, xp), n)
    elif by_size:
        n = _pair(y, step, noise, fmt, xp)
    elif lattice.rounding == "floor":
        n = _floor(y, step, lowest, highest, shift, passes, fmt, xp)
    else:
        n = _nearest(y, step, lowest, highest, shift, passes, fmt, xp)
    return xp.where(n == 0, real(0), n)  # no negative zero


def _floor(y, step, lowest, highest, shift, passes, fmt: Format, xp: ModuleType) -> Any:
    n = xp.floor(xp.clip(y / step - shift, lowest, highest))
    for _ in range(passes):
        value = _value(n, step, shift, fmt, xp)
        above = _value(n + 1, step, shift, fmt, xp)
        n = xp.where(above <= y, n + 1, xp.where(value > y, n - 1, n))
        n = xp.clip(n, lowest, highest)
    return n


def _nearest(y, step, lowest, highest, shift, passes, fmt: Format, xp: ModuleType) -> Any:
    guess = xp.clip(y / step - shift, lowest, highest)
    n = xp.rint(guess)
    # NumPy divides with correct rounding, and half-integers are floats: unless the rounded quotient
    # is one, it lies on the same side of every tie as the real quotient.
    settled = xp is np and isinstance(shift, np.floating) and shift == 0
    if settled and not (abs(guess - n) == 0.5).any():
        return n
    for _ in range(passes):
        lower = xp.where(n * step + shift * step < y, n, n - 1)
        side = _side(2 * lower + (1 + 2 * shift), step, 2 * y, fmt, xp)
        even = 2 * xp.rint(lower / 2) == lower
        n = xp.where((side > 0) | ((side == 0) & even), lower, lower + 1)
        n = xp.clip(n, lowest, highest)
    return n


# Bounded grids of a few bits, under a compiler, are what training rounds to in every step, so they
# get the cheapest exact comparison. Let n be the floor of the guess and m = 2 n + 1, |m| < 2^11, so
# that m times either half of s is a float. If m s_high and 2 y are within a factor of two of each
# other, their difference d is exact (Sterbenz), and so is the sign of d + m s_low. If not, |d| is
# at least half of |m s_high| and far above |m s_low|. So the sign below is that of m s - 2 y.
#
# A guess that is off crosses a grid value, where the quotient is far from every tie: n may be the
# code below or that of the grid value itself, and the tie above either gives the same code. Numbers
# below the smallest normal one are far below step / 2, flushed to zero or not. NaN stays NaN.
def _is_short(lattice: Lattice, fmt: Format) -> bool:
    few = lattice.highest is not None and lattice.highest < 2**10
    return few and lattice.rounding == "nearest" and not lattice.mid_rise and fmt.precision >= 24


def _nearest_short(y, step, lowest, highest, fmt: Format) -> Any:
    n = jnp.floor(jnp.clip(y / step, lowest, highest - 1))
    m = 2 * n + 1
    s_high = _high_half(step, fmt, jnp)
    side = (m * s_high - 2 * y) + m * (step - s_high)
    odd = n * 0.5 != jnp.floor(n * 0.5)
    up = (side < 0) | ((side == 0) & odd)
    return n + jnp.where(up, fmt.working(1), fmt.working(0))  # the sum has no negative zero


# Stochastic: the odd integer m is uniform below 2^p, p = 24 or 53, and u = m / 2^p. With the grid
# values v <= |x| < w of neighbouring codes, the code of w is taken where u (w - v) < |x| - v, so
# its probability is (|x| - v) / (w - v) rounded to a multiple of 2^(1-p), and the mean is x up to
# 2^-p steps. Nothing is rounded on the way: v <= |x| < w <= 2 v makes both differences exact
# (Sterbenz), v = 0 too, and `_side` compares exactly. A grid value has |x| - v = 0 and stays.
def _steps_up(size, code, step, last, noise, fmt: Format, xp: ModuleType) -> Any:
    value = _unfused(_value(code, step, fmt.working(0), fmt, xp), fmt, xp)
    above = _unfused(_value(code + 1, step, fmt.working(0), fmt, xp), fmt, xp)
    scale = fmt.working(2.0**53 if fmt.working is np.float64 else 2.0**24)
    # Saturated numbers, infinite ones too, are beyond the last value: zero, and no step up.
    rest = xp.where(code < last, size - value, fmt.working(0))
    up = _side(noise, above - value, scale * rest, fmt, xp) < 0
    return up.astype(fmt.working)


# The pair -step/2, step/2: the upper value where u - 1/2 < x / step, without any difference.
def _pair(y, step, noise, fmt: Format, xp: ModuleType) -> Any:
    scale = fmt.working(2.0**53 if fmt.working is np.float64 else 2.0**24)
    inside = xp.clip(y, -step, step)
    # y is never NaN here. A compiler that knew the noise, from a constant key, would add the
    # constants of the sum in `_side` first, which would round.
    odd = xp.where(xp.isnan(y), y, noise - scale / 2)
    up = _side(odd, step, scale * inside, fmt, xp) < 0
    return xp.where(up, fmt.working(0), fmt.working(-1))


def _quantized(
    x: Any, step: Any, lattice: Lattice, xp: ModuleType, limits: Limits | None, noise: Any
) -> Any:
    fmt = float_format(np.dtype(x.dtype))
    wide = x.astype(fmt.working)
    code = _code(wide, step, lattice, fmt, xp, limits, noise)
    bounds = _limits(lattice, limits, fmt)
    value = _value(code, step, bounds.shift, fmt, xp)
    if xp is not np and _is_short(lattice, fmt):
        return value.astype(x.dtype)  # NaN is NaN already, and `once` divides the product
    # Beyond the capacity the type is no finer than the grid, and the number is left as it is.
    # The selection also keeps compilers from fusing the product above into a later sum.
    keep = xp.isnan(wide)
    if limits is not None:
        value = xp.where(xp.isnan(bounds.highest), bounds.highest, value)
    elif lattice.highest is None:
        keep = keep | (abs(wide) >= capacity(fmt) * step)
    return xp.where(keep, wide, value).astype(x.dtype)


def encode_numpy(
    x: np.ndarray,
    step: np.ndarray,
    lattice: Lattice,
    limits: Limits | None = None,
    noise: Any = None,
) -> Any:
    fmt = float_format(x.dtype)
    with np.errstate(all="ignore"):
        code = _code(x.astype(fmt.working), step, lattice, fmt, np, limits, noise)
        return code.astype(fmt.integer)


def decode_numpy(
    codes: np.ndarray, step: np.ndarray, lattice: Lattice, dtype: Any, limits: Limits | None = None
) -> Any:
    fmt = float_format(np.dtype(dtype))
    shift = _limits(lattice, limits, fmt).shift
    return _value(codes.astype(fmt.working), step, shift, fmt, np).astype(dtype)


def quantize_numpy(
    x: np.ndarray,
    step: np.ndarray,
    lattice: Lattice,
    limits: Limits | None = None,
    noise: Any = None,
) -> Any:
    with np.errstate(all="ignore"):
        return _quantized(x, step, lattice, np, limits, noise)


@functools.partial(jax.jit, static_argnums=2)
def encode_jax(
    x: jax.Array,
    step: jax.Array,
    lattice: Lattice,
    limits: Limits | None = None,
    noise: Any = None,
) -> jax.Array:
    fmt = float_format(np.dtype(x.dtype))
    code = _code(x.astype(fmt.working), step, lattice, fmt, jnp, limits, noise)
    return jnp.where(jnp.isnan(code), 0, code).astype(fmt.integer)


@functools.partial(jax.jit, static_argnums=(2, 3))
def decode_jax(
    codes: jax.Array, step: jax.Array, lattice: Lattice, dtype: np.dtype, limits: Any = None
) -> jax.Array:
    fmt = float_format(dtype)
    shift = _limits(lattice, limits, fmt).shift
    value = _value(codes.astype(fmt.working), step, shift, fmt, jnp)
    return _unfused(value, fmt, jnp).astype(dtype)


@functools.partial(jax.jit, static_argnums=2)
def _forward(x, step, lattice, limits, noise):
    return once(_quantized(x, step, lattice, jnp, limits, noise))


# x + stop_gradient(q(x) - x) is not q(x) in floating point; a custom derivative is.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def quantize_jax(
    x: jax.Array,
    step: jax.Array,
    lattice: Lattice,
    limits: Limits | None = None,
    noise: Any = None,
) -> jax.Array:
    return _forward(x, step, lattice, limits, noise)


@quantize_jax.defjvp
def _(lattice, primals, tangents):
    x, step, limits, noise = primals
    return quantize_jax(x, step, lattice, limits, noise), tangents[0]
