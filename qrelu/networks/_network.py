"""The parameters of a fully connected ReLU network."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.core import Tracer
from jax.experimental.sparse import BCOO
from jaxtyping import Array, ArrayLike, Float

from ._sparse import SparseMatrix


class ReLUNetwork(eqx.Module):
    r"""The parameters $(W_1, \ldots, W_L, b_1, \ldots, b_L)$ of a ReLU network.

    The network represents $R(x) = W_L\,\rho(\cdots\rho(W_1 x + b_1)\cdots) + b_L$ with
    $\rho(t) = \max(t, 0)$ on every coordinate and no $\rho$ after the last map.

    NumPy arrays stay NumPy, so that float64 parameters survive whatever JAX is set to; JAX arrays
    stay JAX; anything else becomes a JAX array. Integer parameters become floats (float64 in
    NumPy, the default float type in JAX).

    A matrix with few entries can be a `SparseMatrix`; matrices of `scipy.sparse` (in NumPy) and of
    `jax.experimental.sparse.BCOO` (in JAX) become one. Everything works the same with either form;
    `sparsify` and `densify` go from one to the other.
    """

    weights: tuple[Array | np.ndarray | SparseMatrix, ...]
    biases: tuple[Array | np.ndarray, ...]

    def __init__(self, weights: Sequence[Any], biases: Sequence[Any]):
        r"""**Arguments:**

        - `weights`: the matrices $W_1, \ldots, W_L$, of shapes $(N_l, N_{l-1})$.
        - `biases`: the vectors $b_1, \ldots, b_L$, of shapes $(N_l,)$.

        **Raises:**

        - `ValueError`: for shapes that do not fit together.
        - `TypeError`: for entries that are not real numbers.
        """
        self.weights = tuple(_matrix(w, f"weights[{i}]") for i, w in enumerate(weights))
        self.biases = tuple(_real_array(b, f"biases[{i}]") for i, b in enumerate(biases))

    def __check_init__(self):
        if len(self.weights) == 0 or len(self.weights) != len(self.biases):
            raise ValueError(
                "`ReLUNetwork(weights, biases)` must have one bias per weight matrix and at least "
                f"one of each; got {len(self.weights)} weights and {len(self.biases)} biases."
            )
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            if w.ndim != 2 or 0 in w.shape:
                raise ValueError(
                    f"`ReLUNetwork(weights[{i}])` must be a matrix with at least one row and one "
                    f"column; got the shape {w.shape}."
                )
            if b.shape != w.shape[:1]:
                raise ValueError(
                    f"`ReLUNetwork(biases[{i}])` must have the shape {w.shape[:1]}, one entry per "
                    f"row of `weights[{i}]`; got {b.shape}."
                )
            if i > 0 and w.shape[1] != self.weights[i - 1].shape[0]:
                raise ValueError(
                    f"`ReLUNetwork(weights[{i}])` must have {self.weights[i - 1].shape[0]} "
                    f"columns, one per row of `weights[{i - 1}]`; got the shape {w.shape}."
                )

    def __call__(self, x: ArrayLike) -> Float[Array, " outputs"]:
        r"""The network at one point.

        **Arguments:**

        - `x`: one point, of shape $(N_0,)$; `realize` takes batches.

        **Returns:**

        $R(x)$ as a JAX array of shape $(N_L,)$.

        **Raises:**

        - `ValueError`: for another shape.
        """
        if self.weights[0].ndim != 2:
            raise ValueError("`network(x)` is for one network; use `jax.vmap` for a stack of them.")
        h = jnp.asarray(x)
        if h.shape != (self.widths[0],):
            raise ValueError(
                f"`network(x)` takes one point of shape ({self.widths[0]},); got the shape "
                f"{h.shape}. Use `realize(network, xs)` for batches."
            )
        layers: Any = zip(self.weights, self.biases, strict=True)
        for i, (w, b) in enumerate(layers):
            h = jax.nn.relu(h) if i > 0 else h
            if multiplies_itself(w):
                with jax.default_matmul_precision("highest"):
                    h = w @ h + b
            else:
                h = jnp.dot(w, h, precision=jax.lax.Precision.HIGHEST) + b
        return h

    @property
    def widths(self) -> tuple[int, ...]:
        r"""The numbers of units $(N_0, \ldots, N_L)$, input and output included."""
        return (self.weights[0].shape[-1], *(w.shape[-2] for w in self.weights))

    @property
    def depth(self) -> int:
        """The number $L$ of affine maps: hidden layers plus one."""
        return len(self.weights)

    @property
    def width(self) -> int:
        """The largest of all widths, input and output included."""
        return max(self.widths)

    @property
    def connectivity(self) -> int:
        """The number of nonzero weights and biases, of the network as it is."""
        return sum(int(np.count_nonzero(p)) for p in self._numbers("network.connectivity"))

    @property
    def magnitude(self) -> float:
        """The largest absolute weight or bias; NaN where one of them is."""
        numbers = self._numbers("network.magnitude")
        return float(np.max([np.max(np.abs(p), initial=0.0) for p in numbers]))

    def _numbers(self, call: str) -> list[np.ndarray]:
        """The parameters in NumPy, of sparse matrices the entries."""
        check_concrete(call, self)
        weights = [w.values if isinstance(w, SparseMatrix) else w for w in self.weights]
        return [np.asarray(p) for p in (*weights, *self.biases)]


def check_network(call: str, network: Any) -> None:
    """Refuse what is no network, with the way to one."""
    if not isinstance(network, ReLUNetwork):
        raise TypeError(
            f"`{call}` must get a `ReLUNetwork`; got {type(network).__name__}. `from_mlp` makes "
            "one of an `equinox.nn.MLP`, `ReLUNetwork(weights, biases)` of other models."
        )


def check_concrete(call: str, network: ReLUNetwork) -> None:
    """Refuse parameters without values: what runs in NumPy cannot be traced."""
    if any(isinstance(p, Tracer) for p in jax.tree.leaves(network)):
        raise TypeError(
            f"`{call}` must be given concrete parameters: it runs outside of `jit`, `vmap` and "
            "`grad`."
        )


def multiplies_itself(w: Any) -> bool:
    """Sparse matrices, and quantized ones whose products are differentiated at other values."""
    return isinstance(w, SparseMatrix) or getattr(w, "backward", None) == "latent"


def _matrix(value: Any, name: str) -> Array | np.ndarray | SparseMatrix:
    if isinstance(value, SparseMatrix):
        return value
    if scipy.sparse.issparse(value):
        return SparseMatrix.from_scipy(value)
    if isinstance(value, BCOO):
        return SparseMatrix.from_bcoo(value)
    return _real_array(value, name)


def _real_array(value: Any, name: str) -> Array | np.ndarray:
    if not isinstance(value, np.ndarray | np.generic | jax.Array):
        value = jnp.asarray(value)
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if jnp.issubdtype(value.dtype, jnp.floating):
        return value
    if jnp.issubdtype(value.dtype, jnp.integer):
        return value.astype(float)
    raise TypeError(f"`ReLUNetwork({name})` must hold real numbers; got the type {value.dtype}.")
