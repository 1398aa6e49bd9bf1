"""A differentiable bound of the difference of two networks."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from ..networks import ReLUNetwork, SparseMatrix
from ._joint import Pair, joint_bounds
from ._pair import as_box, as_network, check_pair


def difference_bound(
    net: ReLUNetwork | eqx.nn.MLP, other: ReLUNetwork | eqx.nn.MLP, box: Any
) -> Array:
    r"""An upper bound of the largest difference of two networks on a box, to be differentiated.

    One joint pass of linear bounds, without splitting: wider than `enclose`, and cheap. It works
    under `jit`, `vmap` and `grad`, in the parameters of both networks (through a quantizer also in
    its step) and in the box, so that it can be a penalty in training. Where neurons change sides it
    is not differentiable, as the networks themselves.

    **Arguments:**

    - `net`, `other`: networks of the same widths.
    - `box`: the ends (lower, upper), each a number or an array of shape $(N_0,)$; ends in the wrong
        order are not noticed under `jit`.

    **Returns:**

    A scalar $\ge \sup_{x \in box} \|R(x) - R'(x)\|_\infty$ for the functions in real arithmetic.
    The rounding errors of this computation are inside, in the widest type of parameters and box
    (float32 at least).

    **Raises:**

    - `ValueError`: for networks of different widths, stacks of networks, or a box of another shape;
        outside of transformations also for a box that is inverted or not finite.

    **Reference:** derived; the proofs stand above the code of the joint bounds.
    """
    call = "difference_bound(net, other, box)"
    net, other = as_network(call, net), as_network(call, other)
    check_pair(call, net, other)
    if net.widths != other.widths:
        raise ValueError(
            f"`{call}` must be given networks of the same widths; got {net.widths} and "
            f"{other.widths}. Use `deepen` and `pad` on the smaller one."
        )
    first = _dense(net)
    second = _dense(other)
    inputs = net.widths[0]
    try:
        lower, upper = box
    except (TypeError, ValueError):
        raise ValueError(
            "`difference_bound(box=...)` must be a pair (lower, upper) of numbers or arrays; got "
            f"{box!r}."
        ) from None
    if not any(isinstance(end, Tracer) for end in (lower, upper)):
        as_box("difference_bound", box, inputs)
    lower, upper = jnp.asarray(lower), jnp.asarray(upper)
    dtype = jnp.result_type(*first[0], *first[1], *second[0], *second[1], jnp.float32)
    first, second = (
        tuple(tuple(p.astype(dtype) for p in part) for part in parts) for parts in (first, second)
    )
    for end in (lower, upper):
        if end.shape not in ((), (inputs,)):
            raise ValueError(
                "`difference_bound(box=...)` must have ends that are numbers or arrays of shape "
                f"({inputs},), one entry per input; got the shape {end.shape}."
            )
    lower, upper = (jnp.broadcast_to(end, (inputs,)) for end in (lower, upper))
    unit = float(jnp.finfo(dtype).eps)
    center = ((lower + upper) / 2).astype(dtype)
    # The center is rounded, perhaps from a wider type; the radius reaches both ends.
    size = jnp.maximum(jnp.abs(lower), jnp.abs(upper)).astype(dtype)
    radius = ((upper - lower) / 2).astype(dtype) * (1 + 4 * unit) + 4 * unit * size
    pair = Pair(
        first[0],
        first[1],
        tuple(w - v for w, v in zip(first[0], second[0], strict=True)),
        tuple(w - v for w, v in zip(first[1], second[1], strict=True)),
        second[0],
        second[1],
    )
    return _largest(pair, center[:, None], radius[:, None])


@jax.jit
def _largest(pair: Pair, center: Array, radius: Array) -> Array:
    # Infinity minus infinity, after an overflow, is no number; infinity still is a bound.
    largest = joint_bounds(pair, center, radius).upper.max()
    return jnp.where(jnp.isnan(largest), jnp.inf, largest)


def _dense(network: ReLUNetwork) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    weights = (w.to_dense() if isinstance(w, SparseMatrix) else w for w in network.weights)
    return tuple(jnp.asarray(w) for w in weights), tuple(jnp.asarray(b) for b in network.biases)
