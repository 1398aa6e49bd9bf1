"""A deep network: the dyadic tree of clipped ramps."""

from typing import Literal

import equinox as eqx
import numpy as np

from ..networks import ReLUNetwork
from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._best_values import best_values
from ._family import AbstractFamily, checked_size
from ._quadrature import quadrature
from ._spline import Spline

# The two widest matrices of a tree with 2^13 leaves are 2^13 x 2^12 and dense: 1/2 GiB in all.
_MOST_LEVELS = 13


class DyadicTree(AbstractFamily):
    r"""A deep network with N = 2^p leaves, O(N) nonzero parameters and 2 p + 1 affine maps.

    A node holds $u \in [0, 1]$, the place of x in a dyadic interval, clipped. Its hidden units
    $A = \mathrm{relu}(u)$, $B = \mathrm{relu}(u - 1/2)$ give the places in the two halves,
    $u_{2j} = 2A - 2B$ and $u_{2j+1} = 2B$; the leaves are $u_i = \mathrm{clip}(Nx - i, 0, 1)$ and
    the output is $c_0 + \sum_i c_i u_i$: the linear spline with N equal pieces, its coefficients
    nothing but differences of neighboring values. The first map takes the domain to [0, 1].

    The matrices are dense NumPy arrays: N leaves take about $4 N^2$ bytes in each of the last maps
    (half a MiB for 256 leaves, 128 MiB for 4,096); more than 8,192 leaves are refused.

    **Arguments:**

    - `values`: `"fit"` for values that are best in the norm at hand, `"interpolate"` for the
        target's own values at the knots.

    **Reference:** derived (tree of clipped ramps, merged copies); depth and magnitudes as in
    [gonon2023]: depth of order log M, magnitudes polynomial in M.
    """

    values: Literal["fit", "interpolate"] = eqx.field(static=True, default="fit")

    def __check_init__(self):
        if self.values not in ("fit", "interpolate"):
            raise ValueError(
                f'`DyadicTree(values=...)` must be "fit" or "interpolate"; got {self.values!r}.'
            )

    @property
    def kind(self) -> str:
        """The word "dyadic-tree"."""
        return "dyadic-tree"

    @property
    def name(self) -> str:
        """What tables show."""
        return "dyadic-tree" if self.values == "fit" else "dyadic-tree, interpolating"

    @property
    def minimum_size(self) -> int:
        """The connectivity of the tree with two leaves."""
        return _connectivity(1)

    def pieces(self, size: int) -> int:
        """Leaves of the largest tree with connectivity at most `size`, a power of two."""
        return 2 ** _levels(checked_size("DyadicTree().pieces(size)", size, self.minimum_size))

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The tree with the most leaves that `size` allows.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: connectivity that must not be exceeded.
        - `norm`: `L1()`, `L2()` or `Sup()`, for `values="fit"`.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` with float64 parameters.

        **Raises:**

        - `ValueError`: a size below the smallest tree or beyond 8,192 leaves, or a target with
          NaN or infinite values.
        """
        size = checked_size("DyadicTree().fit(target, size)", size, self.minimum_size)
        levels = _levels(size)
        if levels > _MOST_LEVELS:
            raise ValueError(
                f"`DyadicTree().fit(target, size)` must be below {_connectivity(_MOST_LEVELS + 1)} "
                f"(dense matrices of {2**levels} leaves do not fit into memory); got {size}. "
                "Use `FreeKnot()` for sizes like this."
            )
        points = quadrature(target)
        knots = np.linspace(points.lower, points.upper, 2**levels + 1)
        if self.values == "interpolate":
            spline = Spline(knots, points.function(knots))
        else:
            spline = best_values(points, knots, norm.p)
        network = tree_network(spline)
        return Approximant(network, 2**levels, 64.0, network.connectivity)


def tree_network(spline: Spline) -> ReLUNetwork:
    """The dyadic tree that realizes a spline with 2^p equal pieces."""
    knots, values = spline
    lower, length = knots[0], knots[-1] - knots[0]
    leaves = knots.size - 1
    # x -> (u, u - 1/2) for the root.
    weights = [np.full((2, 1), 1 / length)]
    biases = [np.array([0.0, -0.5]) - lower / length]
    nodes = 1
    while 2 * nodes < leaves:
        # (A_j, B_j) -> children; every child is nonnegative, so relu leaves it as it is.
        weights.append(np.kron(np.eye(nodes), np.array([[2.0, -2.0], [0.0, 2.0]])))
        biases.append(np.zeros(2 * nodes))
        nodes *= 2
        weights.append(np.kron(np.eye(nodes), np.ones((2, 1))))
        biases.append(np.tile([0.0, -0.5], nodes))
    # The last children and the output: c_0 + sum c_i u_i.
    weights.append(np.kron(np.eye(nodes), np.array([[2.0, -2.0], [0.0, 2.0]])))
    biases.append(np.zeros(2 * nodes))
    weights.append(np.diff(values)[None, :])
    biases.append(values[[0]])
    return ReLUNetwork(weights, biases)


def _connectivity(levels: int) -> int:
    # Root: 2 weights, 2 biases. An inner node: 3 edges to its children, and each of the two
    # children that is split again has 2 edges and a bias. N = 2^p leaves: N - 1 nodes are split,
    # N - 2 of them have a parent; the output has N edges and a bias.
    leaves = 2**levels
    return 4 + 3 * (leaves - 1) + 3 * (leaves - 2) + leaves + 1


def _levels(size: int) -> int:
    # 7 N - 4 <= size
    return int((size + 4) // 7).bit_length() - 1
