"""Putting a quantizer under the parameters of any Equinox model, and taking it out again."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ._abstract import AbstractQuantizer
from ._calibration import AbstractCalibration
from ._leaf import BACKWARDS, Wrapped, freeze, thaw
from ._lsq import LSQ
from ._quantize import UNTOUCHED, is_parameter, named, warn_of_single_level
from ._random import key_of

_CONVOLUTIONS = (eqx.nn.Conv, eqx.nn.ConvTranspose)
_KEPT = (Wrapped, *UNTOUCHED)


class Resolved(eqx.Module):
    """A layer that needs plain arrays: it is unwrapped whenever it is called.

    Convolutions hand their kernel to a primitive of JAX, which takes nothing but arrays. The
    attributes are those of the layer.
    """

    layer: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return unwrap(self.layer)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "layer" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.layer, name)


def wrap(
    model: PyTree,
    q: AbstractQuantizer | AbstractCalibration,
    where: Callable[[Any], Any] | None = None,
    *,
    backward: str = "quantized",
) -> PyTree:
    r"""The model with a quantizer under its parameters, ready for training.

    The model keeps its class and is called as before; its values are those of `unwrap(model)`.
    Every chosen parameter becomes a latent number, which is what the optimizer trains, and is
    rounded to the grid anew in every call, inside `jax.jit`. With a calibration such as
    `AbsMax(4, "channel")` the grid follows the latent numbers; with `LSQ(4)` each parameter
    array has a step of its own that is trained with it. Fixed grids have no trainable leaf.

    ```python
    model = wrap(model, AbsMax(4, "channel"), lambda m: [layer.weight for layer in m.layers])
    gradients = eqx.filter_grad(loss)(model, x, y)  # as for any Equinox model
    model = unwrap(model)  # plain arrays with grid values
    ```

    **Arguments:**

    - `model`: any Equinox module, or any pytree of arrays.
    - `q`: the quantizer, or the calibration that chooses one for every array.
    - `where`: a function from the model to the arrays, or parts of it, to be quantized, as in
        `equinox.tree_at`; a part stands for all parameters in it. Without it all parameters are,
        biases and norms' scales included, so that `unwrap(wrap(model, q))` is
        `quantize(model, q)`. Known layers that are stacked (`eqx.nn.MLP(scan=True)`, ensembles)
        are the exception: a calibration gives each of them grids of its own here, and looks at the
        stack as one array there.
    - `backward`: what a product $\hat W x$ with the quantized matrix $\hat W = q(W)$ hands back
        to $x$: $\hat W^\top g$ with "quantized" (the derivative, as in PyTorch), $W^\top g$ with
        "latent" (as in AQT and Qwix). The gradient with respect to $W$ is $g x^\top$ through the
        quantizer in both. "latent" acts in products written `@` or `*` and makes every other
        function of the matrix an error; for arrays with fewer than two axes, such as biases,
        both are the same.

    **Returns:**

    The model in the same class, with `Wrapped` parameters. NumPy parameters become JAX arrays.
    Convolutions inside the model are put into a shell that resolves them when they are called,
    with the same attributes. Own modules that hand a parameter to `jax.lax` directly need
    `unwrap(model)` inside the loss; so does stochastic rounding, with a key.

    **Raises:**

    - `ValueError`: if there is nothing to quantize, for parameters that are not finite or are
        wrapped already, for an unknown `backward`, or where `backward="latent"` cannot be kept.
    - `TypeError`: if `q` is no quantizer, or if `where` chooses something that is no array of
        real floating-point numbers.
    """
    if backward not in BACKWARDS:
        raise ValueError(f'`wrap(backward=...)` must be "quantized" or "latent"; got {backward!r}.')
    if not isinstance(q, (AbstractQuantizer, AbstractCalibration)):
        raise TypeError(
            f"`wrap(model, q)` must get a quantizer or a calibration; got {named(q)}. Use, "
            'for example, `quantizers.AbsMax(4, "channel")`.'
        )
    if where is not None and not callable(where):
        raise TypeError(
            f"`wrap(where=...)` must be a function from the model to its arrays; got "
            f"{type(where).__name__}. Use, for example, `lambda m: [l.weight for l in m.layers]`."
        )
    if getattr(q, "granularity", None) == "network":
        raise ValueError(
            "`wrap(model, q)` must get a grid that one array decides; got one step for the whole "
            "network. Call `quantize(model, q)` inside the loss instead."
        )
    paths, structure = jax.tree_util.tree_flatten_with_path(model, is_leaf=_is_kept)
    leaves = [leaf for _, leaf in paths]
    chosen = _chosen(leaves, structure, where, [jax.tree_util.keystr(path) for path, _ in paths])
    for index in chosen:
        path, leaf = paths[index]
        leaves[index] = _wrapped(leaf, q, _parent(model, path), path, backward)
    wrapped = jax.tree.unflatten(structure, leaves)
    if isinstance(model, _CONVOLUTIONS):
        raise ValueError(
            f"`wrap(model, q)` must get a model around the layer `{type(model).__name__}`, which "
            "needs plain arrays when it is called. Use `equinox.nn.Sequential([layer])`."
        )
    return jax.tree.map(_shell, wrapped, is_leaf=_is_convolution)


def unwrap(model: PyTree, *, key: Any = None) -> PyTree:
    r"""The plain model with grid values; what `wrap` replaced is an array again.

    Inside a loss it is differentiable with respect to the latent numbers, and the function for
    models that need plain arrays or a key.

    **Arguments:**

    - `model`: a model from `wrap`. A model without wrapped parameters is returned as it is.
    - `key`: one random key, for stochastic rounding; used as in `quantize`.

    **Returns:**

    The model in the structure that it had before `wrap`.

    **Raises:**

    - `ValueError`: for stochastic rounding without a key.
    """
    model = jax.tree.map(
        lambda x: x.layer if isinstance(x, Resolved) else x,
        model,
        is_leaf=lambda x: isinstance(x, Resolved),
    )

    def plain(path: tuple, node: Any) -> Any:
        if not isinstance(node, Wrapped):
            return node
        name = jax.tree_util.keystr(path)
        return node.quantized(None if key is None else key_of(key, name))

    return jax.tree_util.tree_map_with_path(plain, model, is_leaf=_is_wrapped)


class _AsItIs(eqx.Module):
    """The rule of numbers that are on their grid already."""

    def __call__(self, x: Any, key: Any = None) -> Any:
        return x


def settled(model: PyTree) -> PyTree:
    """A model from `wrap` whose parameters stand there with their grid values, computed once.

    In a loop, or where a function is mapped over rows of a matrix, nothing is rounded again; and
    products are still those of wrapped matrices.
    """

    def settle(node: Any) -> Any:
        if not isinstance(node, Wrapped):
            return node
        return Wrapped(node.quantized(), freeze(_AsItIs(), ()), node.ndim, "quantized")

    return jax.tree.map(settle, model, is_leaf=_is_wrapped)


def _is_wrapped(node: Any) -> bool:
    return isinstance(node, Wrapped)


def _is_kept(node: Any) -> bool:
    return isinstance(node, _KEPT)


def _is_convolution(node: Any) -> bool:
    return isinstance(node, (*_CONVOLUTIONS, Resolved))


def _shell(node: Any) -> Any:
    if isinstance(node, _CONVOLUTIONS):
        # A kernel without axes is a placeholder of `eqx.nn.Shared` for one that may be wrapped.
        wrapped = any(_is_wrapped(x) for x in jax.tree.leaves(node, is_leaf=_is_wrapped))
        if wrapped or not hasattr(node.weight, "ndim"):
            return Resolved(node)
    return node


class _Place:
    """Stands for a leaf while `where` looks for it."""

    def __init__(self, index: int):
        self.index = index


def _chosen(leaves: list, structure: Any, where: Any, names: Sequence[str]) -> list[int]:
    if where is None:
        chosen = [i for i, leaf in enumerate(leaves) if is_parameter(leaf)]
        if not chosen:
            raise ValueError(
                "`wrap(model, q)` must get a model with arrays of real floating-point numbers "
                "that are not wrapped yet; got none."
            )
        return chosen
    places = jax.tree.unflatten(structure, [_Place(i) for i in range(len(leaves))])
    answer = where(places)
    chosen = set()
    for node in answer if isinstance(answer, (list, tuple)) else [answer]:
        below = [x.index for x in jax.tree.leaves(node) if isinstance(x, _Place)]
        good = {i for i in below if is_parameter(leaves[i])}
        wrapped = [names[i] for i in below if isinstance(leaves[i], Wrapped)]
        if wrapped:
            raise ValueError(
                f"`wrap(where=...)` must choose parameters that are not wrapped yet; got "
                f"`model{wrapped[0]}`. Call `unwrap(model)` first."
            )
        if not good:
            got = type(leaves[below[0]] if below else node).__name__
            if below and hasattr(leaves[below[0]], "dtype"):
                got = f"{leaves[below[0]].dtype} numbers"
            name = f"`model{names[below[0]]}`, " if below else ""
            raise TypeError(
                "`wrap(where=...)` must choose arrays of real floating-point numbers; got "
                f"{name}{got}. Choose, for example, `lambda m: [l.weight for l in m.layers]`."
            )
        chosen |= good
    if not chosen:
        raise ValueError(
            "`wrap(where=...)` must choose at least one parameter; got none. Leave `where` out to "
            "quantize all of them."
        )
    return sorted(chosen)


def _parent(model: Any, path: tuple) -> Any:
    for entry in path[:-1]:
        if isinstance(entry, jax.tree_util.GetAttrKey):
            model = getattr(model, entry.name)
        elif isinstance(entry, jax.tree_util.SequenceKey):
            model = model[entry.idx]
        elif isinstance(entry, jax.tree_util.DictKey):
            model = model[entry.key]
        else:
            return None
    return model


def _stack_axes(parent: Any) -> int:
    """How many axes a known layer has in front of its own: a scan over layers, an ensemble."""
    if isinstance(parent, (eqx.nn.Linear, eqx.nn.Embedding)):
        weight, own = parent.weight, 2
    elif isinstance(parent, (eqx.nn.GRUCell, eqx.nn.LSTMCell)):
        weight, own = parent.weight_ih, 2
    elif isinstance(parent, _CONVOLUTIONS):
        weight, own = parent.weight, parent.num_spatial_dims + 2
    elif isinstance(parent, (eqx.nn.LayerNorm, eqx.nn.RMSNorm)):
        weight, own = parent.weight, len(parent.shape)
    elif isinstance(parent, (eqx.nn.GroupNorm, eqx.nn.BatchNorm)):
        weight, own = parent.weight, 1
    else:
        return 0
    # Where the weight is that of another layer (`eqx.nn.Shared`), a placeholder stands here.
    return max(0, getattr(weight, "ndim", own) - own)


def _wrapped(leaf: Any, q: Any, parent: Any, path: tuple, backward: Any) -> Wrapped:
    name = jax.tree_util.keystr(path)
    latent = jnp.asarray(leaf)
    stacked = latent.shape[: _stack_axes(parent)]
    axes = latent.ndim - len(stacked)
    if not isinstance(latent, Tracer) and not np.isfinite(np.asarray(latent, np.float64)).all():
        raise ValueError(
            f"`wrap(model, q)` must get finite parameters; got NaN or infinity in `model{name}`."
        )
    if backward == "latent":
        if axes < 2 or isinstance(parent, eqx.nn.Embedding):
            backward = "quantized"  # the sum with a bias and the choice of a row have no product
        elif isinstance(parent, _CONVOLUTIONS):
            raise ValueError(
                f'`wrap(backward="latent")` must get matrices that are used in products `@`; got '
                f"`model{name}`, the kernel of a convolution. Leave it out in `where`, or use "
                '`backward="quantized"`.'
            )
    rule = _begun(q, latent, len(stacked)) if isinstance(q, LSQ) else freeze(q, stacked)
    wrapped = Wrapped(latent, rule, axes, backward)
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves((latent, rule)))
    if not traced and getattr(q, "rounding", None) != "stochastic":
        numbers = np.asarray(latent)
        values = _in_numpy(numbers, thaw(rule), axes)
        warn_of_single_level("wrap(model, q)", f"model{name}", numbers, values)
    return wrapped


def _begun(q: LSQ, latent: Any, stacked: int) -> Any:
    """A learned grid of the array; one for each entry of the stacked axes."""
    if stacked:
        return eqx.filter_vmap(lambda part: _begun(q, part, stacked - 1))(latent)
    return freeze(q.grid(latent), ())


def _in_numpy(latent: np.ndarray, rule: Any, axes: int) -> np.ndarray:
    """The values as `resolve` gives them, without compiling anything."""
    arrays, rest = eqx.partition(rule, eqx.is_array)

    def values(latent: np.ndarray, arrays: Any) -> np.ndarray:
        if latent.ndim > axes:
            entries = range(len(latent))
            split = [jax.tree.map(operator.itemgetter(i), arrays) for i in entries]
            return np.asarray([values(latent[i], split[i]) for i in entries])
        grid = eqx.combine(arrays, rest)
        grid = grid.grid(latent) if isinstance(grid, AbstractCalibration) else grid
        return np.asarray(grid(latent))

    return values(latent, jax.tree.map(np.asarray, arrays))
