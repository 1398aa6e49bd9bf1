"""The grids of a network's parameters for given bits, and rounding to nearest on them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork, SparseMatrix
from ..quantizers import AbsMax, AbstractQuantizer

# The symmetric grid of one bit has no zero, so that it changes the network's structure.
FEWEST = 2
# Per layer the grid of the matrix and the grid of the bias.
Grids: TypeAlias = tuple[tuple[AbstractQuantizer, AbstractQuantizer], ...]


def grids_of(network: ReLUNetwork, bits: Sequence[np.ndarray], channels: bool) -> Grids:
    """Symmetric grids up to the largest parameter, for one number of bits per row of each layer.

    With `channels` each row of a matrix has the grid of its own largest entry.
    """
    found = []
    w: Any
    for w, c, b in zip(network.weights, network.biases, bits, strict=True):
        same = int(b[0]) if (b == b[0]).all() else None
        each = b[:, None] if same is None else same
        matrix = AbsMax(each, "channel") if channels else AbsMax(int(b[0]))
        found.append((matrix.grid(w), AbsMax(b if same is None else same).grid(c)))
    return tuple(found)


def to_nearest(network: ReLUNetwork, grids: Grids) -> ReLUNetwork:
    """Every parameter at the nearest value of its grid."""
    weights: Any = network.weights
    return ReLUNetwork(
        [np.asarray(q(w)) for w, (q, _) in zip(weights, grids, strict=True)],
        [np.asarray(q(b)) for b, (_, q) in zip(network.biases, grids, strict=True)],
    )


def check_on_grids(call: str, network: Any, like: ReLUNetwork, grids: Grids) -> ReLUNetwork:
    """The network, if it has the shapes of `like` and lies on the grids."""
    if not isinstance(network, ReLUNetwork) or network.widths != like.widths:
        got = network.widths if isinstance(network, ReLUNetwork) else type(network).__name__
        raise ValueError(
            f"`{call}` must return a ReLUNetwork of the widths {like.widths}; got {got}."
        )
    network = as_dense(network)
    nearest = to_nearest(network, grids)
    for i in range(network.depth):
        for name, here, there in (
            ("weights", network.weights, nearest.weights),
            ("biases", network.biases, nearest.biases),
        ):
            if not np.array_equal(here[i], there[i]):
                raise ValueError(
                    f"`{call}` must return parameters on the grids that it gets; {name}[{i}] has "
                    "others."
                )
    return network


def check_bits(call: str, bits: Any, network: ReLUNetwork) -> int:
    """The bits, if they are a whole number from 2 to what the parameters' type holds."""
    most = most_bits(network)
    whole = isinstance(bits, (int, np.integer)) and not isinstance(bits, bool)
    if not (whole and FEWEST <= bits <= most):
        raise (ValueError if whole else TypeError)(
            f"`{call}(bits=...)` must be a whole number from {FEWEST} to {most}, which the "
            f"parameters' type holds; got {bits!r}. One bit has no zero."
        )
    return int(bits)


def most_bits(network: ReLUNetwork) -> int:
    """The bits that the narrowest type of the parameters holds."""
    arrays = (*network.weights, *network.biases)
    return min(int(jnp.finfo(np.dtype(p.dtype)).nmant) + 1 for p in arrays)


def as_dense(network: ReLUNetwork) -> ReLUNetwork:
    """The network with NumPy matrices."""
    weights = [w.to_dense() if isinstance(w, SparseMatrix) else w for w in network.weights]
    return ReLUNetwork([np.asarray(w) for w in weights], [np.asarray(b) for b in network.biases])
