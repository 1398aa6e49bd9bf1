"""Quantized training by freezing: more and more parameters stay on the grid, the rest makes up."""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..quantizers import AbstractCalibration, AbstractQuantizer
from ._arrays import grids_of, in_jax, parameters_of, refuse_wrapped
from ._error import error_of
from ._fit import fit
from ._losses import as_loss
from ._problem import as_problem, objective
from ._record import FitResult

SHARES = (0.5, 0.75, 0.875, 1.0)


def freeze_gradually(
    model: Any,
    data: Any,
    quantizer: AbstractQuantizer | AbstractCalibration,
    *,
    shares: Sequence[float] = SHARES,
    order: Literal["largest", "nearest"] = "nearest",
    steps: int = 1000,
    **options: Any,
) -> FitResult:
    r"""Round some parameters, train the others in float, round more, until all are on the grid.

    The grids are chosen once, from the parameters at the start. After each rounding the parameters
    that are still free are trained against what the frozen ones do: no gradient passes through a
    rounding, so that none is a guess. On `data` the result is never worse than the model rounded to
    nearest at once, which is returned where its loss is smaller.

    **Arguments:**

    - `model`: a trained `ReLUNetwork` or Equinox model; all its floating-point arrays are rounded.
    - `data`, and further `options`: as in `fit`, without `quantizer`, `where`, `backward`,
        `mask` and `checkpoint`.
    - `quantizer`: the grid, or the calibration that chooses one for each array.
    - `shares`: the share of each array that is frozen after each rounding, increasing to 1.
    - `order`: which parameters go first: the "largest", as published, or those "nearest" to their
        grid value.
    - `steps`: steps of the optimizer after each rounding but the last.

    **Returns:**

    The `FitResult` of all roundings together; `model` and `latent` are the same, on the grid.
    `evaluated` counts steps as `history` does, and has the step of a rounding twice: before it and
    after it.

    **Raises:**

    - `ValueError`: for shares that do not increase to 1, stochastic grids, and as `fit`.

    **Reference:** [zhou2017], with grids of any kind and the order as a choice.
    """
    given = np.asarray(shares, dtype=np.float64)
    if (
        given.ndim != 1
        or len(given) < 2
        or given[-1] != 1
        or (np.diff(given, prepend=0) <= 0).any()
    ):
        raise ValueError(
            f"`freeze_gradually(shares=...)` must increase from above 0 to 1 in at "
            f"least two parts; got {shares}. One part is rounding: use `quantize`."
        )
    if order not in ("largest", "nearest"):
        raise ValueError(
            f'`freeze_gradually(order=...)` must be "largest" or "nearest"; got {order!r}.'
        )
    taken = {"quantizer", "where", "backward", "mask", "checkpoint"} & set(options)
    if taken:
        raise ValueError(
            f"`freeze_gradually(...)` decides {sorted(taken)[0]!r} itself; leave it out."
        )
    if getattr(quantizer, "rounding", None) == "stochastic":
        raise ValueError(
            "`freeze_gradually(model, data, quantizer)` must get a deterministic quantizer; got "
            'stochastic rounding. Use `rounding="nearest"`.'
        )
    refuse_wrapped("freeze_gradually", model)
    model = jax.tree.map(in_jax, model)
    grids = grids_of(model, quantizer)
    frozen = jax.tree.map(lambda p: np.zeros(p.shape, bool), parameters_of(model))
    nearest, _ = _freeze(model, grids, frozen, 1.0, order)
    results = []
    for share in given:
        model, frozen = _freeze(model, grids, frozen, share, order)
        if share < 1:
            free = jax.tree.map(lambda f: ~f, frozen)
            results.append(fit(model, data, steps=steps, mask=free, **options))
            model = results[-1].model
    return _assessed([model, nearest], results, data, options)


def _freeze(model: Any, grids: Any, frozen: Any, share: float, order: str) -> tuple[Any, Any]:
    """Round the first parameters of every array in the order, up to this share of them."""

    def one(values: Any, grid: Any, held: np.ndarray) -> tuple[Any, np.ndarray]:
        rounded = np.asarray(grid(values))
        size = np.abs(np.asarray(values))
        last = -size if order == "largest" else np.abs(np.asarray(values) - rounded)
        last = np.where(held, -np.inf, last)  # what is frozen stays so
        chosen = np.argsort(last, axis=None, kind="stable")[: int(np.ceil(share * last.size))]
        now = held.copy()
        now.flat[chosen] = True
        return jnp.where(now, rounded, values), now

    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(parameters)
    pairs = [one(*parts) for parts in zip(leaves, grids, jax.tree.leaves(frozen), strict=True)]
    model = eqx.combine(jax.tree.unflatten(structure, [p for p, _ in pairs]), rest)
    return model, jax.tree.unflatten(structure, [f for _, f in pairs])


def _assessed(models: list[Any], results: list[FitResult], data: Any, options: dict) -> FitResult:
    """The record of all trainings, with loss and error of the better model on the grid."""
    loss = as_loss(options.get("loss", "l2"))
    dtype = jnp.result_type(*jax.tree.leaves(parameters_of(models[0])))

    def loss_on(name: str, points: Any, model: Any) -> np.ndarray:
        return np.asarray(objective(loss, model, as_problem(name, points, loss, model, dtype)))

    losses = [loss_on("data", data, model) for model in models]
    model = models[1] if losses[1] < losses[0] else models[0]
    held = options.get("validation")
    validation = None if held is None else loss_on("validation", held, model)
    error, kind = error_of(model, data, loss, validation, 0)
    last = results[-1]
    begun = np.cumsum([0, *(len(result.history) for result in results[:-1])])
    return last._replace(
        model=model,
        latent=model,
        history=np.concatenate([result.history for result in results]),
        evaluations=np.concatenate([result.evaluations for result in results]),
        evaluated=np.concatenate([b + r.evaluated for b, r in zip(begun, results, strict=True)]),
        loss=min(losses),
        error=error,
        error_kind=kind,
        steps=sum(result.steps for result in results),
        # A training that broke is told, also where the ones after it did not.
        stopped=next((r.stopped for r in results if not r.finite), last.stopped),
        finite=np.array(all(r.finite for r in results)),
        seconds=sum(result.seconds for result in results),
    )
