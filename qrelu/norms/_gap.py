"""A formula minus a target, as the target that the zero function is measured against.

A polynomial, a spline or a sum of waves is not linear between its breakpoints, so the quadrature
and the search are given the function 0 on cells that resolve the formula, and for a target the
difference itself. What rounding does to it is measured by the formula's own values, since the
difference has lost their size. What is asked of a formula, beside its values at points:

- `domain`: the interval as two floats.
- `breakpoints`: the interior points where it is not twice continuously differentiable.
- `mesh`: increasing points from end to end; between two of them it has no more than about one
  oscillation.
- `bounded`: whether it has no pole there.
- `roundoff`: a bound on the rounding error of its values in float64.
- `linear_pieces()`: breakpoints (K + 1,) and the values at both ends of each piece (2, K) where it
  is linear between breakpoints, with jumps allowed; None otherwise.
"""

from typing import Any, NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)

# Places in each cell at which the size of the formula is read; the cells resolve it.
_SAMPLES = np.linspace(0.0, 1.0, 6)


class Gap(NamedTuple):
    """The difference `formula - target` on the target's domain; both are continuous there."""

    formula: Any
    target: Any

    @property
    def name(self) -> str:
        return getattr(self.target, "name", type(self.target).__name__)

    @property
    def domain(self) -> tuple[float, float]:
        a, b = self.target.domain
        return float(a), float(b)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        a, b = self.domain
        own = [float(c) for c in self.formula.breakpoints if a < c < b]
        return tuple(sorted({*own, *(getattr(self.target, "breakpoints", ()) or ())}))

    @property
    def singular_ends(self) -> tuple[bool, bool]:
        return getattr(self.target, "singular_ends", None) or (False, False)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        values = np.asarray(self.target(x), dtype=np.float64)
        return self.formula(x) - values if values.shape == np.shape(x) else values

    def cells(self) -> np.ndarray:
        """The points of the formula's mesh on the domain, both ends included."""
        a, b = self.domain
        mesh = np.asarray(self.formula.mesh, dtype=np.float64)
        return np.unique(np.concatenate([[a], mesh[(mesh > a) & (mesh < b)], [b]]))

    def scales(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """On each cell between `points`: the size of the formula, and how steep it is."""
        width = np.diff(points)
        values = self.formula(points[:-1] + width * _SAMPLES[:, None])
        if not np.isfinite(values).all():
            k = int(np.flatnonzero(~np.isfinite(values).all(axis=0))[0])
            raise ValueError(
                "`distance(approximant, target)` must get an approximant that is finite on the "
                f"domain; it is not in [{float(points[k])!r}, {float(points[k + 1])!r}]. Round it "
                "less, or use another size."
            )
        # The noise of the values is 4 EPS times the size.
        sizes = np.abs(values).max(axis=0) + self.formula.roundoff / (4 * EPS)
        return sizes, np.abs(np.diff(values, axis=0)).max(axis=0) * (len(_SAMPLES) - 1) / width
