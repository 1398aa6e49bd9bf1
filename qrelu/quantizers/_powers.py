"""Zero and the signed powers of two: products become shifts."""

import functools
import math
from typing import Any

import equinox as eqx
import numpy as np

from .._misc import plain
from ._arguments import whole
from ._table import AbstractTable

MOST_BITS = 11  # 1,023 exponents: one bit more exceeds what float64 has


class PowersOfTwo(AbstractTable):
    r"""The grid of zero and $\pm 2^k$ for $2^{bits-1} - 1$ exponents up to `largest`.

    Rounding is to the nearest in value, not in exponent: between $2^k$ and $2^{k+1}$ the middle
    $1.5 \cdot 2^k$ decides, and a tie goes to the smaller size. Codes are signed: 0 for zero,
    and $\pm 1$ to $\pm(2^{bits-1} - 1)$ from the smallest power to the largest.
    """

    _bits: int = eqx.field(converter=plain, static=True)
    largest: int = eqx.field(converter=plain, static=True)

    def __init__(self, bits: int | np.integer, largest: int | np.integer = 0):
        r"""**Arguments:**

        - `bits`: bits for one parameter, 2 to 11. All powers must be normal numbers of the type
            of the parameters: at most 8 bits for float32.
        - `largest`: the largest exponent $k$.

        **Raises:**

        - `ValueError`: for bits out of range, or exponents that float64 does not have.
        """
        self._bits = whole("PowersOfTwo(bits=...)", bits, 2, "a whole number from 2 to 11")
        if self._bits > MOST_BITS:
            raise ValueError(
                f"`PowersOfTwo(bits=...)` must be a whole number from 2 to {MOST_BITS}; got {bits}."
            )
        self.largest = whole("PowersOfTwo(largest=...)", largest, -1021, "an exponent of float64")
        if not -1022 <= self.smallest <= self.largest <= 1023:
            raise ValueError(
                f"`PowersOfTwo(bits, largest)` must have exponents from -1022 to 1023; got "
                f"{self.smallest} to {self.largest}. Use fewer bits or another largest exponent."
            )

    @classmethod
    def from_magnitude(cls, bits: int, magnitude: float) -> "PowersOfTwo":
        """The grid whose largest value is the power of two nearest to `magnitude`.

        **Arguments:**

        - `bits`: bits for one parameter, 2 to 11.
        - `magnitude`: largest absolute parameter, positive and finite.

        **Returns:**

        The quantizer.

        **Raises:**

        - `ValueError`: for bits or a magnitude out of range.
        """
        magnitude = float(magnitude)
        if not (math.isfinite(magnitude) and magnitude > 0):
            raise ValueError(
                "`PowersOfTwo.from_magnitude(magnitude=...)` must be positive and finite; got "
                f"{magnitude}."
            )
        fraction, exponent = math.frexp(magnitude)  # fraction in [1/2, 1)
        return cls(bits, exponent if fraction > 0.75 else exponent - 1)

    @property
    def smallest(self) -> int:
        """The smallest exponent."""
        return self.largest - 2 ** (self._bits - 1) + 2

    @property
    def bits(self) -> int:
        """Bits for one parameter."""
        return self._bits

    @property
    def step(self) -> None:
        """None: the grid has no single step."""
        return None

    @property
    def signed(self) -> bool:
        """Whether codes are signed: they are."""
        return True

    @property
    def _values(self) -> Any:
        return _powers(self.smallest, self.largest)

    @property
    def _first(self) -> int:
        return 1 - 2 ** (self._bits - 1)


@functools.cache
def _powers(smallest: int, largest: int) -> np.ndarray:
    powers = np.ldexp(1.0, np.arange(smallest, largest + 1))
    values = np.concatenate([-powers[::-1], [0.0], powers])
    values.flags.writeable = False
    return values
