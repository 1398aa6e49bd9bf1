"""The error on what a run was not trained on."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork, from_mlp
from ..norms import L1, L2, QuasiMonteCarlo, Sup
from ..targets import AbstractTarget
from ._losses import SUP_POWER, Power
from ._problem import as_problem, is_pair, objective

_NORMS = {1.0: L1, 2.0: L2, SUP_POWER: Sup}
# Points at which a loss is taken that has no norm of its own, and their scrambling: another one
# than that of training.
_POINTS, _SEED = 2**13, 1


def error_of(
    model: Any, data: Any, loss: Any, validation: np.ndarray | None, members: int
) -> tuple[Any, str]:
    """The error and what it is; an array for an ensemble."""
    target = _whole_target(data)
    if target is not None and isinstance(loss, Power) and loss.p in _NORMS and _is_network(model):
        norm, one = _NORMS[loss.p](), target.dimension == 1
        kind = "exact distance" if one else "measured distance"
        if not members:
            return norm.distance(_network(model), target), kind
        parts = [jax.tree.map(lambda a, i=i: _member(a, i), model) for i in range(members)]
        return np.array([float(norm.distance(_network(part), target)) for part in parts]), kind
    if validation is not None:
        return (validation if members else float(validation)), "validation"
    box = _box(data)
    if box is None:
        return None, "none"
    function = data if isinstance(data, AbstractTarget) else data[0]
    rule = QuasiMonteCarlo(box, _POINTS, seed=_SEED)
    dtype = jnp.result_type(
        *(leaf for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf))
    )
    found = np.asarray(
        _losses(model, loss, as_problem("data", (function, rule), loss, model, dtype), members)
    )
    return (found if members else float(found)), "loss at other points"


@eqx.filter_jit
def _losses(model: Any, loss: Any, problem: Any, members: int) -> Any:
    def one(model: Any) -> Any:
        return objective(loss, model, problem)

    return eqx.filter_vmap(one)(model) if members else one(model)


def _whole_target(data: Any) -> AbstractTarget | None:
    """The target that was trained on, if it was on its whole domain."""
    if isinstance(data, AbstractTarget):
        return data
    if is_pair(data) and isinstance(data[0], AbstractTarget):
        ends = (data[1].lower, data[1].upper)
        same = all(
            np.array_equal(np.ravel(a), b) for a, b in zip(data[0].domain, ends, strict=True)
        )
        return data[0] if same else None
    return None


def _box(data: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Where a function was trained on; None for tables."""
    if isinstance(data, AbstractTarget):
        lower, upper = (np.atleast_1d(np.asarray(end, np.float64)) for end in data.domain)
        return lower, upper
    return (data[1].lower, data[1].upper) if is_pair(data) else None


def _is_network(model: Any) -> bool:
    relu = isinstance(model, eqx.nn.MLP) and model.activation is jax.nn.relu
    return isinstance(model, ReLUNetwork) or relu


def _network(model: Any) -> ReLUNetwork:
    network = model if isinstance(model, ReLUNetwork) else from_mlp(model)
    return jax.tree.map(np.asarray, network)


def _member(leaf: Any, i: int) -> Any:
    return leaf[i] if eqx.is_array(leaf) else leaf
