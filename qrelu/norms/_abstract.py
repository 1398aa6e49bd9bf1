"""What every norm offers."""

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Num

from ._approximant import as_arrays, as_pieces, variables
from ._box import distance_on_box
from ._measured import Local, Measured


class AbstractNorm(eqx.Module):
    """A distance between an approximant and a target on the target's domain.

    `p` is the exponent (1.0, 2.0 or inf) and `name` the word for tables.

    On a box, for a target of several variables, `points` values of both functions are spent:
    integrals are taken with tensor products of Gauss cells in up to three dimensions, cut where
    cells of two sizes disagree, and with eight scramblings of Sobol points in more, and the
    uncertainty is what these disagree by; a supremum is what two searches find, and may be missed.
    With the default `points` the integrals may miss a feature that is narrower than about 1/100 of
    a side in two variables and 1/15 in three, and in more variables one that fills less than 1e-4
    of the box. The corners of the cells show jumps that pass between their points, but a small part
    behind a jump may lie between corners as well: in two variables the uncertainty covers discs
    from 1/5 of a side in diameter on, and may be several times too small below that. More `points`
    or a smaller box around such a feature are the cure.
    """

    p: eqx.AbstractClassVar[float]
    name: eqx.AbstractClassVar[str]
    accuracy: eqx.AbstractVar[float]
    points: eqx.AbstractVar[int]

    @abc.abstractmethod
    def _between(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Measured:
        """The distance on checked arrays."""

    @abc.abstractmethod
    def _piecewise(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Local:
        """The local errors on checked arrays."""

    def distance(self, approximant: Any, target: Any) -> Measured:
        r"""The distance of an approximant and a target.

        **Arguments:**

        - `approximant`: a `ReLUNetwork` with one input and one output, or its `Pieces`, defined on
            the target's domain (it may be defined on more); or the formula of another family
            (`Approximant.function`): a polynomial, a spline, a sum of waves. For a target of d >= 2
            variables a `ReLUNetwork` with d inputs, or any function that maps points (n, d) to n
            values.
        - `target`: function with a domain, breakpoints and, if known, a curvature bound.

        **Returns:**

        A `Measured` float; a plain integral or supremum over the domain, not divided by its length.

        **Raises:**

        - `TypeError`: neither a network nor pieces, or a target without a domain.
        - `ValueError`: several inputs or outputs, a domain that is not covered, a target that is
            not finite or not vectorized, a quotient with a pole, a distance beyond 1.8e308.

        **Reference:** derived, above the rules that it uses.
        """
        if variables(target) > 1:
            return distance_on_box(approximant, target, self.p, self.points)
        return self._between(*as_pieces(approximant, target))

    def between(
        self,
        breakpoints: Num[np.ndarray, " points"],
        values: Num[np.ndarray, "..."],
        target: Any,
    ) -> Measured:
        r"""The distance of the linear interpolant of `(breakpoints, values)` and a target.

        **Arguments:**

        - `breakpoints`: increasing, both ends included, shape (K + 1,).
        - `values`: the approximant there, shape (K + 1,) or (K + 1, 1).
        - `target`: as in `distance`.

        **Returns:**

        The same `Measured` float as `distance`.
        """
        return self._between(*as_arrays(breakpoints, values, target), target)

    def piecewise(
        self,
        breakpoints: Num[np.ndarray, " points"],
        values: Num[np.ndarray, "..."],
        target: Any,
    ) -> Local:
        r"""The error on each linear piece: what an equidistribution of knots needs.

        **Arguments:**

        - `breakpoints`, `values`, `target`: as in `between`. Pieces outside the target's domain are
            cut off first, so that the domain's own pieces are counted.

        **Returns:**

        A `Local` record: the integrals of |difference|^p over the pieces, or their suprema with
        locations.
        """
        return self._piecewise(*as_arrays(breakpoints, values, target), target)


def check_settings(norm: Any) -> None:
    """The two settings that all norms share."""
    if not 0 < norm.accuracy < 1:
        raise ValueError(
            f"`{norm.name}(accuracy=...)` must lie between 0 and 1; got {norm.accuracy}. It is the "
            "relative accuracy of the distance, 1e-12 for example."
        )
    if norm.points < 0:
        raise ValueError(
            f"`{norm.name}(points=...)` must not be negative; got {norm.points}. It bounds the "
            "values of the target spent on refinement."
        )
