"""A partition of unity by piecewise-linear hats in any dimension."""

import numpy as np
import scipy.sparse

from ..networks import ReLUNetwork, densify
from ._arguments import check_whole
from ._construction import Certificate, Construction, count

# A network with more outputs would not fit into the memory of a usual machine.
MOST_NODES = 2**22
# Networks up to this width are small as dense matrices.
NARROW = 64


def partition_of_unity(dimension: int, cells: int) -> Construction:
    r"""Hats that add up to 1 on $[0, 1]^d$, one output per node of a grid, without error.

    With $N$ = `cells` and $u = Nx - m$ the hat of the node $m / N$, $m \in \{0, \ldots, N\}^d$, is
    $$\varphi_m(x) = \rho\big(1 + \min(0, u_1, \ldots, u_d) - \max(0, u_1, \ldots, u_d)\big),$$
    the piecewise-linear function on the Kuhn triangulation of the grid that is 1 at this node and 0
    at all others. It vanishes unless all $|u_k| < 1$; at most $d + 1$ hats are positive at any
    point. Maxima are taken in pairs and shared between nodes: depth $3 + \lceil\log_2 d\rceil$, and
    a number of connections in proportion to that of the nodes ($8N + 6$ for $d = 1$ and
    $10(N+1)^2 + 10(N+1) - 4$ for $d = 2$).

    Evaluation is exact where all $N x_k$ are numbers of the type with few digits, for example
    multiples of $2^{-12}$ ($2^{-30}$) below $2^{11}$ ($2^{22}$) in float32 (float64).

    **Arguments:**

    - `dimension`: the number $d$ of inputs, from 1 to 16.
    - `cells`: the number $N \ge 1$ of cells per axis; $(N + 1)^d \le 2^{22}$.

    **Returns:**

    A `Construction` with bound 0. The outputs are ordered like the entries of an array of shape
    $(N + 1, \ldots, N + 1)$. Sparse where it is wide.

    **Raises:**

    - `ValueError`: for a dimension or a number of cells out of range.

    **Reference:** derived, above the code; [yarotsky2017], Theorem 1, takes products of trapezoids,
    which a network has only approximately.
    """
    d = check_whole("partition_of_unity(dimension)", dimension, 1, 16)
    n = check_whole("partition_of_unity(..., cells)", cells, 1)
    if (n + 1) ** d > MOST_NODES:
        raise ValueError(
            f"`partition_of_unity(dimension={d}, cells={n})` must have at most 2^22 nodes; got "
            f"{(n + 1) ** d}. Use fewer cells."
        )
    network = hats(d, n)
    certificate = Certificate(
        0.0, "the hats of the Kuhn triangulation", ((0.0,) * d, (1.0,) * d), exact=True
    )
    network = densify(network) if network.width <= NARROW else network
    return Construction(network, certificate, count(network))


# In the cell of x with y = Nx - floor(Nx), order y_(1) >= ... >= y_(d). The hat of the corner whose
# upper coordinates are the k largest ones has max(0, u) = y_(k+1) and min(0, u) = y_(k) - 1 (with
# y_(0) = 1, y_(d+1) = 0), so it is y_(k) - y_(k+1): they add up to 1. Every other corner has an
# upper coordinate with y_i and a lower one with y_j >= y_i, so 1 + (y_i - 1) - y_j <= 0.
#
# max(0, u) is the maximum of the rho(u_k), and -min(0, u) that of the rho(-u_k); for non-negative
# numbers max(a, b) = rho(a) + rho(b - a).
def hats(d: int, n: int) -> ReLUNetwork:
    """The network of the hats of all nodes, in sparse matrices."""
    nodes = n + 1
    axes = scipy.sparse.kron(scipy.sparse.eye(d), np.ones((nodes, 1)))
    shifts = np.tile(np.arange(nodes, dtype=np.float64), d)
    weights = [scipy.sparse.vstack([n * axes, -n * axes])]
    biases = [np.concatenate([0 - shifts, shifts])]
    # One matrix per group of coordinates: maxima for all their nodes from the units of the layer.
    units = scipy.sparse.csr_array(scipy.sparse.eye(2 * d * nodes))
    sides = [[units[k * nodes : (k + 1) * nodes] for k in range(s * d, s * d + d)] for s in (0, 1)]
    while len(sides[0]) > 1:
        rows, sizes, layout = [], [], []
        for groups in sides:
            layout.append([])
            for k in range(0, len(groups), 2):
                block, joined = _maxima(groups[k : k + 2])
                rows.append(block)
                layout[-1].append((sum(sizes), joined))
                sizes.append(block.shape[0])
        weights.append(scipy.sparse.vstack(rows))
        biases.append(np.zeros(sum(sizes)))
        sides = [[_placed(joined, at, sum(sizes)) for at, joined in side] for side in layout]
    weights += [-(sides[0][0] + sides[1][0]), scipy.sparse.eye(nodes**d)]
    return ReLUNetwork(weights, [*biases, np.ones(nodes**d), np.zeros(nodes**d)])


def _maxima(groups: list) -> tuple:
    """Units for the maxima of two groups, every pair of nodes, and the maxima as sums of them."""
    if len(groups) == 1:
        return groups[0], scipy.sparse.eye(groups[0].shape[0])
    a, b = groups
    below = scipy.sparse.kron(np.ones((a.shape[0], 1)), b)
    above = scipy.sparse.kron(a, np.ones((b.shape[0], 1)))
    pairs = a.shape[0] * b.shape[0]
    first = scipy.sparse.kron(scipy.sparse.eye(a.shape[0]), np.ones((b.shape[0], 1)))
    return (
        scipy.sparse.vstack([a, below - above]),
        scipy.sparse.hstack([first, scipy.sparse.eye(pairs)]),
    )


def _placed(matrix, at: int, total: int):
    """The same columns, from `at` on, of a wider matrix."""
    entries = matrix.tocoo()
    shape = (matrix.shape[0], total)
    return scipy.sparse.csr_array((entries.data, (entries.row, entries.col + at)), shape=shape)
