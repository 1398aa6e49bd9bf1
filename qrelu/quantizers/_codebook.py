"""Any finite set of values, given or the best for given weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from ._arguments import is_array, whole
from ._clusters import best_values
from ._formats import float_format
from ._table import AbstractTable


class Codebook(AbstractTable):
    r"""The grid of given values: codes are their indices in ascending order.

    Codes are not negative and take $\lceil \log_2 n \rceil$ bits for $n$ values (one for a single
    value): `pack` takes them with `signed=False`.
    """

    values: Any

    def __init__(self, values: ArrayLike | list | tuple):
        r"""**Arguments:**

        - `values`: real numbers, finite and at least one; they are sorted, and equal ones merged.
            Traced values are sorted and must be different, finite and not subnormal.

        **Raises:**

        - `ValueError`: for no values, and for NaN or infinity among them.
        - `TypeError`: for values that are not real numbers.
        """
        if isinstance(values, Tracer):
            if values.ndim != 1 or values.size == 0:
                raise ValueError(
                    "`Codebook(values)` must get a vector of at least one value; got the shape "
                    f"{values.shape}."
                )
            self.values = jnp.sort(values)
            return
        array = np.asarray(values)
        if array.dtype.kind in "iu":
            array = array.astype(np.float64)
        if array.size and not jnp.issubdtype(array.dtype, np.floating):
            raise TypeError(f"`Codebook(values)` must get real numbers; got {array.dtype}.")
        if array.size == 0 or not np.isfinite(array).all():
            got = f"{array.size} values, some NaN or infinite" if array.size else "none"
            raise ValueError(
                f"`Codebook(values)` must get at least one value, all finite; got {got}."
            )
        array = np.unique(array) + array.dtype.type(0)  # no -0.0
        self.values = jnp.asarray(array) if isinstance(values, jax.Array) else array

    @classmethod
    def optimal(cls, weights: Array | np.ndarray, count: int, *, zero: bool = False) -> "Codebook":
        r"""The codebook of at most `count` values with the least sum of squared errors.

        This is k-means in one dimension, solved exactly (up to float64 arithmetic) by dynamic
        programming: the optimal sets are intervals of the sorted weights, and the best start of
        the last interval does not decrease with its end. It takes $O(k\,n \log n)$ time and
        $4 k n$ bytes for n different weights and k values: about 1 s for $10^5$ weights and 16
        values, 16 s for $10^6$, on one core; one and a half times that with `zero`.

        **Arguments:**

        - `weights`: finite floating-point numbers of any shape, at least one. Subnormal numbers
            count as zero.
        - `count`: the number of values, at least 1; $2^{bits}$ for codes of `bits` bits.
        - `zero`: whether zero must be a value, so that zero weights stay zero.

        **Returns:**

        The `Codebook`, with values in the type of the weights. It has fewer values where there
        are fewer different weights.

        **Raises:**

        - `ValueError`: for no weights, weights that are not finite, or a count below 1.

        **Reference:** [gronlund2017], the divide and conquer algorithm; the variant with zero is
        derived.
        """
        count = whole("Codebook.optimal(count=...)", count, 1, "a whole number of at least 1")
        numbers = np.asarray(weights)
        if not is_array(weights) or not jnp.issubdtype(numbers.dtype, np.floating):
            raise TypeError(
                "`Codebook.optimal(weights, count)` must get an array of floating-point numbers; "
                f"got {numbers.dtype if is_array(weights) else type(weights).__name__}."
            )
        if numbers.size == 0 or not np.isfinite(numbers).all():
            raise ValueError(
                "`Codebook.optimal(weights, count)` must get at least one weight, all finite; got "
                f"{numbers.size} weights{', some NaN or infinite' if numbers.size else ''}."
            )
        tiny = float_format(numbers.dtype).tiny
        points, multiplicities = np.unique(
            _without_subnormals(numbers.reshape(-1).astype(np.float64), tiny), return_counts=True
        )
        values = best_values(points, multiplicities.astype(np.float64), count, zero)
        values = _without_subnormals(values, tiny).astype(numbers.dtype)
        return cls(jnp.asarray(values) if isinstance(weights, jax.Array) else values)

    @property
    def bits(self) -> int:
        """Bits for one code."""
        return max(1, (self.values.shape[0] - 1).bit_length())

    @property
    def step(self) -> None:
        """None: the grid has no single step."""
        return None

    @property
    def signed(self) -> bool:
        """Whether codes are signed: they are not."""
        return False

    @property
    def _values(self) -> Any:
        return self.values

    @property
    def _first(self) -> int:
        return 0


def _without_subnormals(numbers: np.ndarray, tiny: float) -> np.ndarray:
    return np.where(np.abs(numbers) < tiny, 0.0, numbers)
