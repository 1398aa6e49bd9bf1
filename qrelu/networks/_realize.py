"""The function that a network represents, on any batch of points."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ._matrices import product
from ._network import ReLUNetwork, check_network, multiplies_itself
from ._tiles import Tiles, accelerator_tiles, processor_tiles

Layers = Sequence[tuple[Any, Array]]

# Activations of a network below which `vmap` batches products.
SMALL = 2**11


def realize(network: ReLUNetwork, xs: ArrayLike) -> Float[Array, "..."]:
    r"""The values of a network on a batch of points.

    Compiled once per architecture, shape and dtype, never per parameter value. Works under `jit`,
    `vmap`, forward and reverse mode, in the points and in the parameters. Many points are evaluated
    tile by tile: activations stay in a processor's cache, and memory stays bounded, in gradients
    too (a tile's activations are computed again in the reverse pass). Matrix products ask for the
    highest precision, so that accelerators compute in full float32 (float64 where JAX has it
    enabled).

    **Arguments:**

    - `network`: the network, with NumPy or JAX parameters, dense or sparse.
    - `xs`: points of shape $(\ldots, N_0)$, any leading shape.

    **Returns:**

    A JAX array of shape $(\ldots, N_L)$, in the common dtype of the parameters and the points.

    **Raises:**

    - `ValueError`: when the last axis of `xs` does not have length $N_0$.
    - `TypeError`: for an argument that is no network, and for complex points.
    """
    check_network("realize(network, xs)", network)
    xs = jnp.asarray(xs)
    if jnp.issubdtype(xs.dtype, jnp.complexfloating):
        raise TypeError(
            f"`realize(network, xs)` takes real points; got {xs.dtype}. The ReLU of a complex "
            "number is not defined."
        )
    inputs = network.widths[0]
    if xs.ndim == 0 or xs.shape[-1] != inputs:
        raise ValueError(
            f"`realize(network, xs)` takes points of shape (..., {inputs}); got the shape "
            f"{xs.shape}." + (" Use `xs[..., None]`." if inputs == 1 else "")
        )
    if network.weights[0].ndim != 2:
        raise ValueError(
            "`realize(network, xs)` is for one network; use `jax.vmap` for a stack of them: "
            "`jax.vmap(realize, in_axes=(0, None))(stacked, xs)`."
        )
    return _realize(network, xs)


@jax.jit
def _realize(network: ReLUNetwork, xs: Array) -> Array:
    weights = [w if multiplies_itself(w) else jnp.asarray(w) for w in network.weights]
    biases = [jnp.asarray(b) for b in network.biases]
    flat = _values(list(zip(weights, biases, strict=True)), xs.reshape(-1, xs.shape[-1]))
    return flat.reshape(*xs.shape[:-1], flat.shape[-1])


# A batched product of small matrices runs on a processor as a loop over the batch, with activations
# of the whole batch between two layers: 64 networks of width 16 at 65,536 points take twice the
# time of one after the other. So `vmap` evaluates networks one after the other there, unless points
# are few. JAX cannot differentiate through such a rule in reverse mode; derivatives take the rule
# below, which is plain JAX, and are batched in the ordinary way.
@jax.custom_jvp
def _values(layers: Layers, points: Array) -> Array:
    return _one_or_many(layers, points)


@_values.defjvp
def _(primals, tangents):
    return jax.jvp(partial(_by_platform, derivative=True), primals, tangents)


@jax.custom_batching.custom_vmap
def _one_or_many(layers: Layers, points: Array) -> Array:
    return _by_platform(layers, points)


@_one_or_many.def_vmap
def _(size: int, batched: Any, layers: Layers, points: Array) -> tuple[Array, bool]:
    axes = jax.tree.map(lambda b: 0 if b else None, batched)

    def together(layers: Layers, points: Array) -> Array:
        return jax.vmap(_by_platform, in_axes=axes, axis_size=size)(layers, points)

    def in_turn(layers: Layers, points: Array) -> Array:
        leaves, structure = jax.tree.flatten((layers, points))
        flags = jax.tree.leaves(batched)
        varying = [p for p, b in zip(leaves, flags, strict=True) if b]

        def one(some: list[Array]) -> Array:
            these = iter(some)
            parts = [next(these) if b else p for p, b in zip(leaves, flags, strict=True)]
            return _one_or_many(*jax.tree.unflatten(structure, parts))

        return jax.lax.map(one, varying)

    count, widths = points.shape[-2], [b.shape[-1] for _, b in layers]
    if not isinstance(count, int) or count * max(widths) < SMALL:
        return together(layers, points), True
    return jax.lax.platform_dependent(layers, points, cpu=in_turn, default=together), True


def _by_platform(layers: Layers, points: Array, derivative: bool = False) -> Array:
    widths = (points.shape[-1], *(b.shape[-1] for _, b in layers))
    rows = any(multiplies_itself(w) for w, _ in layers)
    plans = [
        plan(points.shape[0], widths, rows, derivative)
        for plan in (processor_tiles, accelerator_tiles)
    ]
    processor, accelerator = (partial(_tiled, tiles=plan) for plan in plans)
    if plans[0] == plans[1]:
        return processor(layers, points)
    return jax.lax.platform_dependent(layers, points, cpu=processor, default=accelerator)


def _tiled(layers: Layers, points: Array, tiles: Tiles) -> Array:
    """The network on points (P, N_0), tile by tile."""
    evaluate: Callable = _points_first if tiles.points_first else _features_first
    if tiles.repeats == 1:
        return evaluate(layers, points)
    # The last point is repeated: the value at any other point could overflow, and NaN times a
    # cotangent of zero is NaN.
    count, inputs = points.shape
    points = jnp.pad(points, ((0, tiles.repeats * tiles.points - count), (0, 0)), mode="edge")
    evaluate = jax.checkpoint(evaluate, prevent_cse=False)
    out = jax.lax.map(
        lambda tile: evaluate(layers, tile), points.reshape(tiles.repeats, tiles.points, inputs)
    )
    return out.reshape(-1, out.shape[-1])[:count]


def _features_first(layers: Layers, points: Array) -> Array:
    h = points.T
    for i, (w, b) in enumerate(layers):
        h = jax.nn.relu(h) if i > 0 else h
        h = product(w, h) + b[:, None]
    return h.T


def _points_first(layers: Layers, points: Array) -> Array:
    h = points
    for i, (w, b) in enumerate(layers):
        h = jax.nn.relu(h) if i > 0 else h
        h = product(h, w.T) + b[None, :]
    return h
