"""What is known about a batch of splines after their values were fitted."""

from typing import NamedTuple

import numpy as np


class Fitted(NamedTuple):
    r"""Splines of shape (S, N + 1) on given knots with values that are best in L^p.

    With r = f - s and $\psi(r) = |r|^{p-1} \mathrm{sign}(r)$ (the derivative of $|r|^p / p$):
    """

    knots: np.ndarray
    values: np.ndarray
    exact: np.ndarray  # the target at the knots
    left: np.ndarray  # (S, N): integral over each piece of psi(r) times the hat of its left knot
    right: np.ndarray  # (S, N): and of its right knot
    stiffness: np.ndarray  # (3, S, N): derivatives of -left, -right by the end values: 00, 01, 11
    pieces: np.ndarray  # (S, N): integral of |r|^p over each piece
    error: np.ndarray  # (S,): their sums
    floor: float  # the error that rounding of the target's values causes
    signed: bool  # psi is the sign (p = 1), not the residual itself (p = 2)

    def rows(self, chosen: np.ndarray) -> "Fitted":
        """Some of the splines."""
        return self._replace(
            knots=self.knots[chosen],
            values=self.values[chosen],
            exact=self.exact[chosen],
            left=self.left[chosen],
            right=self.right[chosen],
            stiffness=self.stiffness[:, chosen],
            pieces=self.pieces[chosen],
            error=self.error[chosen],
        )

    def store(self, chosen: np.ndarray, other: "Fitted") -> None:
        """Overwrite some of the splines."""
        for part, new in zip(self[:5], other[:5], strict=True):
            part[chosen] = new
        self.stiffness[:, chosen] = other.stiffness
        self.pieces[chosen] = other.pieces
        self.error[chosen] = other.error

    @property
    def best(self) -> int:
        """The row of the spline with the least error."""
        return int(np.argmin(self.error))
