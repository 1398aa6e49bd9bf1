"""Equinox's multilayer perceptron as a ReLU network, and back."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._matrices import library, single, zeros
from ._network import ReLUNetwork
from ._sparsify import densify


def from_mlp(mlp: eqx.Module) -> ReLUNetwork:
    r"""The ReLU network with the parameters of an `equinox.nn.MLP`.

    The parameters are taken as they are; a missing bias becomes zero. Scalar sizes become 1, so
    points and values get an axis of length 1. Layers under `scan=True` are taken apart.

    **Arguments:**

    - `mlp`: an `equinox.nn.MLP` with ReLU activation and no final activation. For an ensemble of
      them use `equinox.filter_vmap(from_mlp)`, which gives a network as of `stack`.

    **Returns:**

    A network with the same kinds of arrays and the same dtypes.

    **Raises:**

    - `TypeError`: for something else than an `equinox.nn.MLP`.
    - `ValueError`: for other activations.
    """
    if not isinstance(mlp, eqx.nn.MLP):
        raise TypeError(
            f"`from_mlp(mlp)` must be given an `equinox.nn.MLP`; got {type(mlp).__name__}. "
            "`ReLUNetwork(weights, biases)` takes the parameters of other models."
        )
    if mlp.depth > 0:
        _check("activation", mlp.activation, "jax.nn.relu", (jax.nn.relu, _maximum))
        _check("final_activation", mlp.final_activation, "lambda x: x", (_identity,))
    layers = [(layer.weight, layer.bias) for layer in mlp.layers]
    if mlp.scan and mlp.depth > 0:
        (w, b), many = layers[1], range(mlp.depth - 1)
        layers[1:2] = [(w[i], None if b is None else b[i]) for i in many]
    weights = [w for w, _ in layers]
    biases = [zeros(w.shape[0], w) if b is None else b for w, b in layers]
    return ReLUNetwork(weights, biases)


def to_mlp(
    network: ReLUNetwork,
    *,
    in_size: Literal["scalar"] | None = None,
    out_size: Literal["scalar"] | None = None,
    use_bias: bool = True,
    use_final_bias: bool = True,
    scan: bool = False,
) -> eqx.nn.MLP:
    r"""The `equinox.nn.MLP` with the parameters of a ReLU network: the inverse of `from_mlp`.

    **Arguments:**

    - `network`: the network; all hidden layers of the same width (`pad` makes them so). Sparse
        matrices become dense: `equinox.nn.MLP` has no others.
    - `in_size`: `"scalar"` for points of shape `()`; needs one input.
    - `out_size`: `"scalar"` for values of shape `()`; needs one output.
    - `use_bias`: whether the hidden layers have a bias; without, it must be zero.
    - `use_final_bias`: whether the output layer has a bias; without, it must be zero.
    - `scan`: whether Equinox scans over the layers.

    **Returns:**

    An `equinox.nn.MLP` with ReLU and the same kinds of arrays and the same dtypes. Its `width_size`
    is 1 when there is no hidden layer.

    **Raises:**

    - `ValueError`: for unequal hidden widths, scalar sizes of vectors, or a bias that would be
      lost.
    """
    single("to_mlp(network)", network)
    network = densify(network)
    inputs, *hidden, outputs = network.widths
    if len(set(hidden)) > 1:
        raise ValueError(
            "`to_mlp(network)` must be given hidden layers of one width, as `equinox.nn.MLP` has; "
            f"got {tuple(hidden)}. Use `pad` first."
        )
    for name, size, n in (("in_size", in_size, inputs), ("out_size", out_size, outputs)):
        if size is not None and (size != "scalar" or n != 1):
            raise ValueError(
                f'`to_mlp({name}=...)` must be None, or "scalar" for a size of 1; got {size!r} for '
                f"a size of {n}."
            )
    kept = [use_bias] * len(hidden) + [use_final_bias]
    for i, (keep, b) in enumerate(zip(kept, network.biases, strict=True)):
        if not keep and np.any(np.asarray(b)):
            name = "use_final_bias" if i == len(hidden) else "use_bias"
            raise ValueError(
                f"`to_mlp({name}=False)` must be given zero biases there; `biases[{i}]` is not "
                f"zero. Use `{name}=True`."
            )
    layers = [
        (w, b if keep else None)
        for w, b, keep in zip(network.weights, network.biases, kept, strict=True)
    ]
    if scan and hidden:
        layers[1:-1] = [_stack_layers(layers[1:-1], network, use_bias)]
    skeleton = eqx.filter_eval_shape(
        eqx.nn.MLP,
        in_size or inputs,
        out_size or outputs,
        hidden[0] if hidden else 1,
        len(hidden),
        use_bias=use_bias,
        use_final_bias=use_final_bias,
        scan=scan,
        key=jax.random.key(0),
    )
    return eqx.tree_at(
        lambda m: [p for layer in m.layers for p in (layer.weight, layer.bias)],
        skeleton,
        [p for layer in layers for p in layer],
        is_leaf=lambda p: p is None,
    )


def _stack_layers(layers: list, network: ReLUNetwork, use_bias: bool) -> tuple:
    """The inner layers along a leading axis, of length 0 where there is none."""
    if layers:
        columns = zip(*layers, strict=True)
        return tuple(None if c[0] is None else library(*c).stack(c) for c in columns)
    w, n = network.weights[0], network.widths[1]
    xp = library(w)
    return xp.zeros((0, n, n), w.dtype), xp.zeros((0, n), w.dtype) if use_bias else None


def _maximum(x: Array) -> Array:
    return jnp.maximum(x, 0)


def _identity(x: Array) -> Array:
    return x


def _check(name: str, given: Callable, cure: str, allowed: tuple[Callable, ...]) -> None:
    """Refuse a function that does not trace to the same program as one of the allowed ones."""
    x = jnp.zeros(())
    learned = any(isinstance(p, jax.Array | np.ndarray) for p in jax.tree.leaves(given))
    programs = [str(jax.make_jaxpr(f)(x)) for f in allowed]
    if learned or str(jax.make_jaxpr(given)(x)) not in programs:
        raise ValueError(
            f"`from_mlp(mlp)` must be given a ReLU network without final activation; got the "
            f"{name} {getattr(given, '__name__', given)}. Use `{name}={cure}`."
        )
