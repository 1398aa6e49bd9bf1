"""The error on what a run was not trained on."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..networks import ReLUNetwork, from_mlp
from ..norms import L1, L2, Sup
from ..targets import AbstractTarget
from ._losses import SUP_POWER, Power

_NORMS = {1.0: L1, 2.0: L2, SUP_POWER: Sup}


def error_of(
    model: Any, data: Any, loss: Any, validation: np.ndarray | None, members: int
) -> tuple[Any, str]:
    """The error and what it is; an array for an ensemble."""
    exact = isinstance(data, AbstractTarget) and isinstance(loss, Power) and loss.p in _NORMS
    if exact and _is_network(model):
        norm = _NORMS[loss.p]()
        if not members:
            return norm.distance(_network(model), data), "exact distance"
        parts = [jax.tree.map(lambda a, i=i: _member(a, i), model) for i in range(members)]
        errors = [float(norm.distance(_network(part), data)) for part in parts]
        return np.array(errors), "exact distance"
    if validation is not None:
        return (validation if members else float(validation)), "validation"
    return None, "none"


def _is_network(model: Any) -> bool:
    relu = isinstance(model, eqx.nn.MLP) and model.activation is jax.nn.relu
    return isinstance(model, ReLUNetwork) or relu


def _network(model: Any) -> ReLUNetwork:
    network = model if isinstance(model, ReLUNetwork) else from_mlp(model)
    return jax.tree.map(np.asarray, network)


def _member(leaf: Any, i: int) -> Any:
    return leaf[i] if eqx.is_array(leaf) else leaf
