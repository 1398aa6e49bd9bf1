"""Many steps of an optimizer in one compiled program."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .._misc import plain
from ..quantizers import Codebook, Uniform, Wrapped, unwrap, wrap
from ..quantizers._quantize import UNTOUCHED, is_parameter
from ..quantizers._wrap import settled
from ._optimizers import updates_of
from ._problem import Problem, objective


class State(NamedTuple):
    """What training changes, and what a checkpoint holds.

    - `parameters`: the trained arrays, with None elsewhere.
    - `previous`: those of the step before, whose loss is known.
    - `optimizer`: the state of the optimizer.
    - `alive`: whether all losses so far were finite. If not, `parameters` stay the last ones with a
        finite loss, and the state of the optimizer means nothing.
    """

    parameters: Any
    previous: Any
    optimizer: Any
    alive: Any


class Setting(eqx.Module):
    """What training does not change.

    Ensembles have a leading axis in `rest`, `rates` and `mask`, and may have one in `grid`.
    """

    problem: Problem
    rest: Any
    grid: Any
    rates: Any
    mask: Any
    key: Any
    loss: Any
    where: Any = eqx.field(static=True)
    backward: str = eqx.field(static=True)
    optimizer: Any = eqx.field(static=True)
    members: int = eqx.field(converter=plain, static=True)


def quantized(setting: Setting, parameters: Any, rest: Any, grid: Any, key: Any) -> Any:
    """The model that is evaluated: on its grid, if there is one."""
    model = eqx.combine(parameters, rest)
    if grid is None:
        return model
    plain = getattr(grid, "rounding", None) == "stochastic"
    if getattr(grid, "granularity", None) == "network":
        grid = _shared(grid, setting.where(model) if callable(setting.where) else model)
        plain = plain or setting.backward == "quantized"
    wrapped = wrap(model, grid, setting.where, backward=setting.backward)
    if plain:
        return unwrap(wrapped, key=key)
    return settled(wrapped) if setting.backward == "quantized" else wrapped


def _shared(calibration: Any, part: Any) -> Any:
    """The one grid for all parameters of a part of a model."""
    leaves = jax.tree.leaves(part, is_leaf=lambda node: isinstance(node, (Wrapped, *UNTOUCHED)))
    grids = calibration.grids([leaf for leaf in leaves if is_parameter(leaf)])
    return grids[0] if grids else Uniform(1.0)  # `wrap` says that there is nothing to quantize


@eqx.filter_jit
def evaluate(setting: Setting, parameters: Any, problem: Problem) -> Any:
    """The loss on a whole problem, of each member of an ensemble."""

    def one(parameters: Any, rest: Any, grid: Any, key: Any) -> Any:
        model = quantized(setting, parameters, rest, grid, key)
        return objective(setting.loss, model, problem)

    keys = _keys(setting, setting.key)
    return _over_members(setting, one)(parameters, setting.rest, setting.grid, keys)


@eqx.filter_jit(donate="all-except-first")
def advance(setting: Setting, state: State, rows: Any, first: Any, count: Any) -> Any:
    """`count` steps from step `first` on, and their losses.

    `rows` are the points of every step, or an empty array of shape (steps, 0) for all points; its
    length is the most steps that this program can do.
    """

    def one(
        state: State, rest: Any, grid: Any, key: Any, rate: Any, mask: Any, part: Problem
    ) -> Any:
        def loss_of(parameters: Any) -> Any:
            model = quantized(setting, parameters, rest, grid, key)
            return objective(setting.loss, model, part)

        loss, gradients = jax.value_and_grad(loss_of)(state.parameters)
        optimizer = setting.optimizer if rate is None else setting.optimizer(rate)
        updates, memory = updates_of(
            optimizer, gradients, state.optimizer, state.parameters, loss, loss_of
        )
        if mask is not None:
            updates = jax.tree.map(jnp.multiply, updates, mask)
        alive = state.alive & jnp.isfinite(loss)
        # Where a loss is not finite, the last good parameters stay (-0.0 changes no number), and
        # what the optimizer remembers counts no more. The new parameters come from `kept`, not
        # from both old ones: so that the loop writes all arrays in place and copies none.
        kept = jax.tree.map(
            lambda new, old: jnp.where(alive, new, old), state.parameters, state.previous
        )
        updates = jax.tree.map(lambda u: jnp.where(alive, u, -jnp.zeros_like(u)), updates)
        state = State(optax.apply_updates(kept, updates), kept, memory, alive)
        return state, loss

    steps = _over_members(setting, one)

    def body(i: Any, carry: Any) -> Any:
        state, losses = carry
        part = setting.problem.take(rows[i]) if rows.shape[1] else setting.problem
        keys = _keys(setting, jax.random.fold_in(setting.key, first + i))
        fixed = setting.rest, setting.grid, keys, setting.rates, setting.mask
        state, loss = steps(state, *fixed, part)
        return state, losses.at[i].set(loss.astype(losses.dtype))

    dtype = setting.problem.weights.dtype
    losses = jnp.zeros((rows.shape[0], *state.alive.shape), dtype)
    return jax.lax.fori_loop(0, count, body, (state, losses))


@eqx.filter_jit
def _served_ensemble(setting: Setting, parameters: Any) -> Any:
    def one(parameters: Any, rest: Any, grid: Any, key: Any) -> Any:
        return unwrap(quantized(setting, parameters, rest, grid, key))

    keys = _keys(setting, setting.key)
    return _over_members(setting, one)(parameters, setting.rest, setting.grid, keys)


def served(setting: Setting, parameters: Any) -> Any:
    """Plain models with the values that they are evaluated with."""
    if setting.members:
        return _served_ensemble(setting, parameters)
    return unwrap(quantized(setting, parameters, setting.rest, setting.grid, setting.key))


def _keys(setting: Setting, key: Any) -> Any:
    """The key of one network, or a key for each member: they round by chances of their own."""
    if not setting.members:
        return key
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(setting.members))


def _over_members(setting: Setting, function: Any) -> Any:
    """The function for one network, or mapped over the members of an ensemble.

    Its arguments are parameters or state, the rest of the model, grid and key, and then, if it
    takes more, rate and mask, all with an axis of members, and the problem, which all members
    share.
    """
    if not setting.members:
        return function

    def axes(grid: Any) -> Any:
        # The values of a codebook have an axis of their own.
        own = 2 if isinstance(grid, Codebook) else 1

        def axis(leaf: Any) -> int | None:
            array = eqx.is_array(leaf) and leaf.ndim >= own
            return 0 if array and leaf.shape[0] == setting.members else None

        return jax.tree.map(axis, grid)

    def is_codebook(node: Any) -> bool:
        return isinstance(node, Codebook)

    def mapped(state: Any, rest: Any, grid: Any, keys: Any, *more: Any) -> Any:
        by_grid = jax.tree.map(axes, grid, is_leaf=is_codebook)
        in_axes = (0, eqx.if_array(0), by_grid, 0, *((0, 0, None) if more else ()))
        return eqx.filter_vmap(function, in_axes=in_axes)(state, rest, grid, keys, *more)

    return mapped
