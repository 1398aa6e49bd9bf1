"""Uniform grids, by step or by bits and magnitude, and fixed point."""

from types import ModuleType
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from .._misc import plain
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
from ._formats import Format
from ._lattice import Lattice, Limits, Rounding

Bits = int | np.integer | np.ndarray | Array


class Uniform(AbstractUniformGrid):
    r"""The grid $\mathrm{step} \cdot \mathbb{Z}$, or with `bits` its $2^{bits} - 1$ central values.

    With `bits` the codes run from $-q$ to $q$, $q = 2^{bits-1} - 1$, and numbers beyond saturate.
    One bit cannot be symmetric around zero and contain it: `bits=1` is the mid-rise pair
    $\pm\mathrm{step}/2$ with the codes $-1$ and $0$, and zero goes to $+\mathrm{step}/2$.

    Rounding: "nearest" takes the code nearest to the exact quotient $x/\mathrm{step}$, ties to the
    even code; "floor" the largest grid value not above $x$; "toward_zero" the grid value of the
    sign of $x$ that is largest with $|q(x)| \le |x|$, so that no entry grows. All three are
    idempotent and monotone, and all send zero to zero when there are two bits or more. Subnormal
    numbers count as zero, in NumPy as in XLA: the floor of a negative one is zero.
    "stochastic" needs a key and takes one of the two neighboring grid values $v \le x \le w$ at
    random, $w$ with probability $(x - v)/(w - v)$, so that the mean is $x$ inside the grid (the
    probability is a multiple of $2^{-23}$, in float64 of $2^{-52}$). Grid values stay.

    Fixed bits are static. Bits that are an array, to sweep or to learn them, are a leaf of the
    pytree and work under `jax.vmap`, with the same values bit for bit; those that are not whole
    count as the nearest whole number, and their gradient is zero.
    """

    step: Any
    rounding: Rounding = eqx.field(static=True)
    _fixed_bits: int | None = eqx.field(converter=plain, static=True)
    _array_bits: Any

    def __init__(
        self,
        step: ArrayLike,
        rounding: str = "nearest",
        *,
        bits: Bits | None = None,
    ):
        r"""**Arguments:**

        - `step`: grid spacing, positive and finite; a scalar, or an array that broadcasts to the
            parameter (for example `(rows, 1)`). May be traced; it is checked where it is concrete.
            Numbers narrower than the step's type use the step rounded to theirs.
        - `rounding`: "nearest", "floor", "toward_zero" or "stochastic".
        - `bits`: bits for one parameter, 1 to 53, or None for the unbounded grid. The type of the
            numbers must hold them: 24 for float32, 11 for float16, 8 for bfloat16. An array, also
            a traced one, must broadcast to the parameter.

        **Raises:**

        - `ValueError`: for a step that is not positive and finite, an unknown rounding, bits out
            of range, or one bit with "toward_zero" (the pair has no value of smaller size).
        """
        check_rounding("Uniform", rounding)
        self.step = positive("Uniform(step=...)", step, "It is the distance of grid values.")
        self.rounding = rounding  # pyright: ignore[reportAttributeAccessIssue]
        checked = None if bits is None else check_bits("Uniform", bits)
        self._fixed_bits = None if is_array(checked) else checked
        self._array_bits = checked if is_array(checked) else None
        concrete = bits is not None and not isinstance(bits, Tracer)
        if rounding == "toward_zero" and concrete and (np.rint(np.asarray(bits)) == 1).any():
            raise ValueError(
                '`Uniform(rounding="toward_zero")` must have at least 2 bits; got 1. Use '
                '`rounding="nearest"`, or 2 bits.'
            )

    @property
    def bits(self) -> Any:
        """Bits for one parameter: what was given."""
        if self._array_bits is not None:
            return self._array_bits
        if self._fixed_bits is None:
            raise ValueError(
                "`Uniform(step).bits` must have a bounded grid; this one is unbounded, and the "
                "bits of its codes depend on the parameters. Use `Uniform(step, bits=...)`, or "
                "`bounds.bits_per_weight(magnitude, step)`."
            )
        return self._fixed_bits

    @property
    def signed(self) -> bool:
        """Whether codes are signed: they are."""
        return True

    @classmethod
    def from_bits(
        cls,
        bits: Bits,
        magnitude: ArrayLike,
        rounding: str = "nearest",
    ) -> "Uniform":
        r"""The symmetric grid of `bits` bits whose last values are $\pm$`magnitude`.

        The step is magnitude/q with $q = 2^{bits-1} - 1$, so the largest parameter lies on the
        grid (up to one rounding) and not on a rounding tie. One bit gives $\pm$magnitude/2.

        **Arguments:**

        - `bits`: bits for one parameter, 1 to 53; an integer or an array.
        - `magnitude`: largest absolute parameter, positive and finite; a scalar or an array that
            broadcasts to the parameter. May be traced.
        - `rounding`: "nearest", "floor", "toward_zero" or "stochastic".

        **Returns:**

        The bounded `Uniform` quantizer.

        **Raises:**

        - `ValueError`: for bits or a magnitude out of range.
        """
        bits = check_bits("Uniform.from_bits", bits)
        magnitude = positive(
            "Uniform.from_bits(magnitude=...)", magnitude, "Leave out parameters that are all zero."
        )
        return cls(_step(bits, magnitude), rounding, bits=bits)

    @property
    def _lattice(self) -> Lattice:
        if self._fixed_bits is None:
            return Lattice(self.rounding)
        if self._fixed_bits == 1:
            return Lattice(self.rounding, -1, 0, True)
        highest = 2 ** (self._fixed_bits - 1) - 1
        return Lattice(self.rounding, -highest, highest)

    def _limits(self, fmt: Format, xp: ModuleType) -> Limits | None:
        if self._array_bits is None:
            return None
        table = _largest(fmt.precision).astype(fmt.working)
        if self.rounding == "toward_zero":
            table[0] = np.nan
        largest = lookup(table, self._array_bits, xp)
        pair = xp.rint(self._array_bits) == 1
        zero, half = fmt.working(0), fmt.working(0.5)
        return Limits(-largest, xp.where(pair, largest - 1, largest), xp.where(pair, half, zero))

    @property
    def _zero(self) -> int:
        return 0


def _largest(most: int) -> np.ndarray:
    """What the magnitude is divided by, for 1 to `most` bits: the last code, or 1."""
    return np.maximum(1, 2.0 ** np.arange(most) - 1)


def _step(bits: Any, magnitude: Any) -> Any:
    if not is_array(bits):
        return divide(magnitude, float(max(1, 2 ** (bits - 1) - 1)))
    if not is_array(magnitude):
        # One table of float64 quotients: fixed bits divide in float64 too.
        table = magnitude / _largest(LARGEST_BITS)
        return lookup(table, bits, jnp if isinstance(bits, Tracer) else np)
    xp = jnp if isinstance(bits, Tracer) or not isinstance(magnitude, np.ndarray) else np
    return divide(xp.asarray(magnitude), lookup(_largest(LARGEST_BITS), bits, xp))


class FixedPoint(AbstractUniformGrid):
    r"""Fixed-point numbers: $(-2^{i}, 2^{i}) \cap 2^{-f} \mathbb{Z}$, saturating.

    $i$ is `integer_bits` and $f$ is `fraction_bits`; with the sign, $i + f + 1$ bits for one
    parameter, codes $-(2^{i+f} - 1)$ to $2^{i+f} - 1$. The step is a power of two, so every value
    is exact. Rounding is as in `Uniform`.
    """

    integer_bits: int = eqx.field(converter=plain, static=True)
    fraction_bits: int = eqx.field(converter=plain, static=True)
    rounding: Rounding = eqx.field(static=True)

    def __init__(
        self,
        integer_bits: int | np.integer,
        fraction_bits: int | np.integer,
        rounding: str = "nearest",
    ):
        r"""**Arguments:**

        - `integer_bits`: bits before the point, not negative.
        - `fraction_bits`: bits after the point, not negative.
        - `rounding`: "nearest" (ties to even), "floor", "toward_zero" or "stochastic".

        **Raises:**

        - `ValueError`: for a negative count, none at all, or more than 53 bits together.
        """
        what = "a non-negative integer"
        self.integer_bits = whole("FixedPoint(integer_bits=...)", integer_bits, 0, what)
        self.fraction_bits = whole("FixedPoint(fraction_bits=...)", fraction_bits, 0, what)
        check_rounding("FixedPoint", rounding)
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
    def signed(self) -> bool:
        """Whether codes are signed: they are."""
        return True

    @property
    def _lattice(self) -> Lattice:
        highest = 2 ** (self.integer_bits + self.fraction_bits) - 1
        return Lattice(self.rounding, -highest, highest)

    def _limits(self, fmt: Format, xp: ModuleType) -> Limits | None:
        return None

    @property
    def _zero(self) -> int:
        return 0


def paper_grid(a: int, b: int, rounding: str = "nearest") -> FixedPoint:
    r"""The papers' grid $\mathcal{Q}_a^b = (-2^{a+1}, 2^{a+1}) \cap 2^{-b} \mathbb{Z}$.

    **Arguments:**

    - `a`: bits before the point beyond the first, at least -1.
    - `b`: bits after the point, not negative.
    - `rounding`: "nearest" (ties to even), "floor", "toward_zero" or "stochastic".

    **Returns:**

    `FixedPoint(a + 1, b)`, with $a + b + 2$ bits.
    """
    a = whole("paper_grid(a=...)", a, -1, "an integer of at least -1")
    return FixedPoint(a + 1, b, rounding)
