"""What every quantizer offers, and what all grids with one step have in common."""

import abc
import math
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from . import _lattice
from ._lattice import Lattice, Rounding

Floats: TypeAlias = Array | np.ndarray | np.floating | float
Codes: TypeAlias = Array | np.ndarray | np.integer | int


class AbstractQuantizer(eqx.Module):
    r"""A set of values (the grid), a rule that rounds to it, and integer codes for its values.

    Called on floating-point numbers it returns grid values; NumPy numbers give NumPy numbers
    without a call of JAX, by the same arithmetic, and the two agree bit for bit.
    """

    step: eqx.AbstractVar[Any]
    bits: eqx.AbstractVar[int | None]

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
    r"""A grid with one step: the values $\mathrm{fl}(n \cdot \mathrm{step})$ of integer codes $n$.

    $\mathrm{fl}$ is one rounded product in the type of the numbers, the only rounding there is:
    codes come from exact comparisons and depend neither on the device nor on the compiler.
    """

    rounding: eqx.AbstractVar[Rounding]

    @property
    @abc.abstractmethod
    def _lattice(self) -> Lattice: ...

    @property
    def range(self) -> tuple[Any, Any]:
        r"""The smallest and the largest grid value; $(-\infty, \infty)$ if it is unbounded."""
        lattice = self._lattice
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

        **Returns:**

        The grid values, in the shape and type of `x`; NumPy for NumPy. On an unbounded grid a
        number of at least $2^{p-1}$ steps, $p$ the precision of its type in bits (24 for float32),
        is returned unchanged: the type is hardly finer than the grid there, and codes would not
        be exact.

        **Raises:**

        - `ValueError`: where the type cannot hold the grid.
        """
        numbers, step, numpy = self._operands(x)
        if numpy:
            return _like(x, _lattice.quantize_numpy(numbers, step, self._lattice))
        return _lattice.quantize_jax(numbers, step, self._lattice)

    def encode(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.integer:
        r"""The integer code of every number's grid value; the inverse of `decode` on the grid.

        **Arguments:**

        - `x`: finite floating-point numbers of any shape.

        **Returns:**

        Integers in the shape of `x`: int64 for float64, int32 for the smaller types.

        **Raises:**

        - `ValueError`: for NaN, for infinities, and on an unbounded grid for numbers whose code
            would not be exact in their type. Under `jax.jit` the failure appears when the
            compiled function runs.
        """
        numbers, step, numpy = self._operands(x)
        top = _lattice.capacity(_lattice.float_format(np.dtype(numbers.dtype)))
        name = type(self).__name__
        not_finite = (
            f"`{name}.encode(x)` must get finite numbers: NaN and infinity have no code. "
            "Replace them first."
        )
        too_large = (
            f"`{name}.encode(x)` must get numbers below {top} steps, so that codes are exact in "
            f"{np.dtype(numbers.dtype).name}. Use a larger step, a wider type or a bounded grid."
        )
        if isinstance(numbers, Tracer) or isinstance(step, Tracer):
            numbers = eqx.error_if(numbers, ~jnp.isfinite(numbers), not_finite)
            if self._lattice.highest is None:
                wide = numbers.astype(step.dtype)
                numbers = eqx.error_if(numbers, abs(wide) >= top * step, too_large)
            return _lattice.encode_jax(numbers, step, self._lattice)
        values, spacing = np.asarray(numbers), np.asarray(step)
        if not np.isfinite(values.astype(spacing.dtype)).all():
            raise ValueError(not_finite)
        if self._lattice.highest is None and (abs(values) >= top * spacing).any():
            raise ValueError(too_large)
        if numpy:
            return _like(x, _lattice.encode_numpy(numbers, step, self._lattice))
        return _lattice.encode_jax(numbers, step, self._lattice)

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
        traced = isinstance(codes, Tracer)
        is_jax = isinstance(codes, jax.Array) or isinstance(self.step, Tracer)
        array: Any = codes if isinstance(codes, jax.Array) else np.asarray(codes)
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(
                f"`{type(self).__name__}.decode(codes)` must get integers; got {array.dtype}. "
                "Use what `encode` returned."
            )
        if dtype is None:
            dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
        dtype = np.dtype(jax.dtypes.canonicalize_dtype(dtype) if is_jax else dtype)
        step = self._step(dtype, array.shape, is_jax)
        if not traced:
            self._check_codes(np.asarray(array), dtype)
        if is_jax:
            return _lattice.decode_jax(jnp.asarray(array), step, self._lattice, dtype)
        return _like(codes, _lattice.decode_numpy(array, step, self._lattice, dtype))

    def _check_codes(self, codes: np.ndarray, dtype: np.dtype) -> None:
        top = _lattice.capacity(_lattice.float_format(dtype))
        lattice = self._lattice
        lowest = 1 - top if lattice.lowest is None else lattice.lowest
        highest = top - 1 if lattice.highest is None else lattice.highest
        if codes.size and not (lowest <= codes.min() and codes.max() <= highest):
            raise ValueError(
                f"`{type(self).__name__}.decode(codes)` must get codes from {lowest} to {highest}; "
                f"got {codes.min()} to {codes.max()}. The codes belong to another grid or are "
                "damaged."
            )

    def _operands(self, x: Any) -> tuple[Any, Any, bool]:
        is_jax = isinstance(x, jax.Array) or isinstance(self.step, Tracer)
        if isinstance(x, (int, float)) and not isinstance(x, bool):
            x = np.float64(x)
        array: Any = jnp.asarray(x) if is_jax else np.asarray(x)
        if not jnp.issubdtype(array.dtype, np.floating) or array.dtype.itemsize not in (2, 4, 8):
            raise TypeError(
                f"`{type(self).__name__}` must get float16, bfloat16, float32 or float64 numbers; "
                f"got {array.dtype}. Convert them first."
            )
        return array, self._step(np.dtype(array.dtype), array.shape, is_jax), not is_jax

    def _step(self, dtype: np.dtype, shape: tuple[int, ...], is_jax: bool) -> Any:
        """The step in the working type, with as many axes as the numbers, checked if concrete."""
        fmt = _lattice.float_format(dtype)
        name = type(self).__name__
        highest = self._lattice.highest
        if highest is not None and highest >= _lattice.capacity(fmt):
            raise ValueError(
                f"`{name}` with {self.bits} bits must not exceed the {fmt.precision} bits that "
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
        try:
            fits = np.broadcast_shapes(step.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"`{name}` must have a step that broadcasts to the numbers; got a step of shape "
                f"{step.shape} and numbers of shape {shape}. Reshape the step, for example to "
                "`(rows, 1)` for one step per row."
            )
        step = step.reshape((1,) * (len(shape) - step.ndim) + step.shape)
        return jnp.asarray(step) if is_jax else step


def _like(argument: Any, result: Any) -> Any:
    """Arrays for arrays, also without axes; scalars for scalars."""
    return np.asarray(result) if isinstance(argument, np.ndarray) else result[()]
