"""Grids that suit given parameters: from the largest, or the largest and the smallest."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .._misc import plain
from ._abstract import AbstractQuantizer
from ._affine import MOST, Affine
from ._arguments import check_bits, check_rounding, is_array
from ._formats import float_format
from ._granularity import Granularity, check_granularity, extremes
from ._lattice import Rounding
from ._uniform import Uniform

Bits = int | np.integer | np.ndarray | Array


class AbstractCalibration(eqx.Module):
    r"""A rule that chooses a grid for given parameters; `quantize` takes it in a grid's place."""

    @abc.abstractmethod
    def grids(self, arrays: Sequence[Array | np.ndarray]) -> list[AbstractQuantizer]:
        """The grids that suit the arrays of one tree, one grid for each array."""

    def grid(self, x: Array | np.ndarray) -> AbstractQuantizer:
        """The grid that suits one array."""
        return self.grids([x])[0]


class AbsMax(AbstractCalibration):
    r"""Symmetric grids whose last values are plus and minus the largest absolute parameter.

    The step is $\max |w| / (2^{bits-1} - 1)$, so the largest parameter is a grid value (up to one
    rounding) and never a tie. The maximum is taken over the parameters that share a step:

    - "tensor": each array has a step.
    - "channel": each entry of `axis` has a step; the default is the first axis, the outputs of an
        Equinox layer. An axis counted from the end describes one layer, and each entry of the axes
        in front of it has steps of its own: `axis=-2` serves `eqx.nn.MLP(scan=True)` and stacked
        networks.
    - "group": consecutive parameters of the last axis, `group_size` at a time, have a step; the
        last group of a row may be shorter. The step then has the shape of the array.
    - "network": all arrays of the tree have one step.

    Arrays with fewer than two axes (biases), and arrays without the axis, have one step each. An
    array or a channel of zeros stays zero: its step is chosen as if the largest were 1 (with one
    bit, which has no zero, the smallest step of the type). No step is below the smallest that the
    type allows, 9.9e-32 for float32.

    The grid depends on the parameters, but no gradient flows through it: rounding is
    straight-through, and the gradient of its values with respect to the step is zero.
    """

    granularity: Granularity = eqx.field(static=True)
    rounding: Rounding = eqx.field(static=True)
    axis: int = eqx.field(converter=plain, static=True)
    group_size: int | None = eqx.field(converter=plain, static=True)
    clip: float = eqx.field(converter=plain, static=True)
    _fixed_bits: int | None = eqx.field(converter=plain, static=True)
    _array_bits: Any

    def __init__(
        self,
        bits: Bits,
        granularity: str = "tensor",
        rounding: str = "nearest",
        *,
        axis: int | np.integer = 0,
        group_size: int | np.integer | None = None,
        clip: float | int | np.number = 1.0,
    ):
        r"""**Arguments:**

        - `bits`: bits for one parameter, 1 to 53; an array is swept or learned as in `Uniform`.
        - `granularity`: "tensor", "channel", "group" or "network".
        - `rounding`: "nearest", "floor", "toward_zero" or "stochastic".
        - `axis`: the axis of the channels.
        - `group_size`: parameters in a group.
        - `clip`: the last grid value as a share of the largest parameter, above 0 and at most 1.
            Less than 1 saturates the largest parameters for the sake of a finer step.

        **Raises:**

        - `ValueError`: for arguments out of range, or a group size without groups.
        """
        checked = check_bits("AbsMax", bits)
        check_granularity("AbsMax", granularity, axis, group_size)
        check_rounding("AbsMax", rounding)
        if isinstance(clip, bool) or not 0 < clip <= 1:
            raise ValueError(f"`AbsMax(clip=...)` must be above 0 and at most 1; got {clip}.")
        self.granularity = granularity  # pyright: ignore[reportAttributeAccessIssue]
        self.rounding = rounding  # pyright: ignore[reportAttributeAccessIssue]
        self.axis, self.group_size, self.clip = plain(axis), plain(group_size), float(clip)
        self._fixed_bits = None if is_array(checked) else checked
        self._array_bits = checked if is_array(checked) else None

    @property
    def bits(self) -> Any:
        """Bits for one parameter: what was given."""
        return self._fixed_bits if self._array_bits is None else self._array_bits

    def grids(self, arrays: Sequence[Array | np.ndarray]) -> list[AbstractQuantizer]:
        """The grids that suit the arrays of one tree, one grid for each array.

        **Arguments:**

        - `arrays`: floating-point arrays; may be traced.

        **Returns:**

        A bounded `Uniform` quantizer for each.

        **Raises:**

        - `ValueError`: for parameters that are NaN or infinite; where they are traced, all that
            share their step become NaN.
        """
        found = extremes("AbsMax", arrays, [_size], self.granularity, self.axis, self.group_size)
        least = _least(self, arrays)
        return [
            self._grid(sizes[0], smallest, isinstance(x, jax.Array))
            for sizes, smallest, x in zip(found, least, arrays, strict=True)
        ]

    def _grid(self, size: Any, least: float, is_jax: bool) -> AbstractQuantizer:
        xp = _module(size, self.bits)
        one_bit = xp.rint(self.bits) == 1
        size = xp.where(size == 0, xp.where(one_bit, least, 1.0).astype(size.dtype), size)
        clipped = size * size.dtype.type(self.clip)
        step = Uniform.from_bits(self.bits, clipped, self.rounding).step
        step = xp.maximum(xp.asarray(step, size.dtype), size.dtype.type(least))
        return Uniform(jnp.asarray(step) if is_jax else step, self.rounding, bits=self.bits)


class MinMax(AbstractCalibration):
    r"""Asymmetric grids from the smallest to the largest parameter, with a zero point.

    The range is widened until it contains zero, which is a grid value. The step is the length of
    the range divided by $2^{bits} - 1$. Granularities, arrays of zeros and gradients are as in
    `AbsMax`; zeros stay zero with one bit too.
    """

    granularity: Granularity = eqx.field(static=True)
    rounding: Rounding = eqx.field(static=True)
    axis: int = eqx.field(converter=plain, static=True)
    group_size: int | None = eqx.field(converter=plain, static=True)
    _fixed_bits: int | None = eqx.field(converter=plain, static=True)
    _array_bits: Any

    def __init__(
        self,
        bits: Bits,
        granularity: str = "tensor",
        rounding: str = "nearest",
        *,
        axis: int | np.integer = 0,
        group_size: int | np.integer | None = None,
    ):
        r"""**Arguments:**

        - `bits`: bits for one parameter, 1 to 52; an array is swept or learned as in `Uniform`.
        - `granularity`: "tensor", "channel", "group" or "network".
        - `rounding`: "nearest", "floor", "toward_zero" or "stochastic".
        - `axis`: the axis of the channels.
        - `group_size`: parameters in a group.

        **Raises:**

        - `ValueError`: for arguments out of range, or a group size without groups.
        """
        checked = check_bits("MinMax", bits, most=MOST)
        check_granularity("MinMax", granularity, axis, group_size)
        check_rounding("MinMax", rounding)
        self.granularity = granularity  # pyright: ignore[reportAttributeAccessIssue]
        self.rounding = rounding  # pyright: ignore[reportAttributeAccessIssue]
        self.axis, self.group_size = plain(axis), plain(group_size)
        self._fixed_bits = None if is_array(checked) else checked
        self._array_bits = checked if is_array(checked) else None

    @property
    def bits(self) -> Any:
        """Bits for one parameter: what was given."""
        return self._fixed_bits if self._array_bits is None else self._array_bits

    def grids(self, arrays: Sequence[Array | np.ndarray]) -> list[AbstractQuantizer]:
        """The grids that suit the arrays of one tree, one grid for each array.

        **Arguments:**

        - `arrays`: floating-point arrays; may be traced.

        **Returns:**

        An `Affine` quantizer for each.

        **Raises:**

        - `ValueError`: for parameters that are NaN or infinite; where they are traced, all that
            share their step become NaN.
        """
        found = extremes(
            "MinMax", arrays, [_depth, _height], self.granularity, self.axis, self.group_size
        )
        least = _least(self, arrays)
        return [
            self._grid(sizes[0], sizes[1], smallest, isinstance(x, jax.Array))
            for sizes, smallest, x in zip(found, least, arrays, strict=True)
        ]

    def _grid(self, depth: Any, height: Any, least: float, is_jax: bool) -> AbstractQuantizer:
        xp = _module(depth, self.bits)
        # The range has 2^bits - 1 steps, none of which may be below the smallest.
        shortest = xp.exp2(xp.asarray(self.bits, depth.dtype)) * depth.dtype.type(least)
        zeros = (depth == 0) & (height == 0)
        height = xp.where(zeros, xp.ones_like(height), xp.maximum(height, shortest - depth))
        grid = Affine.from_range(self.bits, -depth, height, self.rounding)
        if not is_jax:
            return grid
        step, zero_point = jnp.asarray(grid.step, depth.dtype), jnp.asarray(grid.zero_point)
        return Affine(step, zero_point, self.bits, self.rounding)


# Maxima over axes, zero included, so that padding with zeros changes nothing.
def _size(xp: Any, numbers: Any, axes: Any) -> Any:
    return _over(xp, abs(numbers), axes)


def _height(xp: Any, numbers: Any, axes: Any) -> Any:
    return _over(xp, numbers, axes)


def _depth(xp: Any, numbers: Any, axes: Any) -> Any:
    return _over(xp, -numbers, axes)


def _over(xp: Any, numbers: Any, axes: Any) -> Any:
    zero = numbers.dtype.type(0)
    found = xp.max(numbers, axis=axes, keepdims=axes is not None, initial=zero)
    return xp.asarray(found)


def _least(calibration: AbsMax | MinMax, arrays: Sequence[Any]) -> list[float]:
    """The smallest steps of the types; the largest of them where all share a step."""
    least = [float_format(np.dtype(x.dtype)).smallest_step for x in arrays]
    shared = calibration.granularity == "network"
    return [max(least, default=0.0)] * len(least) if shared else least


def _module(value: Any, bits: Any) -> Any:
    is_numpy = isinstance(value, np.ndarray) and not isinstance(bits, Tracer)
    return np if is_numpy else jnp
