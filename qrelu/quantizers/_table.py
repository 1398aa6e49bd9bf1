"""Grids that are a table of values: exact thresholds, the same in NumPy and in JAX."""

import abc
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._abstract import AbstractQuantizer, Codes, Floats, as_floats, like
from ._formats import float_format
from ._lattice import once


# The thresholds t_i of sorted values v_i, such that the code of x is the number of i with x >= t_i.
#
# Let h = fl(a/2 + b/2) for neighbors a < b: the halves are exact, and TwoSum gives the error e of
# the sum exactly, so the middle h + e is known exactly. A number x above the middle goes to b. If
# e < 0, the numbers of the type above the middle are those with x >= h; if e > 0, those with x > h;
# if e = 0, x = h is a tie. It goes to the value of smaller size, and to b between -b and b. As no
# number but zero is smaller than the smallest normal one (subnormals count as zero), a threshold
# in between moves up to the next of these. So rounding is comparisons only.
def thresholds(values: Any, xp: Any) -> Any:
    tiny = values.dtype.type(jnp.finfo(values.dtype).tiny)
    half = values.dtype.type(0.5)
    a, b = half * values[:-1], half * values[1:]
    middle = a + b
    part = middle - a
    error = (a - (middle - part)) + (b - part)
    up = (error < 0) | ((error == 0) & (abs(values[1:]) <= abs(values[:-1])))
    limit = xp.where(up, middle, xp.nextafter(middle, values.dtype.type(np.inf)))
    return xp.where(abs(limit) < tiny, xp.where(limit > 0, tiny, values.dtype.type(0)), limit)


def _index(x: Any, limits: Any, fmt: Any, xp: Any) -> Any:
    x = xp.where(xp.isnan(x) | (abs(x) < fmt.tiny), fmt.working(0), x)
    if xp is np:
        return np.searchsorted(limits, x, side="right")
    # A few comparisons that a compiler fuses are faster than a search with branches.
    method = "compare_all" if limits.shape[0] <= 64 else "scan_unrolled"
    return jnp.searchsorted(limits, x, side="right", method=method)


@jax.jit
def _encode(x: Any, limits: Any) -> Any:
    fmt = float_format(np.dtype(x.dtype))
    return _index(x.astype(fmt.working), limits, fmt, jnp).astype(fmt.integer)


@jax.jit
def _forward(x: Any, values: Any, limits: Any) -> Any:
    fmt = float_format(np.dtype(x.dtype))
    found = values[_index(x.astype(fmt.working), limits, fmt, jnp)].astype(x.dtype)
    return once(jnp.where(jnp.isnan(x), x, found))


@jax.custom_jvp
def _quantize(x: Any, values: Any, limits: Any) -> Any:
    return _forward(x, values, limits)


@_quantize.defjvp
def _(primals, tangents):
    return _quantize(*primals), tangents[0]


class AbstractTable(AbstractQuantizer):
    r"""A grid that is a finite table of values, rounded to the nearest.

    A tie goes to the value of smaller size, so no parameter grows by it and symmetric tables stay
    symmetric; halfway between $-v$ and $v$ lies zero, which goes to $v$. Rounding is idempotent and
    monotone. Every value is found by comparisons only.
    """

    @property
    @abc.abstractmethod
    def _values(self) -> Any:
        """The sorted values."""

    @property
    @abc.abstractmethod
    def _first(self) -> int:
        """The code of the first value."""

    @property
    def range(self) -> tuple[Any, Any]:
        """The smallest and the largest value."""
        return self._values[0], self._values[-1]

    def __call__(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.floating:
        """The nearest value for every number, with the straight-through gradient.

        The gradient is the identity everywhere; the gradient with respect to the values is zero.

        **Arguments:**

        - `x`: floating-point numbers of any shape. NaN stays NaN, infinities become the last
            values, subnormal numbers count as zero.
        - `key`: not used.

        **Returns:**

        The values, rounded to the type of `x`, in its shape; NumPy for NumPy.

        **Raises:**

        - `ValueError`: where the type of `x` cannot tell the values apart.
        """
        numbers, values, limits, numpy = self._operands(x)
        if not numpy:
            return _quantize(numbers, values, limits)
        fmt = float_format(numbers.dtype)
        found = values[_index(numbers.astype(fmt.working), limits, fmt, np)].astype(numbers.dtype)
        return like(x, np.where(np.isnan(numbers), numbers, found))

    def encode(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.integer:
        """The code of the nearest value for every number; the inverse of `decode` on the values.

        **Arguments:**

        - `x`: numbers of any shape; infinities have the last codes.
        - `key`: not used.

        **Returns:**

        Integers in the shape of `x`: int64 for float64, int32 for the smaller types.

        **Raises:**

        - `ValueError`: for NaN. Under `jax.jit` the failure appears when the compiled function
            runs.
        """
        numbers, _, limits, numpy = self._operands(x)
        nan = f"`{type(self).__name__}.encode(x)` must get numbers: NaN has no code."
        if isinstance(numbers, Tracer):
            numbers = eqx.error_if(numbers, jnp.isnan(numbers), nan)
        elif np.isnan(np.asarray(numbers)).any():
            raise ValueError(nan)
        if not numpy:
            return _encode(numbers, limits) + self._first
        fmt = float_format(numbers.dtype)
        index = _index(numbers.astype(fmt.working), limits, fmt, np).astype(fmt.integer)
        return like(x, index + fmt.integer(self._first))

    def decode(self, codes: Codes, dtype: Any = None) -> Array | np.ndarray | np.floating:
        """The values of codes; the inverse of `encode`.

        **Arguments:**

        - `codes`: integers of any shape.
        - `dtype`: the floating-point type of the result. Without it, 64-bit codes give float64
            and narrower ones float32, as `encode` pairs them.

        **Returns:**

        The values, in the shape of `codes`; NumPy for NumPy.

        **Raises:**

        - `ValueError`: for codes that no value has (unless they are traced).
        - `TypeError`: for codes that are not integers.
        """
        is_jax = isinstance(codes, jax.Array) or isinstance(self._values, Tracer)
        array: Any = codes if isinstance(codes, jax.Array) else np.asarray(codes)
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(
                f"`{type(self).__name__}.decode(codes)` must get integers; got {array.dtype}. "
                "Use what `encode` returned."
            )
        if dtype is None:
            dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
        dtype = np.dtype(jax.dtypes.canonicalize_dtype(dtype) if is_jax else dtype)
        last = self._first + self._values.shape[0] - 1
        if not isinstance(array, Tracer):
            numbers = np.asarray(array)
            if not ((numbers >= self._first) & (numbers <= last)).all():
                raise ValueError(
                    f"`{type(self).__name__}.decode(codes)` must get codes from {self._first} to "
                    f"{last}; got {numbers.min()} to {numbers.max()}. The codes belong to another "
                    "grid or are damaged."
                )
        values, _ = self._constants(dtype, is_jax)
        index = array.astype(np.int32) - np.int32(self._first)
        found = (jnp.asarray(values) if is_jax else values)[index].astype(dtype)
        return found if is_jax else like(codes, found)

    def _operands(self, x: Any) -> tuple[Any, Any, Any, bool]:
        is_jax = isinstance(x, jax.Array) or isinstance(self._values, Tracer)
        numbers = as_floats(type(self).__name__, x, is_jax)
        values, limits = self._constants(np.dtype(numbers.dtype), is_jax)
        return numbers, values, limits, not is_jax

    def _constants(self, dtype: np.dtype, is_jax: bool) -> tuple[Any, Any]:
        """Values and thresholds in the working type; the values are numbers of the type."""
        working = float_format(dtype).working
        values = self._values
        if isinstance(values, Tracer):
            values = values.astype(dtype).astype(working)
            return values, thresholds(values, jnp)
        values, limits = _rounded(tuple(np.asarray(values, np.float64).tolist()), dtype)
        if values is None:
            raise ValueError(
                f"`{type(self).__name__}` must have values that are different, finite and not "
                f"subnormal in the type of the numbers; {dtype} cannot hold these. Use fewer "
                "values or a wider type."
            )
        return (jnp.asarray(values), jnp.asarray(limits)) if is_jax else (values, limits)


@functools.lru_cache(maxsize=64)
def _rounded(values: tuple[float, ...], dtype: np.dtype) -> tuple[Any, Any]:
    fmt = float_format(dtype)
    with np.errstate(all="ignore"):
        # numpy rounds float64 to bfloat16 once, as JAX does.
        numbers = np.array(values).astype(dtype).astype(fmt.working)
        sizes = abs(numbers)
        bad = ~np.isfinite(numbers) | ((sizes > 0) & (sizes < fmt.tiny))
        if bad.any() or (numbers[1:] <= numbers[:-1]).any():
            return None, None
        limits = np.asarray(thresholds(numbers, np))
    numbers.flags.writeable = limits.flags.writeable = False
    return numbers, limits
