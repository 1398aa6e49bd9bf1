"""A deep network: the dyadic tree of clipped ramps."""

import equinox as eqx
import numpy as np

from .._misc import plain
from ..networks import ReLUNetwork, SparseMatrix
from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._best_values import best_values
from ._family import AbstractFamily, check_types, checked_size
from ._quadrature import quadrature
from ._refusals import refuse_jumps
from ._spline import Spline

# The place of x in a leaf is its place in the domain, rounded to 2^-53, doubled once per level: a
# tree with 2^20 leaves still has 33 bits of it. Its parameters take 170 MiB.
_MOST_LEVELS = 20


class DyadicTree(AbstractFamily):
    r"""A deep network with N = 2^p leaves, 7 N nonzero parameters and 2 p + 1 affine maps.

    A node holds $u \in [0, 1]$, the place of x in a dyadic interval, clipped. Its hidden units
    $A = \mathrm{relu}(u)$, $B = \mathrm{relu}(u - 1/2)$ give the places in the two halves,
    $u_{2j} = 2A - 2B$ and $u_{2j+1} = 2B$; the leaves are $u_i = \mathrm{clip}(Nx - i, 0, 1)$ and
    the output is $c_0 + \sum_i c_i u_i$: the linear spline with N equal pieces, its coefficients
    nothing but differences of neighboring values. The first map takes the domain to [0, 1].

    The matrices between hidden layers are sparse, so N leaves take memory of order N. More than
    $2^{20}$ leaves are refused: the place of x in a leaf would have fewer than 33 correct bits.

    **Arguments:**

    - `values`: `"fit"` for values that are best in the norm at hand, `"interpolate"` for the
        target's own values at the knots.
    - `maps_per_level`: 2 keeps the nodes of every level as a layer; 1 composes the two maps of a
        level into one, the same function with 5 N nonzero parameters and p + 1 maps.

    **Reference:** derived (tree of clipped ramps, merged copies); depth and magnitudes as in
    [gonon2023]: depth of order log M, magnitudes polynomial in M.
    """

    values: str = eqx.field(static=True, default="fit")
    maps_per_level: int = eqx.field(converter=plain, static=True, default=2)

    def __check_init__(self):
        if self.maps_per_level not in (1, 2):
            raise ValueError(
                f"`DyadicTree(maps_per_level=...)` must be 1 or 2; got {self.maps_per_level!r}."
            )
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
        name = "dyadic-tree" if self.values == "fit" else "dyadic-tree, interpolating"
        return name if self.maps_per_level == 2 else f"{name}, composed"

    @property
    def minimum_size(self) -> int:
        """The connectivity of the tree with two leaves."""
        return connectivity(1, self.maps_per_level)

    def pieces(self, size: int) -> int:
        """Leaves of the largest tree with connectivity at most `size`, a power of two."""
        return 2 ** self._levels(checked_size("DyadicTree().pieces(size)", size, self.minimum_size))

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

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below the smallest tree or beyond $2^{20}$ leaves, a target with NaN
          or infinite values, or one that jumps, in the sup norm.
        """
        check_types("DyadicTree().fit(target, size, norm=...)", target, norm)
        size = checked_size("DyadicTree().fit(target, size)", size, self.minimum_size)
        levels = self._levels(size)
        if levels > _MOST_LEVELS:
            raise ValueError(
                f"`DyadicTree().fit(target, size)` must be below "
                f"{connectivity(_MOST_LEVELS + 1, self.maps_per_level)} "
                f"(in {2**levels} leaves float64 would hold too few bits of the place of x); got "
                f"{size}. Use a smaller size."
            )
        points = quadrature(target)
        refuse_jumps("DyadicTree().fit(target, size, norm=...)", points, norm.p, target.name)
        knots = np.linspace(points.lower, points.upper, 2**levels + 1)
        if self.values == "interpolate":
            spline = Spline(knots, points.function(knots))
        else:
            spline = best_values(points, knots, norm.p)
        network = tree_network(spline, self.maps_per_level)
        most = connectivity(levels, self.maps_per_level)
        note = f"{most} of {size} parameters: a tree has 2^p leaves" if most < size else ""
        return Approximant(network, 2**levels, 64.0, network.connectivity, notes=note)

    def _levels(self, size: int) -> int:
        levels = 1
        while connectivity(levels + 1, self.maps_per_level) <= size:
            levels += 1
        return levels


# (A, B) -> (2A - 2B, 2B): the places in the two halves, both nonnegative.
_CHILDREN = np.array([[2.0, -2.0], [0.0, 2.0]])
# u -> (u, u - 1/2).
_SPLIT, _HALF = np.ones((2, 1)), np.array([0.0, -0.5])
_SPLIT_CHILDREN = np.repeat(_CHILDREN, 2, axis=0)


def tree_network(spline: Spline, maps_per_level: int) -> ReLUNetwork:
    """The dyadic tree that realizes a spline with 2^p equal pieces, p at least 1."""
    knots, values = spline
    lower, length = knots[0], knots[-1] - knots[0]
    leaves = knots.size - 1
    # The place of x in the domain and its two hidden units.
    weights = [np.full((2, 1), 1 / length)]
    biases = [_HALF - lower / length]
    rise = np.diff(values)[None, :]
    nodes = 1
    while 2 * nodes < leaves:
        # Children are nonnegative, so the relu between the two maps changes nothing.
        if maps_per_level == 1:
            weights += [_blocks(nodes, _SPLIT_CHILDREN)]
        else:
            weights += [_blocks(nodes, _CHILDREN), _blocks(2 * nodes, _SPLIT)]
        shift = np.tile(_HALF, 2 * nodes)
        biases += [shift] if maps_per_level == 1 else [np.zeros(2 * nodes), shift]
        nodes *= 2
    down = _blocks(nodes, _CHILDREN)
    weights += [(down.to_scipy().T @ rise[0])[None, :]] if maps_per_level == 1 else [down, rise]
    biases += [values[[0]]] if maps_per_level == 1 else [np.zeros(leaves), values[[0]]]
    return ReLUNetwork(weights, biases)


def _blocks(count: int, block: np.ndarray) -> SparseMatrix:
    """The block-diagonal matrix with this block, `count` times."""
    row, column = np.nonzero(block)
    rows, columns = (
        (k + np.arange(count)[:, None] * n).ravel()
        for k, n in zip((row, column), block.shape, strict=True)
    )
    values = np.tile(block[row, column], count)
    return SparseMatrix(values, rows, columns, (count * block.shape[0], count * block.shape[1]))


def connectivity(levels: int, maps_per_level: int) -> int:
    """The most nonzero parameters of a tree with 2^levels leaves: 7 N - 4 or 5 N - 3."""
    # Root: 2 weights, 2 biases. Output: N weights, 1 bias. Each of the N - 1 inner nodes has
    # 3 edges to its children and each of the N - 2 below the root 2 edges and a bias;
    # composed, a pair of children has 2 + 2 + 1 + 1 edges and 2 biases, N/2 - 1 such pairs.
    leaves = 2**levels
    if maps_per_level == 1:
        return 4 + 8 * (leaves // 2 - 1) + leaves + 1
    return 4 + 3 * (leaves - 1) + 3 * (leaves - 2) + leaves + 1
