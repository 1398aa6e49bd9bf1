"""The weighted residuals whose squares a least-squares fit adds up."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..networks import ReLUNetwork
from ._problem import Problem, predict

# The ridge of the last layer, relative to its columns: dead neurons get the coefficient 0.
_RIDGE = 1e-10


def residuals(model: Any, problem: Problem) -> Array:
    r"""$\sqrt{w_i}\,(R(x_i) - y_i)$, all outputs in one vector."""
    predictions = predict(model, problem.x).reshape(problem.count, -1)
    y = problem.y.reshape(problem.count, -1)
    if predictions.shape != y.shape:
        raise ValueError(
            f"`fit_least_squares(model, data)` must get labels of the model's shape: the model "
            f"gives {predictions.shape[1]} numbers per point and the data {y.shape[1]}."
        )
    return (jnp.sqrt(problem.weights)[:, None] * (predictions - y)).ravel()


def with_best_last_layer(
    network: ReLUNetwork, problem: Problem, mask: ReLUNetwork | None = None
) -> tuple[ReLUNetwork, Array]:
    r"""The network with the last layer that is best for the others, and the residuals.

    With a mask only its entries of the last layer change.

    Derivation. With the columns $A = \sqrt w\,[\rho(\cdot), 1]$ the outer weights $c$ minimize
    $|A c - \sqrt w y|^2 + \delta^2 |c|^2$, an ordinary problem for the matrix with $\delta I$ below
    $A$, whose columns are independent whatever the neurons do. With its factors $Q R$ the residual
    is $(Q Q^T - I)(\sqrt w y, 0)$: its derivative by the inner parameters is that of the
    variable projection functional, second term included. [golub1973]
    """
    inner = ReLUNetwork(network.weights[:-1], network.biases[:-1])
    features = jax.nn.relu(predict(inner, problem.x))
    root = jnp.sqrt(problem.weights)[:, None]
    columns = root * jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=1)
    y = root * problem.y.reshape(problem.count, -1)
    size = columns.shape[1]
    ridge = _RIDGE * jnp.sqrt(jax.lax.stop_gradient(jnp.max(jnp.sum(columns**2, axis=0))))
    high = jax.lax.Precision.HIGHEST

    def solved(columns: Array, y: Array) -> tuple[Array, Array]:
        tall = jnp.concatenate([columns, ridge * jnp.eye(size, dtype=columns.dtype)])
        right = jnp.concatenate([y, jnp.zeros((size, y.shape[1]), y.dtype)])
        q, r = jnp.linalg.qr(tall)
        onto = jnp.dot(q.T, right, precision=high)
        c = jax.scipy.linalg.solve_triangular(r, onto)
        return c, jnp.dot(q, onto, precision=high) - right

    def of_output(parts: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        # What is fixed moves to the right; a column of zeros gets the coefficient 0.
        y, given, free = parts
        fixed = jnp.dot(columns, jnp.where(free, 0.0, given), precision=high)
        c, left = solved(jnp.where(free[None], columns, 0.0), (y - fixed)[:, None])
        return jnp.where(free, c[:, 0], given), left[:, 0]

    if mask is None:
        c, left = solved(columns, y)
    else:
        w, b = jnp.asarray(network.weights[-1]), network.biases[-1]
        free_w = jnp.broadcast_to(jnp.asarray(mask.weights[-1]), w.shape)
        free_b = jnp.broadcast_to(mask.biases[-1], b.shape)
        given = jnp.concatenate([w, b[:, None]], axis=1)
        free = jnp.concatenate([free_w, free_b[:, None]], axis=1).astype(bool)
        # Each output has free entries, and so a factorization, of its own.
        c, left = (part.T for part in jax.lax.map(of_output, (y.T, given, free)))
    best = ReLUNetwork((*network.weights[:-1], c[:-1].T), (*network.biases[:-1], c[-1]))
    return best, left.ravel()
