"""What every target offers: a function on an interval or a box with what is known about it."""

import abc
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.typing import ArrayLike

from ._limits import Limit
from ._rates import KnownRate


class AbstractTarget(eqx.Module):
    r"""A real function on an interval or a box, with its difficult points, its rate, its limit.

    NumPy arrays and plain numbers are evaluated in NumPy float64 without touching JAX; JAX arrays
    (tracers too) are evaluated in JAX in their own precision.

    - `name`: how tables and figures call it.
    - `domain`: the interval as two floats; the box of a function of d >= 2 variables as its ends
      (lower, upper), two arrays of shape (d,). Points are then arrays of shape (..., d), their
      values have the shape (...), and there are no breakpoints, derivatives and curvature bounds.
    - `breakpoints`: the interior points, increasing, where the function is not twice continuously
      differentiable.
    - `singular_ends`: whether the second derivative is unbounded at the left and the right end.
    """

    name: eqx.AbstractVar[str]
    domain: eqx.AbstractVar[tuple[Any, Any]]
    breakpoints: eqx.AbstractVar[tuple[float, ...]]
    singular_ends: eqx.AbstractVar[tuple[bool, bool]]

    @property
    def dimension(self) -> int:
        """The number of variables."""
        return int(np.size(self.domain[0]))

    @abc.abstractmethod
    def __call__(self, x: ArrayLike) -> np.ndarray | jax.Array:
        """The values at `x`, of the same shape; NumPy gives NumPy float64, JAX gives JAX."""

    @abc.abstractmethod
    def derivative(self, x: ArrayLike) -> np.ndarray | None:
        """The first derivative at `x` almost everywhere (NumPy), or None where it is unknown."""

    @abc.abstractmethod
    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray | None:
        r"""A bound on $|f''|$ inside each interval $(l_i, u_i)$, or None where it is unknown.

        The entry is infinite where the second derivative is unbounded or the derivative jumps
        strictly inside the interval; at a kink on the edge the one-sided bound is given.
        """

    @abc.abstractmethod
    def rate(self, family, norm) -> KnownRate | None:
        """The rate that theory gives for `family` in `norm`, or None where it is unknown.

        **Arguments:**

        - `family`: any object with the attribute `kind`, such as `families.FreeKnot()`.
        - `norm`: any object with the attribute `p`, such as `norms.L2()`.
        """

    @abc.abstractmethod
    def limit(self, norm, family, size: int) -> Limit:
        """What an error of `family` at `size` is held against, with its label.

        **Arguments:**

        - `norm`: any object with the attribute `p`, such as `norms.L2()`.
        - `family`: any object with the attribute `kind` and the method `pieces(size)`.
        - `size`: the connectivity that the family may use.
        """
