"""What every quantizer offers, and what all grids with one step have in common."""

import abc
import math
from types import ModuleType
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from . import _lattice
from ._formats import Format, capacity, float_format
from ._lattice import Lattice, Limits, Rounding
from ._random import check_key, odd_numbers

Floats: TypeAlias = Array | np.ndarray | np.floating | float
Codes: TypeAlias = Array | np.ndarray | np.integer | int


class AbstractQuantizer(eqx.Module):
    r"""A set of values (the grid), a rule that rounds to it, and integer codes for its values.

    Called on floating-point numbers it returns grid values; NumPy numbers give NumPy numbers
    by the same arithmetic as JAX, and the two agree bit for bit. Only stochastic rounding uses the
    key, and must get one; it is the same for NumPy numbers, whose random bits come from JAX.

    **Attributes:**

    - `step`: the grid spacing, or None where the grid has no single one.
    - `bits`: bits for one code; an error where the grid is unbounded.
    - `signed`: whether codes are signed, as `pack` must know.
    - `range`: the smallest and the largest grid value.
    """

    step: eqx.AbstractVar[Any]
    bits: eqx.AbstractVar[Any]
    signed: eqx.AbstractVar[bool]

    @property
    @abc.abstractmethod
    def range(self) -> tuple[Any, Any]:
        r"""The smallest and the largest grid value; $(-\infty, \infty)$ if it is unbounded."""

    @abc.abstractmethod
    def __call__(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.floating:
        """The grid value of every number, with the straight-through gradient."""

    @abc.abstractmethod
    def encode(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.integer:
        """The integer code of every number's grid value."""

    @abc.abstractmethod
    def decode(self, codes: Codes, dtype: Any = None) -> Array | np.ndarray | np.floating:
        """The grid values of integer codes."""


class AbstractUniformGrid(AbstractQuantizer):
    r"""A grid with one step: the values $\mathrm{fl}(n \cdot \mathrm{step})$ of integers $n$.

    $\mathrm{fl}$ is one rounded product in the type of the numbers, the only rounding there is:
    codes come from exact comparisons and depend neither on the device nor on the compiler.
    """

    rounding: eqx.AbstractVar[Rounding]

    @property
    @abc.abstractmethod
    def _lattice(self) -> Lattice:
        """What is static: without bounds where `_limits` has them."""

    @abc.abstractmethod
    def _limits(self, fmt: Format, xp: ModuleType) -> Limits | None:
        """Bounds that are arrays, before they are aligned with the numbers."""

    @property
    @abc.abstractmethod
    def _zero(self) -> Any:
        """The code of zero."""

    @property
    def range(self) -> tuple[Any, Any]:
        r"""The smallest and the largest grid value; $(-\infty, \infty)$ if it is unbounded."""
        lattice = self._lattice
        dtype = getattr(self.step, "dtype", np.float64)
        xp = jnp if _traced(self) else np
        limits = self._limits(float_format(np.dtype(dtype)), xp)
        if limits is not None:
            shift = 0.0 if limits.shift is None else limits.shift
            return (limits.lowest + shift) * self.step, (limits.highest + shift) * self.step
        if lattice.lowest is None or lattice.highest is None:
            return -math.inf, math.inf
        shift = 0.5 if lattice.mid_rise else 0.0
        return (lattice.lowest + shift) * self.step, (lattice.highest + shift) * self.step

    def __call__(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.floating:
        r"""The grid value of every number, with the straight-through gradient.

        The gradient is the identity everywhere, saturated values included; the gradient with
        respect to `step` is zero, and so are all second derivatives.

        **Arguments:**

        - `x`: floating-point numbers of any shape. NaN stays NaN. An infinity becomes the last
            value of a bounded grid and stays infinite on an unbounded one. Subnormal numbers
            count as zero, as many devices have it.
        - `key`: one random key for stochastic rounding; the other roundings do not use it.

        **Returns:**

        The grid values, in the shape and type of `x`; NumPy for NumPy. On an unbounded grid a
        number of at least $2^{p-1}$ steps, $p$ the precision of its type in bits (24 for float32),
        is returned unchanged: the type is hardly finer than the grid there, and codes would not
        be exact. NaN where bits that are traced cannot be had in the type.

        **Raises:**

        - `ValueError`: where the type cannot hold the grid, and without a key that is needed.
        - `TypeError`: for other types, and for JAX arrays of float64 where JAX is set to 32 bits.
        """
        numbers, step, limits, numpy = self._operands(x, key)
        noise = self._noise(numbers, key, numpy)
        if numpy:
            value = _lattice.quantize_numpy(numbers, step, self._lattice, limits, noise)
            return like(x, value)
        return _lattice.quantize_jax(numbers, step, self._lattice, limits, noise)

    def encode(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.integer:
        r"""The integer code of every number's grid value; the inverse of `decode` on the grid.

        **Arguments:**

        - `x`: finite floating-point numbers of any shape.
        - `key`: one random key for stochastic rounding; the same key as in a call of the grid
            gives the codes of the same values.

        **Returns:**

        Integers in the shape of `x`: int64 for float64, int32 for the smaller types.

        **Raises:**

        - `ValueError`: for NaN, for infinities, and on an unbounded grid for numbers whose code
            would not be exact in their type. Under `jax.jit` the failure appears when the
            compiled function runs.
        """
        numbers, step, limits, numpy = self._operands(x, key)
        noise = self._noise(numbers, key, numpy)
        unbounded = limits is None and self._lattice.highest is None
        top = capacity(float_format(np.dtype(numbers.dtype)))
        name = type(self).__name__
        not_finite = (
            f"`{name}.encode(x)` must get finite numbers: NaN and infinity have no code. "
            "Replace them first."
        )
        too_large = (
            f"`{name}.encode(x)` must get numbers below {top} steps, so that codes are exact in "
            f"{np.dtype(numbers.dtype).name}. Use a larger step, a wider type or a bounded grid."
        )
        if isinstance(numbers, Tracer) or _traced(self):
            numbers = eqx.error_if(numbers, ~jnp.isfinite(numbers), not_finite)
            if unbounded:
                wide = numbers.astype(step.dtype)
                numbers = eqx.error_if(numbers, abs(wide) >= top * step, too_large)
            if limits is not None:
                numbers = eqx.error_if(
                    numbers,
                    jnp.isnan(limits.highest),
                    f"`{name}` must have bits that {np.dtype(numbers.dtype).name} holds exactly.",
                )
        else:
            values, spacing = np.asarray(numbers), np.asarray(step)
            if not np.isfinite(values.astype(spacing.dtype)).all():
                raise ValueError(not_finite)
            if unbounded and (abs(values) >= top * spacing).any():
                raise ValueError(too_large)
        if numpy:
            codes = _lattice.encode_numpy(numbers, step, self._lattice, limits, noise)
        else:
            codes = _lattice.encode_jax(numbers, step, self._lattice, limits, noise)
        if not isinstance(self._zero, int):
            codes = codes + self._aligned(self._zero, numbers.shape, "zero point", codes.dtype)
        return like(x, codes) if numpy else codes

    def decode(self, codes: Codes, dtype: Any = None) -> Array | np.ndarray | np.floating:
        r"""The grid values of integer codes; the inverse of `encode`.

        **Arguments:**

        - `codes`: integers of any shape.
        - `dtype`: the floating-point type of the result. Without it, 64-bit codes give float64
            and narrower ones float32, as `encode` pairs them.

        **Returns:**

        The grid values, in the shape of `codes`; NumPy for NumPy.

        **Raises:**

        - `ValueError`: for codes outside the grid (unless they are traced), or where `dtype`
            cannot hold the grid.
        - `TypeError`: for codes that are not integers.
        """
        is_jax = isinstance(codes, jax.Array) or _traced(self)
        array: Any = codes if isinstance(codes, jax.Array) else np.asarray(codes)
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(
                f"`{type(self).__name__}.decode(codes)` must get integers; got {array.dtype}. "
                "Use what `encode` returned."
            )
        if dtype is None:
            dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
        dtype = np.dtype(jax.dtypes.canonicalize_dtype(dtype) if is_jax else dtype)
        step, limits = self._constants(dtype, array.shape, is_jax)
        if not isinstance(self._zero, int):
            array = array.astype(np.int64 if not is_jax else float_format(dtype).integer)
            array = array - self._aligned(self._zero, array.shape, "zero point", array.dtype)
        if not isinstance(array, Tracer):
            self._check_codes(np.asarray(array), dtype, limits)
        if is_jax:
            return _lattice.decode_jax(jnp.asarray(array), step, self._lattice, dtype, limits)
        numbers = _lattice.decode_numpy(np.asarray(array), step, self._lattice, dtype, limits)
        return like(codes, numbers)

    def _check_codes(self, codes: np.ndarray, dtype: np.dtype, limits: Limits | None) -> None:
        top = capacity(float_format(dtype))
        lowest, highest = self._lattice.lowest, self._lattice.highest
        if limits is not None:
            if isinstance(limits.highest, Tracer):
                return
            lowest, highest = np.asarray(limits.lowest), np.asarray(limits.highest)
        lowest = 1 - top if lowest is None else lowest
        highest = top - 1 if highest is None else highest
        if not ((codes >= lowest) & (codes <= highest)).all():
            zero = np.asarray(self._zero)
            lowest, highest = (lowest + zero).min(), (highest + zero).max()
            codes = codes + zero
            raise ValueError(
                f"`{type(self).__name__}.decode(codes)` must get codes from {lowest:.0f} to "
                f"{highest:.0f}; got {codes.min()} to {codes.max()}. The codes belong to another "
                "grid or are damaged."
            )

    def _operands(self, x: Any, key: Any) -> tuple[Any, Any, Limits | None, bool]:
        is_jax = isinstance(x, jax.Array) or _traced(self) or isinstance(key, Tracer)
        array = as_floats(type(self).__name__, x, is_jax)
        step, limits = self._constants(np.dtype(array.dtype), array.shape, is_jax)
        return array, step, limits, not is_jax

    def _noise(self, numbers: Any, key: Any, numpy: bool) -> Any:
        if self.rounding != "stochastic":
            return None
        check_key(f"{type(self).__name__}(x, key)", key)
        fmt = float_format(np.dtype(numbers.dtype))
        return odd_numbers(key, numbers.shape, fmt, numpy)

    def _constants(
        self, dtype: np.dtype, shape: tuple[int, ...], is_jax: bool
    ) -> tuple[Any, Limits | None]:
        """Step and bounds in the working type, with as many axes as the numbers, checked."""
        fmt = float_format(dtype)
        name = type(self).__name__
        limits = self._limits(fmt, jnp if _traced(self) else np)
        if limits is None:
            highest = self._lattice.highest
            too_many = highest is not None and highest >= capacity(fmt)
        else:
            # NaN: more bits than the table of the type has. Traced ones make NaN of the values.
            too_many = not isinstance(limits.highest, Tracer) and np.isnan(limits.highest).any()
        if too_many:
            most = fmt.precision if self.signed else fmt.precision - 1
            raise ValueError(
                f"`{name}` with {np.max(self.bits)} bits must not exceed the {most} bits that "
                f"{fmt.name} holds exactly. Use fewer bits or a wider type."
            )
        step: Any = self.step
        if isinstance(step, Tracer):
            step = step.astype(fmt.working)
        else:
            step = np.asarray(step).astype(fmt.working)
            if not ((step >= fmt.smallest_step) & (step <= fmt.largest_step)).all():
                raise ValueError(
                    f"`{name}` must have a step between {fmt.smallest_step:.3g} and "
                    f"{fmt.largest_step:.3g} for {fmt.name} numbers; got {self.step}. Rescale the "
                    "numbers or use a wider type."
                )
        step = self._aligned(step, shape, "step", fmt.working)
        if limits is not None:
            align = lambda v: self._aligned(v, shape, "zero point and bits", fmt.working)  # noqa: E731
            limits = jax.tree.map(align, limits)
        if is_jax:
            step, limits = jax.tree.map(jnp.asarray, (step, limits))
        return step, limits

    def _aligned(self, value: Any, shape: tuple[int, ...], what: str, dtype: Any) -> Any:
        """The constant with as many axes as the numbers, to which it must broadcast."""
        value = (value if isinstance(value, jax.Array) else np.asarray(value)).astype(dtype)
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"`{type(self).__name__}` must have a {what} that broadcasts to the numbers; got a "
                f"{what} of shape {value.shape} and numbers of shape {shape}. Reshape it, for "
                "example to `(rows, 1)` for one per row."
            )
        return value.reshape((1,) * (len(shape) - value.ndim) + value.shape)


def as_floats(name: str, x: Any, is_jax: bool) -> Any:
    """An array of a floating-point type of at most 64 bits; Python numbers are float64."""
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        x = np.float64(x)
    array: Any = jnp.asarray(x) if is_jax else np.asarray(x)
    if not jnp.issubdtype(array.dtype, np.floating) or array.dtype.itemsize not in (2, 4, 8):
        raise TypeError(
            f"`{name}` must get float16, bfloat16, float32 or float64 numbers; "
            f"got {array.dtype}. Convert them first."
        )
    # JAX would cut off half of every number on the way, with a warning.
    if is_jax and array.dtype == np.float64 != jax.dtypes.canonicalize_dtype(np.float64):
        raise TypeError(
            f"`{name}` must get float32 numbers where JAX is set to 32 bits; got float64 "
            "ones, made where it was not. Call it under `jax.enable_x64(True)` too, or convert "
            "them with `numpy.asarray`."
        )
    return array


def like(argument: Any, result: Any) -> Any:
    """Arrays for arrays, also without axes; scalars for scalars."""
    return np.asarray(result) if isinstance(argument, np.ndarray) else result[()]


def _traced(q: AbstractQuantizer) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(q))
