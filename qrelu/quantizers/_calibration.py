"""Grids that suit given parameters: from the largest parameter of a tensor, channel or group."""

import abc
from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._abstract import AbstractQuantizer
from ._uniform import Uniform

Granularity = Literal["tensor", "channel", "group", "network"]


class AbstractCalibration(eqx.Module):
    r"""A rule that chooses a grid for given parameters; `quantize` takes it in a grid's place."""

    @abc.abstractmethod
    def grids(self, arrays: Sequence[Array | np.ndarray]) -> list[AbstractQuantizer]:
        """The grids that suit the arrays of one tree, one grid for each array."""

    def grid(self, x: Array | np.ndarray) -> AbstractQuantizer:
        """The grid that suits one array."""
        return self.grids([x])[0]


class AbsMax(AbstractCalibration):
    r"""Symmetric grids of `bits` bits whose last values are the largest parameters."""

    bits: int = eqx.field(static=True)
    granularity: Granularity = eqx.field(static=True, default="tensor")
    rounding: str = eqx.field(static=True, default="nearest")
    axis: int = eqx.field(static=True, default=0, kw_only=True)

    def grids(self, arrays: Sequence[Array | np.ndarray]) -> list[AbstractQuantizer]:
        """One grid for each array."""
        return [self._grid(x) for x in arrays]

    def _grid(self, x: Any) -> AbstractQuantizer:
        xp = jnp if isinstance(x, (jax.Array, Tracer)) else np
        axes = None
        if self.granularity == "channel" and x.ndim > 1:
            axis = self.axis % x.ndim
            kept = range(axis + 1) if self.axis < 0 else (axis,)
            axes = tuple(a for a in range(x.ndim) if a not in kept)
        magnitude = xp.max(abs(x), axis=axes, keepdims=axes is not None, initial=0)
        magnitude = xp.where(magnitude == 0, xp.ones_like(magnitude), magnitude)
        return Uniform.from_bits(self.bits, magnitude, self.rounding)
