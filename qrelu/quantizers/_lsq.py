"""Grids whose step is trained, begun as the authors of LSQ begin."""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._misc import plain
from ._abstract import AbstractQuantizer
from ._arguments import check_bits, whole
from ._calibration import AbstractCalibration
from ._gradients import LearnedStep
from ._uniform import Uniform


class LSQ(AbstractCalibration):
    r"""Learned step size quantization: `LearnedStep` grids, one trained step (or more) per array.

    The first step is $2\,\mathrm{mean}|w|/\sqrt{q_{max}}$ with $q_{max}$ the largest code (at least
    1). `wrap` computes it once and makes it a parameter; `quantize` uses it as it is.

    **Reference:** [esser2020], section 2.1, recalled.
    """

    bits: int = eqx.field(converter=plain, static=True)
    granularity: Literal["tensor", "channel"] = eqx.field(static=True)
    axis: int = eqx.field(converter=plain, static=True)

    def __init__(
        self, bits: int | np.integer, granularity: str = "tensor", *, axis: int | np.integer = 0
    ):
        r"""**Arguments:**

        - `bits`: bits for one parameter.
        - `granularity`: "tensor" for one step per array, "channel" for one per index of `axis`,
            by default the outputs of an Equinox layer.
        - `axis`: the axis of the channels.

        **Raises:**

        - `ValueError`: for bits out of range or another granularity.
        """
        if granularity not in ("tensor", "channel"):
            raise ValueError(
                f'`LSQ(granularity=...)` must be "tensor" or "channel"; got {granularity!r}.'
            )
        whole("LSQ(bits=...)", bits, 1, "a whole number of at least 1")
        self.bits = check_bits("LSQ", int(bits))
        self.granularity = granularity  # pyright: ignore[reportAttributeAccessIssue]
        self.axis = plain(axis)

    def grids(self, arrays: Sequence[Array | np.ndarray]) -> list[AbstractQuantizer]:
        """One grid for each array; arrays that are all zero begin with the step 1."""
        return [self._grid(x) for x in arrays]

    def _grid(self, x: Any) -> LearnedStep:
        axes = None
        if self.granularity == "channel" and x.ndim > 1:
            axes = tuple(a for a in range(x.ndim) if a != self.axis % x.ndim)
        magnitude = jnp.abs(jax.lax.stop_gradient(jnp.asarray(x)))
        magnitude = magnitude.astype(jnp.promote_types(magnitude.dtype, jnp.float32))
        count = max(1, x.size if axes is None else int(np.prod([x.shape[a] for a in axes])))
        mean = jnp.sum(magnitude, axis=axes, keepdims=axes is not None) / count
        step = 2 * mean / np.sqrt(max(1, 2 ** (self.bits - 1) - 1))
        return LearnedStep(Uniform(jnp.where(step == 0, 1, step), bits=self.bits))
