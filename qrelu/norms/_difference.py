"""The difference of a piecewise-linear approximant and a target, cell by cell.

A cell is an interval inside one linear piece with none of the target's breakpoints inside. Two
pieces may disagree in the point between them: each has its own two values. The approximant is
evaluated from the nearer end of its piece, p(u) + s (x - u) or p(v) - s (v - x): no term is then
larger than the values at the two ends, so the rounding error of p(x) is a few units in the last
place of max(|p(u)|, |p(v)|), whatever the slope.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ._gap import EPS as EPS
from ._gap import Gap
from ._units import LEAST, scaled


class Cells(NamedTuple):
    """Intervals [lower, upper], the approximant's values there, and the piece they lie in."""

    lower: np.ndarray
    upper: np.ndarray
    left: np.ndarray
    right: np.ndarray
    owner: np.ndarray

    @property
    def count(self) -> int:
        return len(self.lower)

    @staticmethod
    def join(*parts: "Cells") -> "Cells":
        return Cells(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def take(self, index) -> "Cells":
        return Cells(*(field[index] for field in self))


class Cuts(NamedTuple):
    """Points `at` inside the cells `index`, in order; `cells` are the distinct ones."""

    at: np.ndarray
    index: np.ndarray
    cells: np.ndarray
    first: np.ndarray

    @staticmethod
    def of(cells: Cells, at: np.ndarray, index: np.ndarray) -> "Cuts":
        """In order, without repetitions and without points that are not strictly inside."""
        order = np.lexsort((at, index))
        at, index = at[order], index[order]
        inside = (at > cells.lower[index]) & (at < cells.upper[index])
        inside[1:] &= (at[1:] != at[:-1]) | (index[1:] != index[:-1])
        at, index = at[inside], index[inside]
        return Cuts(at, index, *np.unique(index, return_index=True))

    def starts(self, at_cuts: np.ndarray, at_lower: np.ndarray) -> np.ndarray:
        """A column for the parts' lower ends from its values at the cuts and the lower ends."""
        return np.insert(at_cuts, self.first, at_lower)

    def ends(self, at_cuts: np.ndarray, at_upper: np.ndarray) -> np.ndarray:
        """A column for the parts' upper ends from its values at the cuts and the upper ends."""
        return np.insert(at_cuts, np.append(self.first[1:], len(self.at)), at_upper)


@dataclass(frozen=True)
class Difference:
    """`approximant - target` on [breakpoints[0], breakpoints[-1]]; see the module's text.

    `left` and `right` are the approximant at the ends of each piece. `sizes` and `steepness` are
    what the rounding of both functions is measured by: values and slopes on each piece. All values
    are in units of 2^exponent.
    """

    breakpoints: np.ndarray
    left: np.ndarray
    right: np.ndarray
    slopes: np.ndarray
    sizes: np.ndarray
    steepness: np.ndarray
    target: Any
    singular: np.ndarray
    exponent: int = 0

    @property
    def count(self) -> int:
        return len(self.slopes)

    @property
    def walls(self) -> np.ndarray:
        """The ends and the singular points."""
        return np.union1d(self.singular, self.breakpoints[[0, -1]])

    @property
    def least(self) -> float:
        """What both functions may lose to rounding below the normal range."""
        return float(scaled(2 * LEAST, -self.exponent)) if self.exponent else 0.0

    def in_units(self, e: int) -> "Difference":
        """The same in units that are 2^e times as large."""
        columns = ("left", "right", "slopes", "sizes", "steepness")
        parts = {name: scaled(getattr(self, name), -e) for name in columns}
        return replace(self, **parts, exponent=self.exponent + e)

    def of_target(self, x: np.ndarray) -> np.ndarray:
        """The target's values; one flat array is what every vectorized function understands."""
        with np.errstate(all="ignore"):
            values = np.asarray(self.target(x.ravel()), dtype=np.float64)
        if values.shape != (x.size,):
            raise ValueError(
                f"`distance(..., target)` needs a target that maps an array of shape ({x.size},) "
                f"to the same shape; got {values.shape} from {_name(self.target)}. Write it with "
                "array operations (`numpy` or `jax.numpy`)."
            )
        values = scaled(values, -self.exponent) if self.exponent else values
        return values.reshape(x.shape)

    def linear(self, x: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """The approximant at `x` in the pieces `owner`, from the nearer end."""
        u, v = self.breakpoints[owner], self.breakpoints[owner + 1]
        return np.where(
            x - u <= v - x,
            self.left[owner] + self.slopes[owner] * (x - u),
            self.right[owner] - self.slopes[owner] * (v - x),
        )

    def cells(self) -> Cells:
        """The pieces, cut at the target's breakpoints."""
        t, left, right = self.breakpoints, self.left, self.right
        extra = self.singular[(self.singular > t[0]) & (self.singular < t[-1])]
        where = np.searchsorted(t, extra)
        new = t[where] != extra
        if not new.any():
            return Cells(t[:-1], t[1:], left, right, np.arange(self.count))
        extra, where = extra[new], where[new]
        knots = np.insert(t, where, extra)
        values = self.linear(extra, where - 1)
        owner = np.searchsorted(t, knots[:-1], side="right") - 1
        # A cut in piece k is a lower end after that of the piece, an upper end before its own.
        return Cells(
            knots[:-1],
            knots[1:],
            np.insert(left, where, values),
            np.insert(right, where - 1, values),
            owner,
        )

    def at(self, x: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """The difference at `x` in the pieces `owner`."""
        with np.errstate(over="ignore"):
            return self.linear(x, owner) - self.of_target(x)

    def split(self, cells: Cells, cuts: "Cuts") -> Cells:
        """The cut cells in parts; cells without a cut are left out."""
        old = cells.take(cuts.cells)
        value = self.linear(cuts.at, cells.owner[cuts.index])
        return Cells(
            cuts.starts(cuts.at, old.lower),
            cuts.ends(cuts.at, old.upper),
            cuts.starts(value, old.left),
            cuts.ends(value, old.right),
            cuts.starts(cells.owner[cuts.index], old.owner),
        )

    def cut(self, cells: Cells, index: np.ndarray) -> Cells:
        """The cells `index` cut in two, or graded where an end is singular.

        Toward a singular end c the points c + h 2^-j, j = 1..GRADES, come at once: on each of these
        cells |x - c|^alpha looks the same up to scale, so one rule serves them all.
        """
        u, v = cells.lower[index], cells.upper[index]
        at_u, at_v = np.isin(u, self.singular), np.isin(v, self.singular)
        middle = u + 0.5 * (v - u)
        graded = np.flatnonzero(at_u != at_v)
        plain = np.flatnonzero(at_u == at_v)
        sign = np.where(at_u, 1.0, -1.0)[graded, None]
        from_end = np.where(at_u, u, v)[graded, None]
        points = from_end + sign * (v - u)[graded, None] * 2.0 ** -np.arange(1.0, GRADES + 1)
        cuts = Cuts.of(
            cells,
            np.concatenate([middle[plain], points.ravel()]),
            np.concatenate([index[plain], np.repeat(index[graded], GRADES)]),
        )
        return self.split(cells, cuts)

    def not_finite(self, x: np.ndarray, values: np.ndarray) -> ValueError:
        """The error for functions whose difference is not finite: it says whose fault and where."""
        bad = np.flatnonzero(~np.isfinite(values.ravel()))
        place, value = float(x.ravel()[bad[0]]), values.ravel()[bad[0]]
        target = self.target.target if isinstance(self.target, Gap) else self.target
        with np.errstate(all="ignore"):
            finite = np.isfinite(target(np.array([place]))).all()
        if finite:
            return ValueError(
                "`distance(approximant, target)` must get functions whose difference is finite; "
                f"got {value} at x = {place!r}, where {_name(target)} is finite. Divide both by a "
                "power of two if they are near the end of float64."
            )
        return ValueError(
            f"`distance(..., target)` needs a target that is finite on its domain; got {value} "
            f"from {_name(self.target)} at x = {place!r}. Move the domain away or define the "
            "value there."
        )


# Twelve halvings a round: two rounds take |x - c|^(1/2) to 1e-12 of its integral.
GRADES = 12


def _name(target: Any) -> str:
    return f"`{getattr(target, 'name', type(target).__name__)}`"


def difference(breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Difference:
    """The difference on plain arrays that are already checked.

    `values` are those at the breakpoints, (K + 1,), or at both ends of each piece, (2, K).
    """
    a, b = float(breakpoints[0]), float(breakpoints[-1])
    inside = [float(c) for c in getattr(target, "breakpoints", ()) or ()]
    ends = getattr(target, "singular_ends", None) or (False, False)
    singular = np.unique([*inside, *([a] if ends[0] else []), *([b] if ends[1] else [])])
    left, right = values if values.ndim == 2 else (values[:-1], values[1:])
    slopes = (right - left) / np.diff(breakpoints)
    sizes, steepness = np.maximum(np.abs(left), np.abs(right)), np.abs(slopes)
    if isinstance(target, Gap):
        sizes, steepness = target.scales(breakpoints)
    return Difference(
        breakpoints, left, right, slopes, sizes, steepness, target, singular.astype(np.float64)
    )
