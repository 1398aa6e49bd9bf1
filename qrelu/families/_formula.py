"""Functions that are no networks: polynomials, splines, waves, wavelets, quotients."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import numpy as np
from scipy.special import betaln


class AbstractFormula(eqx.Module):
    r"""A function on an interval or a box that is given by finitely many parameters.

    The float64 arrays in it are its parameters, which `quantize` rounds; arrays of integers say
    which terms are meant. What is evaluated is NumPy float64.

    - `domain`: the ends (lower, upper), two floats, or two tuples of floats for a box.
    """

    domain: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at `x`, of the same shape; at points (..., d) of a box, of shape (...)."""

    @property
    @abc.abstractmethod
    def sensitivity(self) -> float | None:
        r"""A bound on $\sup_x \sum_k |\partial q(x) / \partial c_k|$ over all parameters.

        Parameters that move by at most $\eta$ then move the function by at most $\eta$ times
        that. None where the function is not linear in its parameters and no bound is built in.
        """

    @property
    @abc.abstractmethod
    def position_bits(self) -> float:
        """Bits that say which terms are meant, 0 where nothing was chosen."""

    @property
    @abc.abstractmethod
    def bounded(self) -> bool:
        """Whether it is finite on its whole domain."""

    @property
    def parameters(self) -> np.ndarray:
        """All parameters as one array."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self)]
        return np.concatenate([leaf.ravel() for leaf in leaves if leaf.dtype.kind == "f"])

    @property
    def connectivity(self) -> int:
        """Nonzero parameters."""
        return int(np.count_nonzero(self.parameters))

    @property
    def magnitude(self) -> float:
        """The largest absolute parameter."""
        return float(np.max(np.abs(self.parameters), initial=0.0))


class AbstractIntervalFormula(AbstractFormula):
    r"""A formula on an interval, with what an exact distance asks of it."""

    @property
    @abc.abstractmethod
    def breakpoints(self) -> np.ndarray:
        """The interior points, increasing, where it is not twice continuously differentiable."""

    @property
    @abc.abstractmethod
    def mesh(self) -> np.ndarray:
        """Points from end to end; between two of them there is no more than one oscillation."""

    @property
    @abc.abstractmethod
    def roundoff(self) -> float:
        """A bound on the rounding error of a value in float64."""

    @abc.abstractmethod
    def linear_pieces(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Breakpoints (K + 1,) and values at both ends of each piece (2, K), if it is linear."""


def bits_of_choice(chosen: int, candidates: int) -> float:
    """Bits that name `chosen` of `candidates` things: the logarithm of the number of ways."""
    # 1 / ((n + 1) B(n - k + 1, k + 1)), which keeps its digits where n is 2^48.
    ways = -betaln(candidates - chosen + 1.0, chosen + 1.0) - math.log(candidates + 1)
    return max(float(ways), 0.0) / math.log(2)
