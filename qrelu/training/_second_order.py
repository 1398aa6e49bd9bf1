"""Nonlinear least squares for networks, one or many at once."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

from ..networks import ReLUNetwork
from ._arrays import all_in_jax, check_mask, count_members
from ._checks import check_real, check_whole, warn_of_broken
from ._error import error_of
from ._losses import Power
from ._marquardt import Marquardt
from ._problem import Problem, as_problem
from ._record import FitResult, settings_of
from ._residuals import residuals, with_best_last_layer

# A Jacobian is taken column by column or row by row, whatever are fewer.
_COLUMNS, _ROWS = "fwd", "bwd"


def fit_least_squares(
    model: Any,
    data: Any,
    *,
    steps: int = 200,
    solver: Any = None,
    project: bool = False,
    mask: Any = None,
) -> FitResult:
    r"""Train a network or any Equinox model by nonlinear least squares, in float64.

    ```python
    result = training.fit_least_squares(net, targets.get("exp"))
    result.model, result.error, result.stopped
    ```

    Makes $\sum_i w_i |R(x_i) - y_i|^2$ small by a method that uses all first derivatives at once:
    few and expensive steps, for models of up to a few thousand parameters. It ends in a local
    optimum, or where kinks lie on points of the data and no step of the method leads down;
    `fit_deep` and `fit_shallow` search for better ones.

    **Arguments:**

    - `model`: as in `fit`. All its floating-point arrays are trained, in float64 whatever JAX is
        set to.
    - `data`: as in `fit`.
    - `steps`: steps of the solver, rejected ones included.
    - `solver`: a least-squares solver of optimistix, for example
        `optimistix.LevenbergMarquardt(1e-8, 1e-8)` or
        `optimistix.GaussNewton(1e-8, 1e-8, linear_solver=lineax.SVD())`; `training.Marquardt()` if
        None. A network has directions that change nothing ($\rho(c x) = c \rho(x)$), so a solver
        without damping needs a linear solver for matrices of any rank.
    - `project`: variable projection: the last layer, or what `mask` leaves free of it, is the best
        one for the others in every step, and only those are searched. For `ReLUNetwork`s.
    - `mask`: which entries may change, from `networks.mask`.

    **Returns:**

    A `FitResult`. `history` has the loss before every step, and after convergence the last one;
    `stopped` is "converged", "all steps", "a loss that is not finite" or "a step that the solver
    could not make" (a singular system without damping); the model is the best one seen.

    **Raises:**

    - `ValueError`: for data with NaN or of different lengths, and a model whose first loss is not
        finite.
    - `TypeError`: for a `solver` that is none, and `project` with other models than networks.

    **Reference:** [golub1973] for variable projection; the others are optimistix's.
    """
    return _run(model, data, steps, solver, project, mask, False)


def fit_least_squares_ensemble(
    models: Any,
    data: Any,
    *,
    steps: int = 200,
    solver: Any = None,
    project: bool = False,
    mask: Any = None,
) -> FitResult:
    r"""Train many models of one form at once by nonlinear least squares: seeds and sizes.

    Networks of different sizes share a form after `networks.pad`, and so a compiled program;
    `networks.mask` keeps the padding at zero. On an accelerator all go on until the last one has
    converged; on a CPU they are trained one after the other, in the same compiled program.

    **Arguments:**

    - `models`: a stack, as from `networks.stack`: all arrays have a leading axis of members.
    - `mask`: a stack of `networks.mask`.
    - All others as in `fit_least_squares`.

    **Returns:**

    A `FitResult` whose models are stacks.

    **Raises:** as `fit_least_squares`, and `ValueError` for arrays without a common leading axis.

    **Reference:** as `fit_least_squares`.
    """
    return _run(models, data, steps, solver, project, mask, True)


def _run(
    model: Any, data: Any, steps: int, solver: Any, project: bool, mask: Any, ensemble: bool
) -> FitResult:
    begun = time.perf_counter()
    solver = Marquardt() if solver is None else solver
    _check(model, steps, solver, project)
    with jax.enable_x64(True):
        model = jax.tree.map(_in_float64, model)
        model = jax.tree.map(all_in_jax, model) if ensemble else model
        parameters, rest = eqx.partition(model, eqx.is_inexact_array)
        _check_parameters(parameters)
        members = count_members("fit_least_squares_ensemble", model) if ensemble else 0
        check_mask("fit_least_squares", mask, parameters)
        loss = Power(2.0)
        problem = as_problem("data", data, loss, model, jnp.float64)
        end = jnp.full(steps, jnp.nan)
        best, history, count, converged = solve(
            parameters, mask, rest, problem, solver, end, project, members
        )
        history, count, converged = (np.asarray(part) for part in (history, count, converged))
        if not np.isfinite(history[..., 0]).all():
            raise ValueError(
                "`fit_least_squares(model, data)` must start from a finite loss; the first one is "
                f"{history[..., 0]}. Look for large or missing parameters."
            )
        trained = eqx.combine(best, rest)
        final = np.asarray(_losses(trained, problem, members))
        error, kind = error_of(trained, data, loss, None, members)
    if isinstance(trained, ReLUNetwork):  # in NumPy, float64 survives whatever JAX is set to
        trained = jax.tree.map(np.asarray, trained)
    most = int(np.max(count))
    finite = np.isfinite(np.where(np.arange(steps) < count[..., None], history, 0.0)).all(axis=-1)
    # A member that has converged keeps its last loss while others go on.
    history = np.where(np.arange(steps) < count[..., None], history, final[..., None])[..., :most]
    call = "fit_least_squares_ensemble" if ensemble else "fit_least_squares"
    warn_of_broken(call, np.asarray(finite), "another solver, or a start with smaller parameters")
    early = "a step that the solver could not make" if most < steps else "all steps"
    stopped = early if finite.any() else "a loss that is not finite"
    return FitResult(
        trained,
        trained,
        np.moveaxis(history, -1, 0),
        np.zeros((0, *final.shape)),
        np.zeros(0, np.int64),
        final,
        error,
        kind,
        most,
        "converged" if converged.all() else stopped,
        np.asarray(finite),
        time.perf_counter() - begun,
        settings_of(
            "float64", steps=steps, solver=type(solver).__name__, project=project, loss="2"
        ),
    )


def _check(model: Any, steps: Any, solver: Any, project: bool) -> None:
    """Errors for what cannot be solved."""
    check_whole("fit_least_squares", "steps", steps)
    if not isinstance(solver, optx.AbstractLeastSquaresSolver):
        raise TypeError(
            "`fit_least_squares(solver=...)` must be a least-squares solver of optimistix; got "
            f"{type(solver).__name__}. Use, for example, `optimistix.Dogleg(1e-8, 1e-8)`."
        )
    if project and not isinstance(model, ReLUNetwork):
        raise TypeError(
            "`fit_least_squares(project=True)` must get a `ReLUNetwork`, whose last layer is "
            f"linear; got {type(model).__name__}. `networks.from_mlp` makes one of a `MLP`."
        )
    if project and len(model.weights) < 2:
        raise ValueError(
            "`fit_least_squares(project=True)` must get a network with a hidden layer; got the "
            f"widths {model.widths}."
        )


@eqx.filter_jit
def solve(
    parameters: Any,
    mask: Any,
    rest: Any,
    problem: Problem,
    solver: Any,
    end: Any,
    project: bool,
    members: int,
) -> Any:
    """The best parameters, the losses before each step, the steps done, whether it converged."""

    arrays, plain = eqx.partition(rest, eqx.is_array)

    def one(start: Any, mask: Any, arrays: Any) -> Any:
        rest = eqx.combine(arrays, plain)

        def fixed(parameters: Any) -> Any:
            # What must not change has no derivative: its column of the Jacobian is zero.
            if mask is None:
                return parameters
            return jax.tree.map(
                lambda p, m: jnp.where(m, p, jax.lax.stop_gradient(p)), parameters, mask
            )

        def of(parameters: Any) -> Any:
            model = eqx.combine(fixed(parameters), rest)
            if project:
                return with_best_last_layer(model, problem, mask)[1]
            return residuals(model, problem)

        def fn(parameters: Any, _: Any) -> Any:
            return of(parameters), None

        structure = jax.eval_shape(of, start)
        count = sum(leaf.size for leaf in jax.tree.leaves(start))
        options = {"jac": _COLUMNS if count <= structure.size else _ROWS}
        tags: frozenset[object] = frozenset()
        function = eqx.filter_closure_convert(fn, start, None)
        state = solver.init(function, start, None, options, structure, None, tags)
        dynamic, static = eqx.partition(state, eqx.is_array)

        def go_on(carry: Any) -> Any:
            _, _, _, _, _, i, done, _ = carry
            return (i < end.shape[0]) & ~done

        def body(carry: Any) -> Any:
            y, dynamic, best, least, history, i, _, _ = carry
            state = eqx.combine(static, dynamic)
            now = jnp.sum(jnp.square(of(y)))
            better = now < least
            best = jax.tree.map(lambda a, b: jnp.where(better, a, b), y, best)
            least = jnp.where(better, now, least)
            y, state, _ = solver.step(function, y, None, options, state, tags)
            converged, result = solver.terminate(function, y, None, options, state, tags)
            failed = (result != optx.RESULTS.successful) | ~jnp.isfinite(now)
            dynamic, _ = eqx.partition(state, eqx.is_array)
            done = converged | failed
            return y, dynamic, best, least, history.at[i].set(now), i + 1, done, converged & ~failed

        no = jnp.array(False)
        carry = (start, dynamic, start, jnp.array(jnp.inf), end, jnp.array(0), no, no)
        y, _, best, least, history, i, _, converged = jax.lax.while_loop(go_on, body, carry)
        better = jnp.sum(jnp.square(of(y))) < least
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), y, best)
        if project:
            best = with_best_last_layer(eqx.combine(best, rest), problem, mask)[0]
            best, _ = eqx.partition(best, eqx.is_inexact_array)
        if mask is not None:
            best = jax.tree.map(lambda p, q, m: jnp.where(m, p, q), best, start, mask)
        return best, history, i, converged

    if not members:
        return one(parameters, mask, arrays)
    if jax.default_backend() == "cpu":
        # Members one after the other, each as long as it needs. Factorizations of a batch may wait
        # for each other for ever, see `_deep_steps`.
        return jax.lax.map(lambda parts: one(*parts), (parameters, mask, arrays))
    return jax.vmap(one)(parameters, mask, arrays)


@eqx.filter_jit
def _losses(model: Any, problem: Problem, members: int) -> Any:
    def one(model: Any) -> Any:
        return jnp.sum(jnp.square(residuals(model, problem)))

    return eqx.filter_vmap(one)(model) if members else one(model)


def _in_float64(leaf: Any) -> Any:
    floats = eqx.is_array(leaf) or isinstance(leaf, np.ndarray)
    floats = floats and jnp.issubdtype(leaf.dtype, jnp.floating)
    return jnp.asarray(np.asarray(leaf), jnp.float64) if floats else leaf


def _check_parameters(parameters: Any) -> None:
    """An error for models without real parameters."""
    leaves = jax.tree.leaves(parameters)
    if not leaves:
        raise ValueError(
            "`fit_least_squares(model, data)` must get a model with floating-point arrays; got "
            "none."
        )
    check_real("fit_least_squares", jnp.result_type(*(leaf.dtype for leaf in leaves)))
