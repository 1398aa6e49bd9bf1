"""The quantized ReLU, for networks that will run in integers."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from .._misc import plain
from ._affine import MOST, Affine
from ._arguments import check_bits, divide, whole
from ._gradients import LearnedStep, mirrored

Learn = Literal["nothing", "range", "step"]
LEARNS = ("nothing", "range", "step")


@jax.custom_jvp
def _saturating(value: Any, x: Any, upper: Any) -> Any:
    """A grid value whose gradient is 1 in x below the range's end, and 1 in the end beyond it."""
    return value


@_saturating.defjvp
def _(primals, tangents):
    value, x, upper = primals
    _, x_tangent, upper_tangent = tangents
    along = jnp.where(x >= upper, upper_tangent, jnp.where(x > 0, x_tangent, 0))
    return _saturating(value, x, upper), along


class QuantizedReLU(eqx.Module):
    r"""The ReLU followed by a grid of the codes $0, \dots, 2^{bits} - 1$ with zero point 0.

    $x \mapsto s \cdot \mathrm{clip}(\mathrm{round}(x/s), 0, 2^{bits}-1)$, exactly the values of
    `Affine(s, 0, bits)`, so that a layer may hand integers to the next. The gradient in $x$ is 1
    strictly inside the range and 0 elsewhere. What is trained beside it:

    - `learn="nothing"`: the range is fixed and no leaf of the pytree.
    - `learn="range"`: the largest value $\alpha = (2^{bits}-1) s$, with gradient 1 where
        $x \ge \alpha$ and 0 elsewhere (PACT). Only activations beyond it move it; its authors
        decay it, so that it shrinks too.
    - `learn="step"`: the step $s$ with the gradient of LSQ, see `LearnedStep`.

    It is called on numbers of any shape, which share the range. `eqx.nn.MLP(activation=...)` makes
    a copy for every neuron, and learns each range for itself; a range for the layer is a
    `QuantizedReLU` of your own module.

    **Reference:** [choi2018] for the learned range, [esser2020] for the learned step, recalled.
    """

    learned: Any
    fixed: float | None = eqx.field(converter=plain, static=True)
    bits: int = eqx.field(converter=plain, static=True)
    learn: Learn = eqx.field(static=True)

    def __init__(self, bits: int | np.integer, upper: Any, *, learn: str = "nothing"):
        r"""**Arguments:**

        - `bits`: bits for one activation, unsigned. 8 bits are the codes 0 to 255.
        - `upper`: the largest value, positive; where training begins if it is learned.
        - `learn`: "nothing", "range" or "step".

        **Raises:**

        - `ValueError`: for bits or a range out of bounds, or an unknown `learn`.
        """
        if learn not in LEARNS:
            raise ValueError(
                f'`QuantizedReLU(learn=...)` must be "nothing", "range" or "step"; got {learn!r}.'
            )
        if np.ndim(upper) != 0:
            raise ValueError(
                "`QuantizedReLU(upper=...)` must be one number; got the shape "
                f"{np.shape(upper)}. Use `jax.vmap` for one range per neuron."
            )
        if not isinstance(upper, Tracer) and not 0 < float(upper) < float("inf"):
            raise ValueError(
                f"`QuantizedReLU(upper=...)` must be positive and finite; got {upper}. It is the "
                "largest value, for example the largest of some activations."
            )
        whole("QuantizedReLU(bits=...)", bits, 1, "a whole number of at least 1")
        self.bits = check_bits("QuantizedReLU", int(bits), most=MOST)
        self.learn = learn  # pyright: ignore[reportAttributeAccessIssue]
        self.fixed = None
        if learn == "nothing":
            if isinstance(upper, Tracer):
                raise ValueError(
                    '`QuantizedReLU(upper=..., learn="nothing")` must get a number that is known '
                    'when the function is traced. Use `learn="range"` for an array.'
                )
            self.learned, self.fixed = None, float(upper) / (2**self.bits - 1)
        elif learn == "range":
            self.learned = _floats(upper)
        else:
            step = divide(_floats(upper), 2.0**self.bits - 1)
            self.learned = LearnedStep(Affine(step, 0, self.bits))

    @classmethod
    def from_samples(
        cls, bits: int, samples: Any, *, quantile: float = 1.0, learn: str = "nothing"
    ) -> "QuantizedReLU":
        r"""The quantized ReLU whose range suits given activations.

        **Arguments:**

        - `bits`: bits for one activation, unsigned.
        - `samples`: activations before or after the ReLU, of any shape; concrete.
        - `quantile`: the part of the positive samples that the range contains; a little less than
            1 leaves outliers out.
        - `learn`: "nothing", "range" or "step".

        **Returns:**

        The activation with `upper` at the quantile of the positive samples.

        **Raises:**

        - `ValueError`: if no sample is positive, one is not finite, or for a quantile that is not
            in (0, 1].
        """
        numbers = np.asarray(samples, np.float64).ravel()
        if not 0 < quantile <= 1:
            raise ValueError(
                "`QuantizedReLU.from_samples(quantile=...)` must be above 0 and at most 1; got "
                f"{quantile}."
            )
        if not np.isfinite(numbers).all() or not (numbers > 0).any():
            raise ValueError(
                "`QuantizedReLU.from_samples(samples=...)` must be finite and have a positive "
                "number, for otherwise the ReLU is zero. Use activations of typical inputs."
            )
        return cls(bits, float(np.quantile(numbers[numbers > 0], quantile)), learn=learn)

    @property
    def grid(self) -> Any:
        """The quantizer of the activations; `grid.encode` gives the integers of a layer."""
        if self.learn == "nothing":
            return Affine(self.fixed, 0, self.bits)  # pyright: ignore[reportArgumentType]
        if self.learn == "range":
            return Affine(divide(mirrored(self.learned), 2.0**self.bits - 1), 0, self.bits)
        return self.learned

    @property
    def step(self) -> Any:
        """The present step."""
        return self.grid.step

    @property
    def upper(self) -> Any:
        """The present largest value."""
        return self.grid.range[1]

    def __call__(self, x: ArrayLike, *, key: Any = None) -> Array:
        """The grid value of the ReLU of every number, in the shape of `x`; `key` is not used."""
        x = jnp.asarray(x)
        grid = self.grid
        if self.learn == "step":
            return grid(x)
        upper = mirrored(self.learned) if self.learn == "range" else jnp.asarray(grid.range[1])
        upper = upper.astype(x.dtype).reshape((1,) * x.ndim)
        return _saturating(grid(x), x, upper)


def _floats(number: Any) -> Array:
    """A Python number in the default type of JAX, an array in its own."""
    return jnp.asarray(number, jnp.result_type(number, float) if np.isscalar(number) else None)
