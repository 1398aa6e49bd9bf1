"""One training run from beginning to end: dispatches, evaluations, checkpoints, the record."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .._misc import warn
from ._arrays import all_in_jax, check_mask, count_members, in_jax
from ._checkpoint import as_path, fingerprint, load, save
from ._checks import check_real, warn_of_broken
from ._error import error_of
from ._log import Log
from ._loop import Setting, State, advance, evaluate, served
from ._losses import CrossEntropy, as_loss
from ._optimizers import check_memory
from ._options import Options
from ._order import rows_of
from ._problem import as_problem, predict
from ._progress import reporting
from ._record import FitResult, settings_of

# Seconds between checkpoints.
_OFTEN = 5.0
_BROKEN = "a loss that is not finite"


def run(
    model: Any,
    data: Any,
    validation: Any,
    optimizer: Any,
    rates: Any,
    mask: Any,
    options: Options,
    ensemble: bool,
) -> FitResult:
    """Train, as `fit` and `fit_ensemble` say."""
    begun = time.perf_counter()
    loss = as_loss(options.loss)
    model = jax.tree.map(all_in_jax if ensemble else in_jax, model)
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    dtype = _checked(parameters)
    members = count_members("fit_ensemble", model, rates) if ensemble else 0
    check_mask("fit", mask, parameters)
    problem = as_problem("data", data, loss, model, dtype)
    held = None if validation is None else as_problem("validation", validation, loss, model, dtype)
    _check_labels(model, loss, members, data=problem, validation=held)
    options.check(problem.count, held is not None)
    setting = Setting(
        problem,
        rest,
        None,
        rates,
        mask,
        options.random_key,
        loss,
        options.where,
        options.backward,
        optimizer,
        members,
    )
    # What is compiled takes the state's memory over, and the user's arrays must survive.
    state = _spread(_start(_copy(parameters), optimizer, rates, members), members)
    log = Log(_spread(_copy(parameters), members), state.alive.shape)
    _check_call(model, problem, members)
    state, step = _trained(setting, state, log, held, options)
    setting = _with_grid(setting, options, max(step - 1, 0))
    # Nobody has seen the loss after the last step: if it is not finite, the step is taken back.
    finite = jnp.isfinite(evaluate(setting, state.parameters, problem))
    last = _chosen(finite, state.parameters, state.previous)
    if held is not None:
        losses = evaluate(setting, last, held)
        log.evaluate(step, losses, last, options.begun(max(step - 1, 0)))
        last = log.best
    history, steps = log.whole(members)
    model, latent = served(setting, last), eqx.combine(last, rest)
    alive = np.asarray(state.alive & finite)
    log.stopped = log.stopped if alive.any() else _BROKEN
    call = "fit_ensemble(models, data)" if members else "fit(model, data)"
    warn_of_broken(
        call, alive, "a smaller learning rate, or `optax.clip_by_global_norm` before the optimizer"
    )
    if members and setting.grid is not None:  # of one model `wrap` says it
        _warn_of_single_levels(model, latent, members)
    error, kind = error_of(model, data, loss, log.best_loss if held is not None else None, members)
    return FitResult(
        model,
        latent,
        history,
        log.arrays()["evaluations"],
        log.arrays()["evaluated"],
        np.asarray(evaluate(setting, last, problem)),
        error,
        kind,
        steps,
        log.stopped or "all steps",
        alive,
        time.perf_counter() - begun,
        settings_of(dtype, steps=options.steps, batch=options.batch, loss=str(options.loss)),
    )


def _trained(
    setting: Setting, state: State, log: Log, held: Any, options: Options
) -> tuple[State, int]:
    """The state at the end and its step, from the checkpoint on if there is one; fills the log."""
    step, path = 0, as_path(options.checkpoint)
    name = "" if path is None else _name(setting, state, held, options)
    if path is not None and path.exists():
        step, found, arrays, log.stopped = load(path, name, (state, log.best))
        state, log.best = _spread(found, setting.members)
        log.restore(arrays)
    written = time.perf_counter()
    with reporting(options.progress, options.steps, step) as report:
        while step < options.steps and not log.stopped:
            now = _with_grid(setting, options, step)
            if held is not None and step % options.every == 0:
                losses, begun = evaluate(now, state.parameters, held), options.begun(step)
                log.evaluate(step, losses, state.parameters, begun)
                if begun == options.schedule[-1][0] and log.exhausted(options.patience):
                    log.stopped = "no improvement"
                    break
            state, step = _dispatched(now, state, log, step, options)
            report(step, log.last)
            if path is not None and time.perf_counter() - written > _OFTEN:
                save(path, name, step, (state, log.best), log.arrays(), log.stopped)
                written = time.perf_counter()
    if path is not None:
        save(path, name, step, (state, log.best), log.arrays(), log.stopped)
    return state, step


def _dispatched(
    setting: Setting, state: State, log: Log, step: int, options: Options
) -> tuple[State, int]:
    """One compiled program: steps up to the next evaluation or grid."""
    until = options.until(step)
    rows = rows_of(setting.key, setting.problem.count, options.batch, step, options.every)
    state, losses = advance(setting, state, rows, jnp.asarray(step), jnp.asarray(until - step))
    log.add(np.asarray(losses)[: until - step])
    if not np.isfinite(log.history[0][0]).all():
        raise ValueError(
            "`fit(model, data)` must start from a finite loss; the first one is "
            f"{log.history[0][0]}. Look for large or missing parameters, and large data."
        )
    if not np.asarray(state.alive).any():
        log.stopped = _BROKEN
    return state, until


def _with_grid(setting: Setting, options: Options, step: int) -> Setting:
    """The setting with the quantizer of a step."""
    return eqx.tree_at(lambda s: s.grid, setting, options.grid(step), is_leaf=_is_none)


def _check_labels(model: Any, loss: Any, members: int, **problems: Any) -> None:
    """An error for labels that are no class of the model."""
    if not isinstance(loss, CrossEntropy):
        return
    for name, problem in problems.items():
        if problem is None:
            continue

        def outputs(model: Any, x: Any = problem.x[:1]) -> Any:
            return predict(model, x)

        of = eqx.filter_vmap(outputs) if members else outputs
        classes = eqx.filter_eval_shape(of, model).shape[-1]
        if int(problem.y.max()) >= classes:
            raise ValueError(
                f"`fit({name}=...)` must have labels from 0 to {classes - 1} for a model of "
                f"{classes} outputs; got {int(problem.y.max())}."
            )


def _checked(parameters: Any) -> Any:
    """The type of the numbers."""
    leaves = jax.tree.leaves(parameters)
    if not leaves:
        raise ValueError(
            "`fit(model, data)` must get a model with floating-point arrays; got none."
        )
    dtype = jnp.result_type(*(leaf.dtype for leaf in leaves))
    check_real("fit", dtype)
    return dtype


def _start(parameters: Any, optimizer: Any, rates: Any, members: int) -> State:
    if not members:
        memory = optimizer.init(parameters)
    elif rates is None:
        memory = eqx.filter_vmap(optimizer.init)(parameters)
    else:
        memory = eqx.filter_vmap(lambda p, rate: optimizer(rate).init(p))(parameters, rates)
    check_memory(memory)
    alive = jnp.ones((members,) if members else (), bool)
    return State(parameters, _copy(parameters), _copy(memory), alive)


def _spread(tree: Any, members: int) -> Any:
    """An ensemble over as many local devices as can have equal parts."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if members % n == 0)
    if members == 0 or count == 1:
        return tree
    mesh = Mesh(np.array(devices[:count]), ("members",))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("members")))


def _name(setting: Setting, state: State, held: Any, options: Options) -> str:
    loose = (setting.problem, held, setting.rates, setting.mask, options.schedule)
    plain = (options.steps, options.batch, options.every, options.patience, options.backward)
    key = jax.random.key_data(setting.key)
    functions = (setting.optimizer, getattr(setting.loss, "function", None), options.where)
    return fingerprint(state, setting.rest, loose, plain, key, setting.loss, functions)


def _check_call(model: Any, problem: Any, members: int) -> None:
    """An error for models that are not functions of a point alone."""

    def call(model: Any, x: Any) -> Any:
        return predict(model, x[None])

    of = eqx.filter_vmap(call, in_axes=(eqx.if_array(0), None)) if members else call
    point = problem.x[0]
    try:
        eqx.filter_eval_shape(of, model, point)
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(
            "`fit(model, data)` must get a model that maps one point to its values: "
            f"`model(x[0])`, with a point of shape {point.shape}, raised {type(error).__name__}"
            f"{_said(error)}. Bind what else it needs first, for example with "
            "`equinox.nn.inference_mode`."
        ) from error


def _said(error: Exception) -> str:
    """The first line of what an error says, if it says anything."""
    lines = str(error).splitlines()
    return f": {lines[0].rstrip('. ')}" if lines else ""


def _warn_of_single_levels(models: Any, latent: Any, members: int) -> None:
    """Warn of members with an array whose parameters differ, but not after rounding."""

    def single(leaf: Any) -> np.ndarray:
        rows = np.asarray(leaf).reshape(members, -1)
        return (rows == rows[:, :1]).all(axis=1)

    found = jax.tree_util.tree_leaves_with_path(models)
    for (path, leaf), before in zip(found, jax.tree.leaves(latent), strict=True):
        if not eqx.is_inexact_array(leaf):
            continue
        which = np.flatnonzero(single(leaf) & ~single(before))
        if which.size:
            warn(
                "`fit_ensemble(quantizer=...)` ends with all entries of `models"
                f"{jax.tree_util.keystr(path)}` at a single value in {which.size} of {members} "
                f"members, the first one {which[0]}. Use a smaller step, more bits, or a step for "
                "each array or channel.",
            )


def _chosen(good: Any, new: Any, old: Any) -> Any:
    def choose(a: Any, b: Any) -> Any:
        return jnp.where(good.reshape(good.shape + (1,) * (a.ndim - good.ndim)), a, b)

    return jax.tree.map(choose, new, old)


def _copy(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def _is_none(leaf: Any) -> bool:
    return leaf is None
