"""Levenberg-Marquardt with the damping of Marquardt, as a solver of optimistix."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from .._misc import plain

# Diagonal entries below this share of the largest one are damped as if they were as large.
_LEAST = 1e-8
# A step is trusted more if the squares fall by this share of what the linear model promises, and
# refused below the other share.
_GOOD, _POOR = 0.5, 1e-3
_LONGER, _SHORTER = 4.0, 0.2


class _Normal(eqx.Module):
    """The scaled normal equations at the last accepted point."""

    matrix: Array
    right: Array
    scale: Array
    template: Any


class _ScaledDescent(optx.AbstractDescent):
    r"""The step $-D^{-1/2} (D^{-1/2} J^T J D^{-1/2} + \lambda I)^{-1} D^{-1/2} J^T r$.

    $D$ is the diagonal of $J^T J$, so that the step does not depend on the units of the parameters:
    the neurons $\rho(w x + b)$ and $\rho(c\,w x + c\,b)$ are damped alike. Equal diagonal entries
    and damping keep the normal equations solvable by Cholesky's method; rounding in the matrix
    changes the path and not the optimum, where $J^T r = 0$.
    """

    def init(self, y: Any, f_info_struct: Any) -> _Normal:
        flat, _ = ravel_pytree(y)
        return _Normal(jnp.eye(flat.size, dtype=flat.dtype), flat, flat, y)

    def query(self, y: Any, f_info: Any, state: _Normal) -> _Normal:
        jacobian = f_info.jac.as_matrix()
        residual, _ = ravel_pytree(f_info.residual)
        high = jax.lax.Precision.HIGHEST
        squares = jnp.sum(jnp.square(jacobian), axis=0)
        tiny = jnp.finfo(squares.dtype).tiny ** 0.5
        scale = jax.lax.rsqrt(jnp.maximum(squares, _LEAST * jnp.max(squares)) + tiny)
        scaled = jacobian * scale[None, :]
        matrix = jnp.dot(scaled.T, scaled, precision=high)
        return _Normal(matrix, jnp.dot(scaled.T, residual, precision=high), scale, state.template)

    def step(self, step_size: Any, state: _Normal) -> tuple[Any, Any]:
        damping = jnp.maximum(1 / step_size, 16 * jnp.finfo(state.matrix.dtype).eps)
        factor = jax.scipy.linalg.cho_factor(
            state.matrix + damping * jnp.eye(state.right.size, dtype=state.matrix.dtype)
        )
        move = -state.scale * jax.scipy.linalg.cho_solve(factor, state.right)
        # No factor, no step: the next, shorter one has more damping.
        move = jnp.where(jnp.isfinite(move), move, 0.0)
        return ravel_pytree(state.template)[1](move), optx.RESULTS.successful


class Marquardt(optx.AbstractGaussNewton):
    """Levenberg-Marquardt whose damping is relative to the diagonal, by normal equations.

    One Cholesky factorization in a step, where `optimistix.LevenbergMarquardt` has a QR
    factorization of the Jacobian.

    **Reference:** [marquardt1963].
    """

    rtol: float
    atol: float
    norm: Callable
    descent: _ScaledDescent
    search: optx.ClassicalTrustRegion
    verbose: Callable

    def __init__(self, rtol: float | int | np.number = 1e-9, atol: float | int | np.number = 1e-12):
        """**Arguments:**

        - `rtol`, `atol`: it has converged when a step changes neither parameters nor residuals by
            more than this.
        """
        self.rtol = plain(rtol)
        self.atol = plain(atol)
        self.norm = optx.max_norm
        self.descent = _ScaledDescent()
        self.search = optx.ClassicalTrustRegion(_GOOD, _POOR, _LONGER, _SHORTER)
        self.verbose = _silent


def _silent(**_: Any) -> None:
    """Prints nothing."""
