"""Uniform grids, by step or by bits and magnitude, and fixed point."""

import operator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import ArrayLike

from ._abstract import AbstractUniformGrid
from ._lattice import ROUNDINGS, Lattice, Rounding

LARGEST_BITS = 53  # the precision of float64: larger codes would not be exact in any type


def _check_rounding(call: str, rounding: Any) -> None:
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"`{call}(rounding=...)` must be one of {', '.join(map(repr, ROUNDINGS))}; "
            f"got {rounding!r}."
        )


def _whole(call: str, value: Any, lowest: int, what: str) -> int:
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"`{call}` must be {what}; got {value!r}.") from None
    if number < lowest:
        raise ValueError(f"`{call}` must be {what}; got {number}.")
    return number


def _check_bits(call: str, bits: Any) -> int:
    bits = _whole(f"{call}(bits=...)", bits, 1, "a whole number of at least 1")
    if bits > LARGEST_BITS:
        raise ValueError(
            f"`{call}(bits=...)` must be at most {LARGEST_BITS}, the bits that float64 holds "
            f"exactly; got {bits}. Use fewer bits."
        )
    return bits


def _positive(call: str, value: Any, role: str) -> Any:
    """Python and NumPy scalars as floats, arrays as they are, checked where they are concrete."""
    if isinstance(value, jax.Array):
        if not jnp.issubdtype(value.dtype, np.floating):
            raise TypeError(f"`{call}` must be floating-point; got {value.dtype}.")
        if isinstance(value, Tracer):
            return value
        numbers = np.asarray(value).astype(np.float64)
    else:
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.number, np.ndarray)
        ):
            raise TypeError(f"`{call}` must be a number or an array; got {type(value).__name__}.")
        numbers = np.asarray(value)
        if not np.issubdtype(numbers.dtype, np.floating):
            numbers = numbers.astype(np.float64)
        value = numbers if numbers.ndim else float(numbers)
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        raise ValueError(f"`{call}` must be positive and finite; got {value}. {role}")
    return value


class Uniform(AbstractUniformGrid):
    r"""The grid $\mathrm{step} \cdot \mathbb{Z}$, or with `bits` its $2^{bits} - 1$ central values.

    With `bits` the codes run from $-q$ to $q$, $q = 2^{bits-1} - 1$, and numbers beyond saturate.
    One bit cannot be symmetric around zero and contain it: `bits=1` is the mid-rise pair
    $\pm\mathrm{step}/2$ with the codes $-1$ and $0$, and zero goes to $+\mathrm{step}/2$.

    Rounding: "nearest" takes the code nearest to the exact quotient $x/\mathrm{step}$, ties to the
    even code; "floor" the largest grid value not above $x$; "toward_zero" the grid value of the
    sign of $x$ that is largest with $|q(x)| \le |x|$, so that no entry grows. All three are
    idempotent and monotone, and all send zero to zero when there are two bits or more.
    """

    step: Any
    rounding: Rounding = eqx.field(static=True)
    bits: int | None = eqx.field(static=True)

    def __init__(
        self,
        step: ArrayLike,
        rounding: str = "nearest",
        *,
        bits: int | None = None,
    ):
        r"""**Arguments:**

        - `step`: grid spacing, positive and finite; a scalar, or an array that broadcasts to the
            parameter (for example `(rows, 1)`). May be traced; it is checked where it is concrete.
            Numbers narrower than the step's type use the step rounded to theirs.
        - `rounding`: "nearest", "floor" or "toward_zero".
        - `bits`: bits for one parameter, 1 to 53, or None for the unbounded grid. The type of the
            numbers must hold them: 24 for float32, 11 for float16, 8 for bfloat16.

        **Raises:**

        - `ValueError`: for a step that is not positive and finite, an unknown rounding, bits out
            of range, or one bit with "toward_zero" (the pair has no value of smaller size).
        """
        _check_rounding("Uniform", rounding)
        self.step = _positive("Uniform(step=...)", step, "It is the distance of grid values.")
        self.rounding = rounding  # pyright: ignore[reportAttributeAccessIssue]
        self.bits = None if bits is None else _check_bits("Uniform", bits)
        if self.bits == 1 and rounding == "toward_zero":
            raise ValueError(
                '`Uniform(rounding="toward_zero")` must have at least 2 bits; got 1. Use '
                '`rounding="nearest"`, or 2 bits.'
            )

    @classmethod
    def from_bits(
        cls,
        bits: int,
        magnitude: ArrayLike,
        rounding: str = "nearest",
    ) -> "Uniform":
        r"""The symmetric grid of `bits` bits whose last values are $\pm$`magnitude`.

        The step is magnitude/q with $q = 2^{bits-1} - 1$, so the largest parameter lies on the
        grid (up to one rounding) and not on a rounding tie. One bit gives $\pm$magnitude/2.

        **Arguments:**

        - `bits`: bits for one parameter, 1 to 53.
        - `magnitude`: largest absolute parameter, positive and finite; a scalar or an array that
            broadcasts to the parameter. May be traced.
        - `rounding`: "nearest", "floor" or "toward_zero".

        **Returns:**

        The bounded `Uniform` quantizer.

        **Raises:**

        - `ValueError`: for bits or a magnitude out of range.
        """
        bits = _check_bits("Uniform.from_bits", bits)
        magnitude = _positive(
            "Uniform.from_bits(magnitude=...)", magnitude, "Leave out parameters that are all zero."
        )
        largest = float(max(1, 2 ** (bits - 1) - 1))
        if isinstance(magnitude, jax.Array):
            # Under jit a constant divisor becomes a rounded reciprocal, and the step another one.
            step = magnitude / jnp.where(jnp.isnan(magnitude), magnitude, largest)
        else:
            step = magnitude / largest
        return cls(step, rounding, bits=bits)

    @property
    def _lattice(self) -> Lattice:
        if self.bits is None:
            return Lattice(self.rounding)
        if self.bits == 1:
            return Lattice(self.rounding, -1, 0, True)
        highest = 2 ** (self.bits - 1) - 1
        return Lattice(self.rounding, -highest, highest)


class FixedPoint(AbstractUniformGrid):
    r"""Fixed-point numbers: $(-2^{i}, 2^{i}) \cap 2^{-f} \mathbb{Z}$, saturating.

    $i$ is `integer_bits` and $f$ is `fraction_bits`; with the sign, $i + f + 1$ bits for one
    parameter, codes $-(2^{i+f} - 1)$ to $2^{i+f} - 1$. The step is a power of two, so every value
    is exact. Rounding is as in `Uniform`.
    """

    integer_bits: int = eqx.field(static=True)
    fraction_bits: int = eqx.field(static=True)
    rounding: Rounding = eqx.field(static=True)

    def __init__(self, integer_bits: int, fraction_bits: int, rounding: str = "nearest"):
        r"""**Arguments:**

        - `integer_bits`: bits before the point, not negative.
        - `fraction_bits`: bits after the point, not negative.
        - `rounding`: "nearest" (ties to even), "floor" or "toward_zero".

        **Raises:**

        - `ValueError`: for a negative count, none at all, or more than 53 bits together.
        """
        what = "a non-negative integer"
        self.integer_bits = _whole("FixedPoint(integer_bits=...)", integer_bits, 0, what)
        self.fraction_bits = _whole("FixedPoint(fraction_bits=...)", fraction_bits, 0, what)
        _check_rounding("FixedPoint", rounding)
        self.rounding = rounding  # pyright: ignore[reportAttributeAccessIssue]
        if not 2 <= self.bits <= LARGEST_BITS:
            raise ValueError(
                f"`FixedPoint(integer_bits, fraction_bits)` must have 1 to {LARGEST_BITS - 1} bits "
                f"together, besides the sign; got {self.bits - 1}."
            )

    @property
    def step(self) -> float:
        """The grid spacing, two to the power of minus `fraction_bits`."""
        return 2.0**-self.fraction_bits

    @property
    def bits(self) -> int:
        """Bits for one parameter, the sign included."""
        return self.integer_bits + self.fraction_bits + 1

    @property
    def _lattice(self) -> Lattice:
        highest = 2 ** (self.integer_bits + self.fraction_bits) - 1
        return Lattice(self.rounding, -highest, highest)


def paper_grid(a: int, b: int, rounding: str = "nearest") -> FixedPoint:
    r"""The papers' grid $\mathcal{Q}_a^b = (-2^{a+1}, 2^{a+1}) \cap 2^{-b} \mathbb{Z}$.

    **Arguments:**

    - `a`: bits before the point beyond the first, at least -1.
    - `b`: bits after the point, not negative.
    - `rounding`: "nearest" (ties to even), "floor" or "toward_zero".

    **Returns:**

    `FixedPoint(a + 1, b)`, with $a + b + 2$ bits.
    """
    a = _whole("paper_grid(a=...)", a, -1, "an integer of at least -1")
    return FixedPoint(a + 1, b, rounding)
