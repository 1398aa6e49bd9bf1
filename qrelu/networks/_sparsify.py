"""Networks with sparse matrices, and back."""

from typing import Any

import equinox as eqx
import numpy as np
from jax.core import Tracer

from ._network import ReLUNetwork
from ._sparse import SparseMatrix

# Up to this share of entries the sparse product is the faster one on a processor, at widths from
# 256 on (1.4 to 2.2 times); benchmarks/sparse_networks_evaluate_in_seconds.py measures it.
MAX_DENSITY = 1 / 16


def sparsify(network: ReLUNetwork, *, max_density: float | int = MAX_DENSITY) -> ReLUNetwork:
    r"""The same network with sparse matrices where few weights are not zero.

    No weight is changed: this chooses a form, it does not prune. A dense matrix whose share of
    nonzero entries is at most `max_density` becomes a `SparseMatrix` of those entries, and in
    matrices that are sparse already the entries that are zero are dropped. Zeros that should be
    trained must stay in a dense matrix, or be given to `SparseMatrix` as entries.

    **Arguments:**

    - `network`: the network, with concrete weights. In a stack an entry counts as zero when it is
        in all networks, so the sparse ones have a common pattern.
    - `max_density`: the largest share of nonzero entries of a matrix that becomes sparse. 1 makes
        all of them sparse. Up to the default the sparse product is the faster one on a
        processor, at widths from 256 on; for narrow networks dense matrices are as fast.

    **Returns:**

    A network with the same kinds of arrays and the same dtypes.

    **Raises:**

    - `ValueError`: for a density outside of $[0, 1]$.
    - `TypeError`: for traced weights.
    """
    if not 0 <= max_density <= 1:
        raise ValueError(
            f"`sparsify(..., max_density)` must be from 0 to 1; got {max_density}. It is the share "
            "of the entries of a matrix that are not zero."
        )
    weights = tuple(_sparse(w, max_density) for w in network.weights)
    return eqx.tree_at(lambda n: n.weights, network, weights)


def densify(network: ReLUNetwork) -> ReLUNetwork:
    """The same network with dense matrices.

    **Arguments:**

    - `network`: a network, or a stack of them.

    **Returns:**

    A network with the same kinds of arrays and the same dtypes.
    """
    dense = tuple(w.to_dense() if isinstance(w, SparseMatrix) else w for w in network.weights)
    return eqx.tree_at(lambda n: n.weights, network, dense)


def _sparse(matrix: Any, max_density: float | int) -> Any:
    values = matrix.values if isinstance(matrix, SparseMatrix) else matrix
    if isinstance(values, Tracer):
        raise TypeError(
            "`sparsify(network)` must get concrete weights: which of them are zero is not known "
            "under `jit`, `vmap` and `grad`. Call it outside."
        )
    there = np.asarray(values) != 0
    if isinstance(matrix, SparseMatrix):
        kept = there.reshape(-1, there.shape[-1]).any(axis=0)
        if kept.all():
            return matrix
        shape = matrix.shape[-2:]
        return SparseMatrix(values[..., kept], matrix.rows[kept], matrix.columns[kept], shape)
    there = there.any(axis=tuple(range(there.ndim - 2)))
    return SparseMatrix.from_dense(matrix) if there.mean() <= max_density else matrix
