"""The last part of the way down: quasi-Newton steps from where Gauss-Newton steps end."""

from functools import partial

import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from ._deep_steps import linearized, loss_of, product

# The damping of the normal equations that are the first guess of the curvature, as a share of
# their diagonal, and the least diagonal entry as a share of the largest.
_DAMPING, _SMALL = 1e-4, 1e-8
# A loss that is zero, for its logarithm; targets have variance one.
_ZERO = 1e-30
# Steps end where the logarithm of the loss and the vector change by less.
_ACCURACY = 1e-9


# Levenberg-Marquardt's normal equations leave out the curvature that a kink has by moving. With the
# residual r = f - s and the jump d of the slope of s at t, ds/dt = -d for x > t, so that
#
#     d^2/dt^2 int r^2 = 2 int (ds/dt)^2 - 2 r(t) d .
#
# The last term is missing, and where the best values follow the knot it is of the order of the
# rest: with pieces of length h, int (ds/dt)^2 over what the values cannot follow is of the order
# d^2 h, and r(t) of the order d h [derived; `qrelu/families/_newton.py` has all terms for one
# hidden layer]. So the steps end where no damping helps, 10 to 30 % above the optimum nearby. BFGS
# learns these terms. It begins with the normal equations A = 2 J^T J / loss as curvature of
# log(loss): with A = C C^T it minimizes over z in u + C^-T z from the unit matrix, and needs a
# sixth of the steps.
@partial(jax.jit, static_argnames=("widths", "steps"))
def descended(
    vectors: Float[Array, "batch parameters"],
    x: Float[Array, "*d n"],
    y: Float[Array, " n"],
    root: Float[Array, " n"],
    widths: tuple[int, ...],
    steps: int,
) -> tuple[Float[Array, "batch parameters"], Float[Array, " batch"]]:
    """Vectors after at most `steps` steps of BFGS, and their losses as in `marquardt`."""
    solver = optx.BFGS(_ACCURACY, _ACCURACY)

    def one(vector: Array) -> tuple[Array, Array]:
        out, rows = linearized(vector, widths, x)
        rows, begin = rows * root[None, :], jnp.sum(jnp.square((out - y) * root))
        normal = 2 * product(rows, rows.T)
        diagonal = jnp.diag(normal)
        diagonal = jnp.maximum(diagonal, _SMALL * jnp.max(diagonal)) + 1e-30
        factor = jnp.linalg.cholesky((normal + _DAMPING * jnp.diag(diagonal)) / (begin + _ZERO))

        def place(z: Array) -> Array:
            return vector + jax.scipy.linalg.solve_triangular(factor.T, z, lower=False)

        def loss(z: Array, _: None) -> Array:
            return jnp.log(loss_of(place(z), widths, x, y, root) + _ZERO)

        still = jnp.zeros_like(vector)
        found = optx.minimise(loss, solver, still, max_steps=steps, throw=False).value
        moved = place(found)
        end = loss_of(moved, widths, x, y, root)
        better = end < begin
        return jnp.where(better, moved, vector), jnp.where(better, end, begin)

    if jax.default_backend() == "cpu":
        # One after the other, each as long as it needs; an accelerator is faster with all at once.
        return jax.lax.map(one, vectors)
    return jax.vmap(one)(vectors)
