"""Quadrature rules in any dimension: nodes and weights that a user chooses."""

import operator
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from .._misc import as_domain

# Nodes of one rule: more are a mistake, or a case for quasi-Monte-Carlo.
_MOST = 2**27


class AbstractQuadrature(eqx.Module):
    r"""Nodes $x_i$ and weights $w_i$ with $\int_D f \approx \sum_i w_i f(x_i)$.

    - `lower`, `upper`: the ends of the box $D$, of shape $(d,)$.
    - `nodes`: shape $(n, d)$, float64.
    - `weights`: shape $(n,)$, positive; they add up to the volume of $D$.
    """

    lower: eqx.AbstractVar[np.ndarray]
    upper: eqx.AbstractVar[np.ndarray]
    nodes: eqx.AbstractVar[np.ndarray]
    weights: eqx.AbstractVar[np.ndarray]

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.lower)


class GaussLegendre(AbstractQuadrature):
    r"""Gauss-Legendre rules on equal cells: a box in `cells` parts per axis, `points` nodes each.

    Exact on every cell for polynomials of degree $2\,\texttt{points} - 1$ in each coordinate.
    """

    lower: Float[np.ndarray, " d"]
    upper: Float[np.ndarray, " d"]
    nodes: Float[np.ndarray, "n d"]
    weights: Float[np.ndarray, " n"]

    def __init__(
        self,
        domain: Any,
        cells: int | np.integer | Sequence[int] | np.ndarray = 1,
        points: int | np.integer | Sequence[int] | np.ndarray = 5,
    ):
        r"""**Arguments:**

        - `domain`: the box: an interval $(a, b)$; its ends (lower, upper) as two arrays of shape
            $(d,)$; or one interval for each axis, $((a_1, b_1), \ldots, (a_d, b_d))$.
        - `cells`: equal parts of each axis: one number, or one per axis. An interval becomes a cube
            if there are several.
        - `points`: nodes of each part, one number or one per axis.

        **Raises:**

        - `ValueError`: for an empty, inverted or infinite box, for numbers below 1, and for more
            than $2^{27}$ nodes.

        **Reference:** classical; the nodes are those of `numpy.polynomial.legendre.leggauss`.
        """
        axes = max(np.size(cells), np.size(points))
        self.lower, self.upper = as_domain("GaussLegendre", domain, axes)
        d = len(self.lower)
        parts, nodes = _per_axis("cells", cells, d), _per_axis("points", points, d)
        total = 1
        for m, n in zip(parts, nodes, strict=True):
            total *= m * n
        if total > _MOST:
            raise ValueError(
                f"`GaussLegendre(domain, cells, points)` must have at most {_MOST} nodes; got "
                f"{total}. Take fewer, or `QuasiMonteCarlo`."
            )
        axis_nodes, axis_weights = [], []
        for low, high, m, n in zip(self.lower, self.upper, parts, nodes, strict=True):
            t, w = np.polynomial.legendre.leggauss(n)
            ends = np.linspace(low, high, m + 1)
            middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
            axis_nodes.append((middle[:, None] + half[:, None] * t).ravel())
            axis_weights.append((half[:, None] * w).ravel())
        self.nodes = np.stack([g.ravel() for g in np.meshgrid(*axis_nodes, indexing="ij")], axis=1)
        weights = axis_weights[0]
        for w in axis_weights[1:]:
            weights = np.multiply.outer(weights, w)
        self.weights = weights.ravel()


class QuasiMonteCarlo(AbstractQuadrature):
    r"""Scrambled Sobol points with equal weights, for boxes of many dimensions."""

    lower: Float[np.ndarray, " d"]
    upper: Float[np.ndarray, " d"]
    nodes: Float[np.ndarray, "n d"]
    weights: Float[np.ndarray, " n"]

    def __init__(
        self,
        domain: Any,
        points: int | np.integer = 2**14,
        *,
        dimension: int | np.integer = 1,
        seed: int | np.integer = 0,
    ):
        r"""**Arguments:**

        - `domain`: the box, as in `GaussLegendre`.
        - `points`: how many; powers of two are balanced best.
        - `dimension`: $d$, if `domain` is one interval for all axes.
        - `seed`: of the scrambling; the same seed gives the same points.

        **Raises:**

        - `ValueError`: for an empty, inverted or infinite box, or numbers below 1.

        **Reference:** [owen1998]; the points are those of `scipy.stats.qmc.Sobol`.
        """
        from scipy.stats import qmc  # half a second, for those who need it

        (count,), (axes,) = _per_axis("points", points, 1), _per_axis("dimension", dimension, 1)
        self.lower, self.upper = as_domain("QuasiMonteCarlo", domain, axes)
        d = len(self.lower)
        sampler = qmc.Sobol(d, scramble=True, rng=np.random.default_rng(seed))
        # Whole powers of two are drawn, which SciPy asks for; the surplus is dropped.
        drawn = sampler.random_base2((count - 1).bit_length())[:count]
        self.nodes = self.lower + (self.upper - self.lower) * drawn
        self.weights = np.full(count, np.prod(self.upper - self.lower) / count)


def _per_axis(name: str, value: Any, d: int) -> list[int]:
    given = list(value) if np.iterable(value) else [value] * d
    try:
        whole = [operator.index(n) for n in given]
    except TypeError:
        whole = []
    if len(whole) != d or min(whole) < 1 or any(isinstance(n, bool) for n in given):
        raise ValueError(
            f"`{name}` must be a positive whole number, or one for each of the {d} axes; got "
            f"{value!r}."
        )
    return whole
