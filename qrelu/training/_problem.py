"""Data to train on, in the form that the loop takes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork, realize
from ..norms import AbstractQuadrature, GaussLegendre
from ..targets import AbstractTarget
from ._default_quadrature import rule_of
from ._losses import CrossEntropy, Own

# Cells and nodes for a target on its interval: 1,024 nodes.
_CELLS, _NODES = 256, 4
# What models raise at a point that they were not made for.
_WRONG = (TypeError, ValueError, RuntimeError, AttributeError, IndexError, AssertionError)


class Problem(eqx.Module):
    """Inputs, labels and weights; the weights of data are 1/n, those of a target a quadrature's.

    The weights have the type of the losses; inputs may be whole numbers.
    """

    x: Any
    y: Any
    weights: Any

    @property
    def count(self) -> int:
        """How many points there are."""
        return self.x.shape[0]

    def take(self, rows: Any) -> "Problem":
        """Some of the points, with the weights of a mean over them."""
        part: Any = jax.tree.map(lambda a: a[rows], self)
        return eqx.tree_at(lambda p: p.weights, part, part.weights * (self.count / len(rows)))


def as_problem(name: str, data: Any, loss: Any, model: Any, dtype: Any) -> Problem:
    """Data, a target, or a function with a quadrature, checked."""
    call = f"fit({name}=...)"
    x: Any
    y: Any
    if isinstance(data, AbstractTarget):
        one = data.dimension == 1
        rule = GaussLegendre(data.domain, _CELLS, _NODES) if one else rule_of(data)
        x, w = rule.nodes, rule.weights
        y = _numbers(call, "y", data(x[:, 0] if one else x))
    elif is_pair(data):
        function, rule = data
        x, w = rule.nodes, rule.weights
        one = isinstance(function, AbstractTarget) and function.dimension == 1
        inputs = x[:, 0] if one else x
        y = _numbers(call, "y", function(inputs))
    elif isinstance(data, tuple | list) and len(data) == 2 and not callable(data[0]):
        x, y = (_numbers(call, word, part) for word, part in zip("xy", data, strict=True))
        w = np.full(len(x), 1 / max(len(x), 1)) if x.ndim else np.zeros(0)
    else:
        got = type(data).__name__
        if isinstance(data, tuple | list) and data:
            got += f" of {', '.join(type(part).__name__ for part in data[:3])}"
        raise TypeError(
            f"`{call}` must be arrays (x, y), a target, or a pair of a function and a quadrature; "
            f"got {got}. Get a target by name with `targets.get`, or wrap a function in "
            "`targets.Function`."
        )
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"`{call}` must have one label per point; got x of shape {x.shape} and y of shape "
            f"{y.shape}."
        )
    for word, part in (("x", x), ("y", y)):
        if not np.isfinite(part).all():
            row = np.argwhere(~np.isfinite(part))[0][0]
            raise ValueError(
                f"`{call}` must be finite; {word}[{row}] is not. Leave such rows out first."
            )
    x = x[:, None] if x.ndim == 1 else x
    inputs = _inputs(model)
    if inputs is not None and x.shape[1:] != (inputs,):
        raise ValueError(
            f"`{call}` must have points of shape (n, {inputs}) for a model of {inputs} inputs; got "
            f"{x.shape}."
        )
    labels = isinstance(loss, CrossEntropy)
    if labels and not (np.issubdtype(y.dtype, np.integer) and y.ndim == 1 and y.min() >= 0):
        raise ValueError(
            f'`{call}` must have whole-number labels of shape (n,) from 0 on for "cross_entropy"; '
            f"got {y.dtype} of shape {y.shape} from {y.min()} on. `y.astype(int)` makes whole "
            "numbers, `y.argmax(axis=1)` labels of rows with a single one."
        )
    keep = labels or isinstance(loss, Own)
    return Problem(
        jnp.asarray(x, dtype) if inputs is not None else _points(x, model, dtype),
        jnp.asarray(y) if keep else jnp.asarray(y, dtype),
        jnp.asarray(w, dtype),
    )


def _numbers(call: str, word: str, part: Any) -> np.ndarray:
    """An array of real numbers, or an error."""
    try:
        array = np.asarray(part)
    except ValueError:
        raise ValueError(
            f"`{call}` must have rows of one length; those of {word} have several. Pad or split "
            "them first."
        ) from None
    real = (jnp.floating, jnp.integer, jnp.bool_)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in real):
        raise TypeError(
            f"`{call}` must have real numbers; got {word} of type {array.dtype}. Convert it, "
            "complex numbers into two columns."
        )
    return array


def is_pair(data: Any) -> bool:
    """Whether this is a function with a quadrature."""
    pair = isinstance(data, tuple | list) and len(data) == 2
    return pair and isinstance(data[1], AbstractQuadrature)


def _inputs(model: Any) -> int | None:
    """How many numbers a point has, where the model says it."""
    if isinstance(model, ReLUNetwork):
        return model.widths[0]
    size = getattr(model, "in_size", None) if isinstance(model, eqx.nn.MLP) else None
    return size if isinstance(size, int) else None


def _points(x: np.ndarray, model: Any, dtype: Any) -> Any:
    """The points in the first form that the model takes, of rows and scalars, floats and integers.

    If it takes none, that is told where it is called.
    """
    shapes = [x, x[:, 0]] if x.shape[1:] == (1,) else [x]
    if getattr(model, "in_size", None) == "scalar":
        shapes.reverse()
    forms: list[Any] = [jnp.asarray(points, dtype) for points in shapes]
    if jnp.issubdtype(x.dtype, jnp.integer):
        forms += [jnp.asarray(points) for points in shapes]
    if len(forms) == 1:
        return forms[0]
    return next((points for points in forms if _takes(model, points[0])), forms[0])


def _takes(model: Any, point: Any) -> bool:
    """Whether a model, or each member of a stack of models, can be called with a point."""

    def call(model: Any, point: Any) -> Any:
        return predict(model, point[None])

    # Least squares widen the parameters later.
    with jax.numpy_dtype_promotion("standard"):
        for of in (call, eqx.filter_vmap(call, in_axes=(eqx.if_array(0), None))):
            try:
                eqx.filter_eval_shape(of, model, point)
                return True
            except _WRONG:
                continue
    return False


def predict(model: Any, x: Any) -> Any:
    """The values of any model at a batch of points."""
    if isinstance(model, ReLUNetwork):
        return realize(model, x)
    return jax.vmap(model)(x)


def objective(loss: Any, model: Any, part: Problem) -> Any:
    """The loss of a model on some points."""
    predictions, y = predict(model, part.x), part.y
    if isinstance(loss, Own):
        # Columns on both sides: (n, 1) and (n,) would broadcast to (n, n).
        predictions = predictions[:, None] if predictions.ndim == 1 else predictions
        labels = jnp.issubdtype(y.dtype, jnp.integer) and predictions.shape[1] > 1
        y = y[:, None] if y.ndim == 1 and not labels else y
    if not isinstance(loss, Own | CrossEntropy):
        predictions = predictions.reshape(part.count, -1)
        y = y.reshape(part.count, -1)
        if predictions.shape != y.shape:
            raise ValueError(
                f"`fit(model, data)` must get labels of the model's shape: the model gives "
                f"{predictions.shape[1]} numbers per point and the data {y.shape[1]}."
            )
    return loss(predictions, y, part.weights)
