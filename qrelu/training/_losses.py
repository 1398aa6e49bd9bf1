"""What is made small: losses of predictions, labels and weights."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .._misc import plain

# The exponent that stands for the largest error: smooth, and 4,096 equal weights cost it a factor
# of 4096^(1/32) = 1.3 only.
SUP_POWER = 32.0


class Power(eqx.Module):
    r"""$\sum_i w_i |R(x_i) - y_i|^p$, summed over outputs; for large p the norm itself.

    For p up to 8 the p-th power is minimized as it is; beyond, powers of small errors underflow, so
    the p-th root is taken after the largest error is divided out.
    """

    p: float = eqx.field(converter=plain, static=True)

    def __call__(
        self, predictions: Float[Array, "n outputs"], y: Any, weights: Float[Array, " n"]
    ) -> Float[Array, ""]:
        """The loss of one batch."""
        errors = jnp.abs(predictions - y)
        if self.p == 2:
            return jnp.sum(weights[:, None] * jnp.square(errors))
        if self.p <= 8:
            return jnp.sum(weights[:, None] * errors**self.p)
        # The norm does not depend on what is divided out, so that it needs no derivative.
        largest = jax.lax.stop_gradient(jnp.max(errors))
        largest = jnp.maximum(largest, jnp.finfo(errors.dtype).tiny)
        total = jnp.sum(weights[:, None] * (errors / largest) ** self.p)
        # The root has no derivative at zero: where all errors vanish, it is taken elsewhere.
        root = jnp.where(total > 0, total, 1.0) ** (1 / self.p)
        return largest * jnp.where(total > 0, root, 0.0)


class CrossEntropy(eqx.Module):
    """The mean cross entropy of logits and whole-number labels."""

    def __call__(
        self, predictions: Float[Array, "n classes"], y: Any, weights: Float[Array, " n"]
    ) -> Float[Array, ""]:
        """The loss of one batch."""
        losses = optax.softmax_cross_entropy_with_integer_labels(predictions, y)
        return jnp.sum(weights * losses)


class Own(eqx.Module):
    """A function of predictions and labels that a user passed."""

    function: Callable = eqx.field(static=True)

    def __call__(self, predictions: Any, y: Any, weights: Any) -> Any:
        """The loss of one batch."""
        found = self.function(predictions, y)
        if jnp.shape(found) != ():
            raise ValueError(
                "`fit(loss=...)` must return one number for all points; got an array of shape "
                f"{jnp.shape(found)}. Take its mean."
            )
        return jnp.asarray(found)


def as_loss(loss: Any) -> Power | CrossEntropy | Own:
    """The loss of a name, an exponent or a function."""
    named = {"l1": 1.0, "l2": 2.0, "sup": SUP_POWER}
    if isinstance(loss, str) and loss in named:
        return Power(named[loss])
    if isinstance(loss, str) and loss == "cross_entropy":
        return CrossEntropy()
    number = isinstance(loss, int | float | np.number) and not isinstance(loss, bool)
    if number and 1 <= float(loss) < float("inf"):
        return Power(float(loss))
    if callable(loss):
        return Own(loss)
    raise ValueError(
        '`fit(loss=...)` must be "l1", "l2", "sup", "cross_entropy", an exponent p >= 1 or a '
        f"function of predictions and labels; got {loss!r}."
    )
