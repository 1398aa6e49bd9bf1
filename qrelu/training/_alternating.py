"""Quantized training by turns: round some parameters, solve for the others, and try every code."""

import numbers
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork, from_mlp
from ..quantizers import AbstractCalibration, AbstractQuantizer
from ..rounding import feedback
from ._arrays import grids_of, refuse_wrapped
from ._checks import check_whole, generator
from ._code_moves import Grids, descended, loss_of
from ._error import error_of
from ._losses import Power
from ._marquardt import Marquardt
from ._problem import Problem, as_problem
from ._record import FitResult, settings_of
from ._second_order import solve

# Steps of Levenberg-Marquardt for the free parameters: most of the gain is in the first ones, and
# what follows rounds them anyway.
_STEPS = 30


def alternate(
    model: Any,
    data: Any,
    quantizer: AbstractQuantizer | AbstractCalibration,
    *,
    rounds: int = 10,
    share: float = 0.5,
    sweeps: int = 50,
    key: Any = None,
) -> FitResult:
    r"""Round some parameters, solve least squares for the others, round those too, try every code.

    ```python
    found = training.fit_shallow(targets.get("exp"), 16, key=key)
    result = training.alternate(found.network, targets.get("exp"), AbsMax(4, "network"))
    ```

    Straight-through training guesses a gradient where there is none. For small networks and squared
    errors there is no need to:

    1. the layers are rounded from the first to the last, by `rounding.feedback`; after each one the
       layers behind it are solved for again, by linear and then by nonlinear least squares;
    2. moves on the grid are tried, and made where the loss falls: every single code up and down,
       and every hidden unit times a factor that the next layer takes up;
    3. in every round a random share of the parameters leaves the grid, is solved for while the
       others stay, and is rounded; in every second one a few codes change at random instead. Then
       2. follows. The best network is kept.

    The grids are chosen once, from the parameters at the start. The result is never worse than
    rounding to nearest: by the distance where `data` are a target, on the data otherwise.

    **Arguments:**

    - `model`: a trained `ReLUNetwork`, or an `eqx.nn.MLP` with ReLU, biases and `scan=False`. All
        its parameters are rounded. A few hundred parameters take seconds; the time grows with the
        square of their number.
    - `data`: as in `fit`; the loss is "l2".
    - `quantizer`: the grid, or the calibration that chooses one for each array; deterministic.
    - `rounds`: how often it begins anew from the best network.
    - `share`: the share of the parameters that leave the grid then.
    - `sweeps`: most sweeps over all moves in a round.
    - `key`: decides which parameters leave and which codes change; seed 0 if None.

    **Returns:**

    A `FitResult`; `model` and `latent` are the same, on the grid. `history` has the best loss after
    rounding and after each round; `steps` counts the rounds.

    **Raises:**

    - `TypeError`: for other models. `freeze_gradually` and `fit` take any.
    - `ValueError`: for a share outside (0, 1), stochastic grids, and as `fit`.

    **Reference:** derived; [babai1986] and [frantar2023] for what `feedback` does.
    """
    begun = time.perf_counter()
    check_whole("alternate", "rounds", rounds, 0)
    check_whole("alternate", "sweeps", sweeps)
    if not (isinstance(share, numbers.Real) and 0 < share < 1):
        raise ValueError(f"`alternate(share=...)` must be between 0 and 1; got {share!r}.")
    if getattr(quantizer, "rounding", None) == "stochastic":
        raise ValueError(
            "`alternate(model, data, quantizer)` must get a deterministic quantizer; got "
            'stochastic rounding. Every code is chosen here: use `rounding="nearest"`.'
        )
    refuse_wrapped("alternate", model)
    network = _network(model)
    grids = Grids(grids_of(network, quantizer))
    loss = Power(2.0)
    rng = generator("alternate", jax.random.key(0) if key is None else key)
    with jax.enable_x64(True):
        problem = as_problem("data", data, loss, network, jnp.float64)
        starts = [grids.rounded(network), *_layer_by_layer(network, grids, problem)]
        losses = [loss_of(start, problem) for start in starts]
        if not np.isfinite(losses[0]):
            raise ValueError(
                "`alternate(model, data, ...)` must start from a finite loss; rounded to nearest "
                f"it is {losses[0]}. Look for large or missing parameters."
            )
        best, least = descended(starts[int(np.argmin(losses))], grids, problem, sweeps)
        history = [min(losses), least]
        for i in range(rounds):
            if i % 2:
                tried = grids.kicked(best, rng)
            else:
                tried = _solved_again(best, grids, problem, share, rng)
            other, value = descended(tried, grids, problem, sweeps)
            if value < least:
                best, least = other, value
            history.append(least)
        # The nodes of the loss are not the target: the exact distance decides.
        chosen = [(start, *error_of(start, data, loss, None, 0)) for start in (best, starts[0])]
        if chosen[0][2].endswith("distance"):
            chosen.sort(key=lambda one: float(one[1]))
        best, error, kind = chosen[0]
        final = np.asarray(loss_of(best, problem))
    trained = _like(model, best)
    return FitResult(
        trained,
        trained,
        np.array(history),
        np.zeros(0),
        np.zeros(0, np.int64),
        final,
        error,
        kind,
        rounds,
        "all rounds",
        np.array(True),
        time.perf_counter() - begun,
        settings_of("float64", rounds=rounds, share=share, sweeps=sweeps, loss="2"),
    )


def _layer_by_layer(network: ReLUNetwork, grids: Grids, problem: Problem) -> list[ReLUNetwork]:
    """Networks on the grids: rounded with feedback at once, and with solving behind each layer."""
    depth = len(network.weights)
    pairs = list(zip(grids.grids[:depth], grids.grids[depth:], strict=True))
    features, y = np.asarray(problem.x), np.asarray(problem.y).reshape(problem.count, -1)
    found, done, free = [], ([], []), network
    for layer in range(depth):
        tail = ReLUNetwork(free.weights[layer:], free.biases[layer:])
        rounded: Any = feedback(
            tail, pairs[layer:], features, values=y, point_weights=np.asarray(problem.weights)
        )
        weights, biases = (*done[0], *rounded.weights), (*done[1], *rounded.biases)
        found.append(ReLUNetwork(weights, biases))
        if layer == depth - 1:
            break
        wanted = features @ np.transpose(free.weights[layer]) + free.biases[layer]
        done[0].append(rounded.weights[0])
        done[1].append(rounded.biases[0])
        features = np.maximum(features @ np.transpose(done[0][-1]) + done[1][-1], 0.0)
        # The next layer is fitted to its pre-activations of before, or to the values.
        wanted = np.maximum(wanted, 0.0) @ np.transpose(free.weights[layer + 1])
        wanted = wanted + free.biases[layer + 1]
        weight, bias = _linear(features, y if layer == depth - 2 else wanted, problem)
        like = free.weights[layer + 1].dtype
        weights = [*done[0], weight.astype(like), *free.weights[layer + 2 :]]
        biases = [*done[1], bias.astype(like), *free.biases[layer + 2 :]]
        free = ReLUNetwork(weights, biases)
        leaves, structure = jax.tree.flatten(free)
        behind = [np.full(leaf.shape, i % depth > layer) for i, leaf in enumerate(leaves)]
        free = _solved(free, jax.tree.unflatten(structure, behind), problem)
    return found


def _linear(features: np.ndarray, wanted: np.ndarray, problem: Problem) -> Any:
    """Matrix and bias of the best linear layer."""
    root = np.sqrt(np.asarray(problem.weights))[:, None]
    columns = root * np.concatenate([features, np.ones((len(features), 1))], axis=1)
    solution = np.linalg.lstsq(columns, root * wanted, rcond=1e-10)[0]
    return solution[:-1].T, solution[-1]


def _solved(network: ReLUNetwork, mask: ReLUNetwork, problem: Problem) -> ReLUNetwork:
    """The network with what the mask leaves free at a local optimum, in the type that it had."""
    start = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), network)
    end = jnp.full(_STEPS, jnp.nan)
    parameters, rest = eqx.partition(start, eqx.is_inexact_array)
    best = solve(parameters, mask, rest, problem, Marquardt(), end, False, 0)[0]
    found = jax.tree.map(lambda p, like: np.asarray(p).astype(like.dtype), best, network)
    whole = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    return found if whole else network


def _solved_again(
    network: ReLUNetwork, grids: Grids, problem: Problem, share: float, rng: np.random.Generator
) -> ReLUNetwork:
    """The network after some of its parameters were free, on the grids: the best way to round."""
    mask = jax.tree.map(lambda p: rng.random(p.shape) < share, network)
    free = _solved(network, mask, problem)
    depth = len(network.weights)
    pairs = list(zip(grids.grids[:depth], grids.grids[depth:], strict=True))
    y = np.asarray(problem.y).reshape(problem.count, -1)
    points, weights = np.asarray(problem.x), np.asarray(problem.weights)
    ways = [grids.rounded(free), feedback(free, pairs, points, values=y, point_weights=weights)]
    return min(ways, key=lambda way: loss_of(way, problem))


def _network(model: Any) -> ReLUNetwork:
    """The model as a network of NumPy arrays."""
    cure = "`freeze_gradually` and `fit(quantizer=...)` take other models."
    if isinstance(model, eqx.nn.MLP):
        if model.scan or not (model.use_bias and model.use_final_bias):
            raise TypeError(
                "`alternate(model, ...)` must get an MLP with biases and `scan=False`; got "
                f"scan={model.scan}, use_bias={model.use_bias}, "
                f"use_final_bias={model.use_final_bias}. {cure}"
            )
        network = from_mlp(model)
    elif isinstance(model, ReLUNetwork):
        network = model
    else:
        raise TypeError(
            "`alternate(model, ...)` must get a `ReLUNetwork` or an `equinox.nn.MLP`; got "
            f"{type(model).__name__}. {cure}"
        )
    if any(not eqx.is_array_like(w) or np.ndim(w) != 2 for w in network.weights):
        raise TypeError(
            "`alternate(model, ...)` must get one network with dense matrices; got sparse ones or "
            f"a stack. `networks.densify` or `networks.unstack` it. {cure}"
        )
    return jax.tree.map(np.asarray, network)


def _like(model: Any, network: ReLUNetwork) -> Any:
    """The network in the class and with the kinds of arrays of the model."""
    old = _network_leaves(model)
    new = [
        jnp.asarray(leaf) if isinstance(before, jax.Array) else np.asarray(leaf)
        for leaf, before in zip(jax.tree.leaves(network), old, strict=True)
    ]
    return eqx.tree_at(_network_leaves, model, new)


def _network_leaves(model: Any) -> list[Any]:
    if isinstance(model, eqx.nn.MLP):
        return [*(m.weight for m in model.layers), *(m.bias for m in model.layers)]
    return [*model.weights, *model.biases]
