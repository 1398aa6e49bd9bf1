"""Two networks of the same input and a box, checked and brought to float64."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..networks import ReLUNetwork, SparseMatrix, from_mlp
from ._checks import as_numbers


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """A floating-point evaluation: relative and absolute error of one operation, overflow.

    `name` is "exact" for the function in real arithmetic, which has no error.
    """

    name: str
    unit: float
    tiny: float
    largest: float
    rounds_input: bool


EXACT = Arithmetic("exact", 0.0, 0.0, math.inf, False)


@dataclasses.dataclass(frozen=True)
class Layers:
    """A network in dense float64 arrays, and how it is evaluated."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    arithmetic: Arithmetic

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.weights[0].shape[1]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values of shape (points, outputs) at points of shape (points, inputs), in float64."""
        h = x.T
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = product(w, np.maximum(h, 0.0) if i else h) + b[:, None]
        return h.T


# Multiply-adds of one product: below what OpenBLAS gives to several threads, whose waking up costs
# more than these products do, up to ten times on busy machines.
_NARROW = 2**17


def product(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The matrix product w x, in narrow blocks of columns."""
    rows, columns = w.shape[0], x.shape[1]
    width = max(1, _NARROW // w.size)
    whole = columns // width * width
    out = np.empty((rows, columns))
    blocks = (a[:, :whole].reshape(len(a), -1, width).swapaxes(0, 1) for a in (x, out))
    np.matmul(w, next(blocks), out=next(blocks))
    np.matmul(w, x[:, whole:], out=out[:, whole:])
    return out


def as_network(call: str, model: Any) -> ReLUNetwork:
    """A single network, or an `equinox.nn.MLP` as one."""
    if isinstance(model, eqx.nn.MLP):
        model = from_mlp(model)
    if not isinstance(model, ReLUNetwork):
        raise TypeError(
            f"`{call}` must be given networks: `ReLUNetwork` or `equinox.nn.MLP`; got "
            f"{type(model).__name__}."
        )
    if model.weights[0].ndim != 2:
        raise ValueError(
            f"`{call}` must be given single networks; got a stack: use `unstack` first."
        )
    return model


def check_pair(call: str, net: ReLUNetwork, other: ReLUNetwork) -> None:
    """Refuse networks whose inputs or outputs differ in number."""
    for name, i in (("inputs", 0), ("outputs", -1)):
        if net.widths[i] != other.widths[i]:
            raise ValueError(
                f"`{call}` must be given networks with the same number of {name}; got "
                f"{net.widths[i]} and {other.widths[i]}."
            )


def as_layers(call: str, network: ReLUNetwork, evaluation: Any) -> Layers:
    """The parameters in float64, with the arithmetic that is asked for."""
    leaves = [
        w.values if isinstance(w, SparseMatrix) else w for w in (*network.weights, *network.biases)
    ]
    if any(isinstance(p, Tracer) for p in leaves):
        raise TypeError(
            f"`{call}` must be given concrete parameters: it runs outside of `jit`, `vmap` and "
            "`grad`. `difference_bound` works inside of them."
        )
    exact = isinstance(evaluation, str) and evaluation == "exact"
    arithmetic = EXACT if exact else _arithmetic(call, leaves, evaluation)
    weights = tuple(
        np.asarray(w.to_dense() if isinstance(w, SparseMatrix) else w).astype(np.float64)
        for w in network.weights
    )
    biases = tuple(np.asarray(b).astype(np.float64) for b in network.biases)
    if not all(np.isfinite(p).all() for p in (*weights, *biases)):
        raise ValueError(f"`{call}` must be given finite parameters; got NaN or infinity.")
    return Layers(weights, biases, arithmetic)


def _arithmetic(call: str, leaves: list, evaluation: Any) -> Arithmetic:
    own = [jnp.finfo(p.dtype) for p in leaves]
    if evaluation is None:
        info = max(own, key=lambda f: float(f.eps))
    else:
        info = check_evaluation(call, evaluation)
    # Half a unit in the last place for the operation. Where a parameter has more digits than the
    # evaluation, its own rounding is a second one.
    unit = float(info.eps) / 2
    casts = any(float(f.eps) < float(info.eps) for f in own)
    # Subnormal results may be flushed to zero, so that an operation may lose the smallest normal
    # number.
    return Arithmetic(
        str(info.dtype),
        unit * (1 + casts),
        float(info.tiny),
        float(info.max),
        float(info.eps) > float(np.finfo(np.float64).eps),
    )


def check_evaluation(call: str, evaluation: Any) -> Any:
    """The floating type that is asked for by name or as a type, if any."""
    if evaluation is None or (isinstance(evaluation, str) and evaluation == "exact"):
        return None
    try:
        if not isinstance(evaluation, (str, type, np.dtype)):
            raise TypeError
        return jnp.finfo(evaluation)
    except (ValueError, TypeError):
        raise ValueError(
            f'`{call.split("(")[0]}(evaluation=...)` must be None, "exact" or a floating '
            f"type; got {evaluation!r}."
        ) from None


def as_box(call: str, box: Any, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends, of shape (inputs,), checked."""
    try:
        lower, upper = box
    except (TypeError, ValueError):
        raise ValueError(
            f"`{call}(box=...)` must be a pair (lower, upper) of numbers or arrays; got {box!r}."
        ) from None
    ends = []
    for end in (lower, upper):
        end = as_numbers(f"{call}(box=...)", end)
        if end.shape not in ((), (inputs,)):
            raise ValueError(
                f"`{call}(box=...)` must have ends that are numbers or arrays of shape "
                f"({inputs},), one entry per input; got the shape {end.shape}."
            )
        ends.append(np.broadcast_to(end, (inputs,)).copy())
    lower, upper = ends
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise ValueError(
            f"`{call}(box=...)` must be finite: on an unbounded box the difference is unbounded, "
            f"or constant; got {lower} and {upper}."
        )
    if (lower > upper).any():
        i = int((lower > upper).argmax())
        raise ValueError(
            f"`{call}(box=...)` must have lower <= upper; got {lower[i]} > {upper[i]} in input {i}."
        )
    return lower, upper
