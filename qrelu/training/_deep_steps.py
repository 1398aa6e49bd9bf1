"""Levenberg-Marquardt for a batch of deep networks with one output."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HIGH = jax.lax.Precision.HIGHEST
# The dampings that are tried in every step, relative to the last one that helped; if none helps,
# the next step begins with a larger one.
_TRIED = (0.1, 1.0, 10.0)
_LARGER = 30.0
_FIRST, _LEAST, _MOST = 1e-2, 1e-10, 1e6
# Diagonal entries below this share of the largest one are damped as if they were as large.
_SMALL = 1e-8


def _layers(vector: Array, widths: tuple[int, ...]) -> list[tuple[Array, Array]]:
    layers, i = [], 0
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers.append((vector[i : i + a * b].reshape(b, a), vector[i + a * b : i + a * b + b]))
        i += a * b + b
    return layers


def product(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision=_HIGH)


def loss_of(vector: Array, widths: tuple[int, ...], x: Array, y: Array, root: Array) -> Array:
    h = jnp.atleast_2d(x)
    for k, (w, b) in enumerate(_layers(vector, widths)):
        h = product(w, jnp.maximum(h, 0) if k else h) + b[:, None]
    return jnp.sum(jnp.square((h[0] - y) * root))


def linearized(vector: Array, widths: tuple[int, ...], x: Array) -> tuple[Array, Array]:
    """The values (n,) and their derivatives (P, n): backpropagation for all points at once."""
    layers = _layers(vector, widths)
    inputs, on = [jnp.atleast_2d(x)], []
    for w, b in layers[:-1]:
        h = product(w, inputs[-1]) + b[:, None]
        on.append((h > 0).astype(h.dtype))
        inputs.append(jnp.maximum(h, 0))
    w, b = layers[-1]
    out = (product(w, inputs[-1]) + b[:, None])[0]
    back, rows = jnp.ones_like(out)[None], []
    for k in reversed(range(len(layers))):
        by_weights = (back[:, None, :] * inputs[k][None, :, :]).reshape(-1, out.size)
        rows = [by_weights, back, *rows]
        if k:
            back = product(layers[k][0].T, back) * on[k - 1]
    return out, jnp.concatenate(rows)


# One matrix after the other. On a CPU, jaxlib 0.10 factorizes a batch of matrices in tasks of a
# pool of threads, in a call that may itself hold one of them while it waits: with as many such
# calls at once as there are threads, two on two cores, nothing goes on for ever.
@jax.custom_batching.sequential_vmap
def _solved(matrix: Array, right: Array) -> Array:
    return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix), right)


@partial(jax.jit, static_argnames="widths")
def marquardt(
    vectors: Float[Array, "batch parameters"],
    x: Float[Array, "*d n"],
    y: Float[Array, " n"],
    root: Float[Array, " n"],
    widths: tuple[int, ...],
    steps: int | Array,
) -> tuple[Float[Array, "batch parameters"], Float[Array, " batch"]]:
    r"""Vectors after some steps, with $\sum_i (R(x_i) - y_i)^2 w_i$, `root` the roots of w.

    A step solves the scaled normal equations for three dampings and takes the best result.
    """
    tried = jnp.array(_TRIED, x.dtype)

    def step(vector: Array, damping: Array, loss: Array) -> tuple[Array, Array, Array]:
        out, rows = linearized(vector, widths, x)
        rows = rows * root[None, :]
        squares = jnp.sum(jnp.square(rows), axis=1)
        scale = jax.lax.rsqrt(jnp.maximum(squares, _SMALL * jnp.max(squares)) + 1e-30)
        rows = rows * scale[:, None]
        matrix, right = product(rows, rows.T), product(rows, (out - y) * root)
        dampings = damping * tried

        def solve(size: Array) -> Array:
            eye = jnp.eye(right.size, dtype=right.dtype)
            return vector - scale * _solved(matrix + size * eye, right)

        trials = jax.vmap(solve)(dampings)
        losses = jax.vmap(lambda v: loss_of(v, widths, x, y, root))(trials)
        losses = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
        best = jnp.argmin(losses)
        better = losses[best] < loss
        damping = jnp.where(better, dampings[best], _LARGER * damping)
        return (
            jnp.where(better, trials[best], vector),
            jnp.clip(damping, _LEAST, _MOST),
            jnp.where(better, losses[best], loss),
        )

    losses = jax.vmap(lambda v: loss_of(v, widths, x, y, root))(vectors)
    dampings = jnp.full(vectors.shape[0], _FIRST, x.dtype)
    state = (vectors, dampings, losses)
    vectors, _, losses = jax.lax.fori_loop(0, steps, lambda _, s: jax.vmap(step)(*s), state)
    return vectors, losses
