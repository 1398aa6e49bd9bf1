"""Other gradients for the same values: clipped straight-through, and a step that is learned."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._abstract import AbstractQuantizer, AbstractUniformGrid, Codes, Floats

# A learned step is kept away from zero by the smallest step of float32 grids: the last bit of a
# smaller one is subnormal, 2^23 being the weight of the first bit against the last.
SMALLEST_LEARNED_STEP = float(np.finfo(np.float32).tiny) * 2.0**23


@jax.custom_jvp
def _gate(x: Any, inside: Any) -> Any:
    """The number itself, with a gradient inside only."""
    return x


@_gate.defjvp
def _(primals, tangents):
    x, inside = primals
    return _gate(x, inside), jnp.where(inside, tangents[0], 0)


class Clipped(AbstractQuantizer):
    r"""A grid with the clipped straight-through gradient.

    The values are those of the grid `q`, bit for bit. The gradient is 1 from the smallest to the
    largest grid value, both included, and 0 beyond, where a small change of the number does not
    change the saturated value; second derivatives are zero. On an unbounded grid it is 1.
    """

    q: AbstractQuantizer

    def __init__(self, q: AbstractQuantizer):
        r"""**Arguments:**

        - `q`: the quantizer.

        **Raises:**

        - `TypeError`: if `q` is no quantizer; a calibration has no range before it sees numbers.
        """
        if not isinstance(q, AbstractQuantizer):
            raise TypeError(
                f"`Clipped(q)` must get a quantizer; got {type(q).__name__}. A grid that follows "
                "the parameters has hardly any beyond it; for a fixed one use, for example, "
                "`Clipped(calibration.grid(x))`."
            )
        self.q = q

    @property
    def step(self) -> Any:
        """The step of the grid."""
        return self.q.step

    @property
    def bits(self) -> Any:
        """Bits for one parameter."""
        return self.q.bits

    @property
    def signed(self) -> bool:
        """Whether codes are signed."""
        return self.q.signed

    @property
    def rounding(self) -> Any:
        """How the grid rounds."""
        return getattr(self.q, "rounding", None)

    @property
    def range(self) -> tuple[Any, Any]:
        """The smallest and the largest grid value."""
        return self.q.range

    def __call__(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.floating:
        """The grid value of every number, with the clipped straight-through gradient."""
        if isinstance(x, jax.Array):
            lower, upper = (_aligned(b, x.ndim).astype(x.dtype) for b in self.q.range)
            x = _gate(x, (lower <= x) & (x <= upper))
        return self.q(x, key)

    def encode(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.integer:
        """The codes of the grid."""
        return self.q.encode(x, key)

    def decode(self, codes: Codes, dtype: Any = None) -> Array | np.ndarray | np.floating:
        """The grid values of codes."""
        return self.q.decode(codes, dtype)


@jax.custom_jvp
def mirrored(latent: Any) -> Any:
    """The size of a number, at least the smallest step; its slope is never zero."""
    return jnp.maximum(abs(latent), SMALLEST_LEARNED_STEP)


@mirrored.defjvp
def _(primals, tangents):
    (latent,), (tangent,) = primals, tangents
    return mirrored(latent), jnp.where(latent < 0, -tangent, tangent)


@jax.custom_jvp
def _learned(value: Any, x: Any, step: Any, inside: Any, slope: Any) -> Any:
    """A grid value whose gradient is 1 inside in x, and the slope in the step."""
    return value


# The coefficients are constants of the rule, so that second derivatives vanish.
@_learned.defjvp
def _(primals, tangents):
    value, _, _, inside, slope = map(jax.lax.stop_gradient, primals)
    along_step = slope * tangents[2].astype(slope.dtype)
    tangent = jnp.where(inside, tangents[1], 0) + along_step.astype(value.dtype)
    return _learned(*primals), tangent


class LearnedStep(AbstractQuantizer):
    r"""A bounded uniform grid whose step is trained, with the gradient of LSQ.

    The values are those of the grid with the present step $s$, bit for bit. Where $x$ lies
    strictly between the smallest and the largest grid value, $\partial q/\partial x = 1$ and
    $\partial q/\partial s = (q(x) - x)/s$, the rounding error in steps; elsewhere
    $\partial q/\partial x = 0$ and $\partial q/\partial s = q(x)/s$, the last code. The gradient
    of the step is multiplied by $1/\sqrt{n\, q_{max}}$, with $n$ the numbers that share a step and
    $q_{max}$ the largest code (at least 1), in forward mode too. Second derivatives are zero.

    The trainable leaf is `latent_step`, and $s$ its absolute value (at least $10^{-31}$): an
    optimizer that steps across zero finds the mirrored grid there and a gradient that leads back.

    **Reference:** [esser2020], equations (1) to (5), recalled; the mirror is our own.
    """

    grid: AbstractUniformGrid
    latent_step: Array
    scaled: bool = eqx.field(static=True)

    def __init__(self, q: AbstractUniformGrid, *, scaled: bool = True):
        r"""**Arguments:**

        - `q`: a bounded uniform grid by its step, such as `Uniform(step, bits=4)`. Its step is
            where the training begins; an array has one step for each of its entries.
        - `scaled`: whether the gradient of the step is multiplied by $1/\sqrt{n\, q_{max}}$.

        **Raises:**

        - `TypeError`: if `q` is no uniform grid with a step of its own.
        - `ValueError`: if the grid is unbounded.
        """
        if not isinstance(q, AbstractUniformGrid) or "step" not in _fields(q):
            raise TypeError(
                f"`LearnedStep(q)` must get a grid that is defined by its step; got "
                f"{type(q).__name__}. Use, for example, `Uniform(step, bits=4)`, or `LSQ(4)` where "
                "the first step comes from the parameters."
            )
        if isinstance(q.range[1], float) and np.isinf(q.range[1]):
            raise ValueError(
                "`LearnedStep(q)` must get a bounded grid, for otherwise the best step is the "
                "smallest. Use, for example, `Uniform(step, bits=4)`."
            )
        self.latent_step = jnp.asarray(q.step)
        self.grid = eqx.tree_at(lambda grid: grid.step, q, None)
        self.scaled = scaled

    @property
    def step(self) -> Array:
        """The present step, positive."""
        return mirrored(self.latent_step)

    @property
    def bits(self) -> Any:
        """Bits for one parameter."""
        return self._present.bits

    @property
    def signed(self) -> bool:
        """Whether codes are signed."""
        return self._present.signed

    @property
    def rounding(self) -> Any:
        """How the grid rounds."""
        return self.grid.rounding

    @property
    def range(self) -> tuple[Any, Any]:
        """The smallest and the largest grid value."""
        return self._present.range

    @property
    def _present(self) -> AbstractUniformGrid:
        return eqx.tree_at(lambda g: g.step, self.grid, self.step, is_leaf=lambda x: x is None)

    def __call__(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.floating:
        """The grid value of every number, with the gradient of LSQ in the number and the step."""
        grid = self._present
        value = grid(x, key)
        if not isinstance(value, jax.Array):
            return value
        x = jnp.asarray(x)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        step = _aligned(grid.step, x.ndim).astype(wide.dtype)
        lower, upper = (_aligned(b, x.ndim).astype(wide.dtype) for b in grid.range)
        inside = (lower < wide) & (wide < upper)
        slope = jnp.where(inside, value.astype(wide.dtype) - wide, value.astype(wide.dtype)) / step
        if self.scaled:
            sharing = max(1, x.size // max(1, step.size))
            slope = slope * jax.lax.rsqrt(sharing * jnp.maximum(1, jnp.rint(upper / step)))
        return _learned(value, x, step, inside, slope)

    def encode(self, x: Floats, key: Any = None) -> Array | np.ndarray | np.integer:
        """The codes of the grid with the present step."""
        return self._present.encode(x, key)

    def decode(self, codes: Codes, dtype: Any = None) -> Array | np.ndarray | np.floating:
        """The grid values of codes with the present step."""
        return self._present.decode(codes, dtype)


def _fields(module: eqx.Module) -> set[str]:
    return {field.name for field in dataclasses.fields(module)}


def _aligned(bound: Any, ndim: int) -> Array:
    """The bound with as many axes as the numbers, so that no rank has to be promoted."""
    bound = jnp.asarray(bound)
    return bound.reshape((1,) * (ndim - bound.ndim) + bound.shape)
