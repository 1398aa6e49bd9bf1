"""The asymmetric uniform grid, with a zero point."""

from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from .._misc import plain
from . import _lattice
from ._abstract import AbstractUniformGrid
from ._arguments import (
    LARGEST_BITS,
    check_bits,
    check_rounding,
    divide,
    is_array,
    lookup,
    positive,
    whole,
)
from ._formats import Format, float_format
from ._lattice import Lattice, Limits, Rounding

Integers = int | np.integer | np.ndarray | Array
MOST = LARGEST_BITS - 1  # unsigned codes below 2^52: differences of two of them are exact too


class Affine(AbstractUniformGrid):
    r"""The grid $(c - z) \cdot \mathrm{step}$ of the codes $c = 0, \dots, 2^{bits} - 1$.

    The zero point $z$ is one of the codes, so zero is a grid value; numbers beyond the grid
    saturate. This is what the field calls affine or asymmetric quantization, "scale" being the
    step, for numbers that do not lie around zero, such as activations. Rounding is as in
    `Uniform`, with ties to even $c - z$. Codes are not negative: `pack` takes them with
    `signed=False`.
    """

    step: Any
    zero_point: Any
    rounding: Rounding = eqx.field(static=True)
    _fixed_bits: int | None = eqx.field(converter=plain, static=True)
    _array_bits: Any

    def __init__(
        self,
        step: ArrayLike,
        zero_point: Integers,
        bits: Integers,
        rounding: str = "nearest",
    ):
        r"""**Arguments:**

        - `step`: grid spacing, positive and finite; a scalar, or an array that broadcasts to the
            numbers. May be traced.
        - `zero_point`: the code of zero, from 0 to $2^{bits} - 1$; an integer or an array of
            integers that broadcasts to the numbers.
        - `bits`: bits for one code, 1 to 52. The type of the numbers must hold them: 23 for
            float32, 10 for float16, 7 for bfloat16. An array is swept or learned as in `Uniform`.
        - `rounding`: "nearest", "floor", "toward_zero" or "stochastic".

        **Raises:**

        - `ValueError`: for a step that is not positive and finite, a zero point that is no code,
            an unknown rounding, or bits out of range.
        """
        check_rounding("Affine", rounding)
        self.step = positive("Affine(step=...)", step, "It is the distance of grid values.")
        self.rounding = rounding  # pyright: ignore[reportAttributeAccessIssue]
        checked = check_bits("Affine", bits, most=MOST)
        self._fixed_bits = None if is_array(checked) else checked
        self._array_bits = checked if is_array(checked) else None
        self.zero_point = _check_zero_point(zero_point, checked)

    @classmethod
    def from_range(
        cls,
        bits: Integers,
        lower: ArrayLike,
        upper: ArrayLike,
        rounding: str = "nearest",
    ) -> "Affine":
        r"""The grid of `bits` bits for numbers from `lower` to `upper`.

        The range is widened until it contains zero. The step is its length divided by
        $2^{bits} - 1$ and the zero point the code nearest to $-\mathrm{lower}/\mathrm{step}$, so
        every number of the range is within half a step of a grid value.

        **Arguments:**

        - `bits`: bits for one code, 1 to 52, and fewer than the type of `lower` and `upper` has.
        - `lower`, `upper`: finite, not both zero; scalars or arrays of one shape that broadcasts
            to the numbers. May be traced.
        - `rounding`: "nearest", "floor", "toward_zero" or "stochastic".

        **Returns:**

        The `Affine` quantizer.

        **Raises:**

        - `ValueError`: for bits or a range out of bounds.
        """
        bits = check_bits("Affine.from_range", bits, most=MOST)
        low, high = _check_range(lower, upper)
        precision = float_format(np.dtype(low.dtype)).precision
        if not isinstance(bits, Tracer) and np.max(bits) >= precision:
            raise ValueError(
                f"`Affine.from_range(bits=...)` must be below {precision}, what {low.dtype} holds; "
                f"got {np.max(bits)}. Use fewer bits, or the range in a wider type."
            )
        if is_array(bits) and not is_array(lower) and not is_array(upper):
            # One table of float64 quotients: fixed bits divide in float64 too.
            made = [_step_and_zero(low, high, 2.0**b - 1) for b in range(1, MOST + 1)]
            xp = jnp if isinstance(bits, Tracer) else np
            steps, zeros = (
                lookup(np.array(column, np.float64), bits, xp) for column in zip(*made, strict=True)
            )
            return cls(steps, _to_integers(zeros, xp), bits, rounding)
        xp = jnp if isinstance(bits, Tracer) or isinstance(low, jax.Array) else np
        last = lookup(_last_codes(precision - 1), bits, xp) if is_array(bits) else 2.0**bits - 1
        step, zero = _step_and_zero(xp.asarray(low), xp.asarray(high), last)
        return cls(step, zero, bits, rounding)

    @property
    def bits(self) -> Any:
        """Bits for one code: what was given."""
        return self._fixed_bits if self._array_bits is None else self._array_bits

    @property
    def signed(self) -> bool:
        """Whether codes are signed: they are not."""
        return False

    @property
    def _lattice(self) -> Lattice:
        return Lattice(self.rounding)

    def _limits(self, fmt: Format, xp: ModuleType) -> Limits:
        table = _last_codes(fmt.precision - 1).astype(fmt.working)
        last = lookup(table, np.asarray(self.bits) if xp is np else jnp.asarray(self.bits), xp)
        zero = xp.asarray(self.zero_point).astype(fmt.working)
        exists = (zero >= 0) & (zero <= last)
        highest = xp.where(exists, last - zero, fmt.working(np.nan))
        return Limits(xp.where(exists, -zero, fmt.working(np.nan)), highest, None)

    @property
    def _zero(self) -> Any:
        zero = self.zero_point
        return zero if is_array(zero) else np.asarray(zero)


def _last_codes(most: int) -> np.ndarray:
    """The last code, for 1 to `most` bits."""
    return 2.0 ** np.arange(1, most + 1) - 1


def _step_and_zero(low: Any, high: Any, last: Any) -> tuple[Any, Any]:
    step = divide(high - low, last)
    if not isinstance(step, Tracer):
        positive("Affine.from_range(upper - lower)", step, "The range must have a length.")
    # -low / step is half an integer for symmetric ranges, where a rounded quotient would depend on
    # the compiler. The lattice compares exactly.
    shape = np.shape(step)
    fmt = float_format(np.dtype(low.dtype))
    if isinstance(step, jax.Array):
        below = jnp.broadcast_to(-low, shape)
        return step, _lattice.encode_jax(below, step.astype(fmt.working), Lattice("nearest"))
    below, spacing = np.broadcast_to(-low, shape), np.asarray(step, fmt.working)
    return step, _lattice.encode_numpy(below, spacing, Lattice("nearest"))


def _to_integers(numbers: Any, xp: ModuleType) -> Any:
    # NaN, where there are no such bits, becomes a code that no grid has.
    dtype = jax.dtypes.canonicalize_dtype(np.int64) if xp is jnp else np.int64
    return xp.where(xp.isnan(numbers), -1, numbers).astype(dtype)


def _check_range(lower: Any, upper: Any) -> tuple[Any, Any]:
    call = "Affine.from_range(lower, upper)"
    is_jax = isinstance(lower, jax.Array) or isinstance(upper, jax.Array)
    xp = jnp if is_jax else np
    low, high = (xp.asarray(v if is_array(v) else float(v)) for v in (lower, upper))
    if is_array(lower) and is_array(upper) and low.shape != high.shape:
        raise ValueError(
            f"`{call}` must have one shape; got {low.shape} and {high.shape}. Broadcast them."
        )
    dtype = xp.result_type(*([v for v in (lower, upper) if is_array(v)] or [np.float64]))
    if not jnp.issubdtype(dtype, np.floating):
        raise TypeError(f"`{call}` must be floating-point; got {dtype}.")
    if not any(isinstance(v, Tracer) for v in (low, high)):
        numbers = np.asarray(low, np.float64), np.asarray(high, np.float64)
        if not (np.isfinite(numbers[0]) & np.isfinite(numbers[1])).all():
            raise ValueError(f"`{call}` must be finite; got {lower} and {upper}.")
        if (numbers[0] > numbers[1]).any():
            raise ValueError(f"`{call}` must be in order; got {lower} and {upper}.")
    low, high = low.astype(dtype), high.astype(dtype)
    return xp.minimum(low, 0), xp.maximum(high, 0)


def _check_zero_point(zero_point: Any, bits: Any) -> Any:
    call = "Affine(zero_point=...)"
    if not is_array(zero_point):
        zero_point = whole(call, zero_point, 0, "a code: a whole number of at least 0")
    elif not jnp.issubdtype(zero_point.dtype, np.integer):
        raise TypeError(f"`{call}` must hold integers; got {zero_point.dtype}.")
    if not isinstance(zero_point, Tracer) and not isinstance(bits, Tracer):
        numbers = np.asarray(zero_point)
        last = 2.0 ** np.rint(np.asarray(bits, np.float64)) - 1
        shapes = np.broadcast_shapes(numbers.shape, np.shape(last))
        numbers, last = np.broadcast_to(numbers, shapes), np.broadcast_to(last, shapes)
        if not ((numbers >= 0) & (numbers <= last)).all():
            raise ValueError(
                f"`{call}` must be a code, from 0 to 2^bits - 1, so that zero is a grid value; "
                f"got {zero_point} with {bits} bits."
            )
    return zero_point
