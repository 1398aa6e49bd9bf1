"""Integrals of a target against hat functions on any knots, many splines at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..targets import AbstractTarget, Data

# Cells of the background mesh: fine enough that an oscillating target is not missed by a spline
# of four pieces; a piece inside one cell costs one cell only.
CELLS = 128
# Cells halve towards a singular point 45 times: 2^-45 of a cell is the resolution of float64.
_LEVELS = 45
# Six Gauss points are exact to degree 11 in each cell, and 1e-10 for sqrt on [h, 2 h].
_ORDER = 6


class Moments(NamedTuple):
    """Integrals of the residual r = f - s over each piece of a batch of splines, shape (S, N)."""

    left: np.ndarray  # of r times the hat of the left knot
    right: np.ndarray  # of r times the hat of the right knot
    square: np.ndarray  # of r^2


class Quadrature(NamedTuple):
    """A target as the fitting algorithms see it: point values and a background mesh.

    Every piece is cut at the points of `mesh` inside it (kinks, singular points with cells that
    halve towards them, samples of data), and each cell gets Gauss points. With `sampled` the target
    is linear between the points of the mesh.
    """

    function: Callable[[np.ndarray], np.ndarray]
    lower: float
    upper: float
    mesh: np.ndarray
    kinks: np.ndarray
    sampled: bool
    scale: float
    nodes: np.ndarray
    weights: np.ndarray

    @property
    def unit(self) -> float:
        """The power of two just below the largest value of the target, 1 for zero."""
        return 2.0 ** (np.frexp(self.scale)[1] - 1) if self.scale > 0 else 1.0

    def in_units(self) -> "Quadrature":
        """The target divided by `unit`, so that no square of a value leaves the range of float64.

        A power of two changes no digit.
        """
        function, unit = self.function, self.unit
        return self._replace(function=lambda x: function(x) / unit, scale=self.scale / unit)

    def floor(self, p: int) -> float:
        """The p-th power of an L^p error of four units in the last place of the target."""
        return (self.upper - self.lower) * (4 * np.finfo(float).eps * self.scale) ** p

    def cells(self, left, right):
        """Cells of the pieces `[left[i], right[i]]`: ends, widths, owner and first cell of each."""
        low = np.searchsorted(self.mesh, left, "right")
        high = np.searchsorted(self.mesh, right, "left")
        count = np.maximum(high - low, 0) + 1
        first = np.cumsum(count) - count
        owner = np.repeat(np.arange(left.size), count)
        place = np.arange(owner.size) - first[owner]
        mesh = np.append(self.mesh, np.inf)
        begin = np.where(place == 0, left[owner], mesh[low[owner] + place - 1])
        inner_end = mesh[np.minimum(low[owner] + place, self.mesh.size)]
        end = np.where(place == count[owner] - 1, right[owner], inner_end)
        return begin, end - begin, owner, first

    def moments(self, knots: np.ndarray, values: np.ndarray) -> Moments:
        """Moments of the residual for splines with `knots` and `values` of shape (S, N + 1)."""
        shape = (knots.shape[0], knots.shape[1] - 1)
        left, right = knots[:, :-1].ravel(), knots[:, 1:].ravel()
        start, rise = values[:, :-1].ravel(), np.diff(values, axis=1).ravel()
        begin, width, owner, first = self.cells(left, right)
        length = right - left
        local = ((begin - left[owner]) / length[owner])[:, None] + (width / length[owner])[
            :, None
        ] * self.nodes
        residual = self.function(begin[:, None] + width[:, None] * self.nodes)
        residual = residual - (start[owner][:, None] + rise[owner][:, None] * local)
        weighted = residual * self.weights
        on_right = np.add.reduceat(np.sum(weighted * local, axis=1) * width, first)
        total = np.add.reduceat(np.sum(weighted, axis=1) * width, first)
        square = np.add.reduceat(np.sum(weighted * residual, axis=1) * width, first)
        return Moments(
            (total - on_right).reshape(shape), on_right.reshape(shape), square.reshape(shape)
        )


def quadrature(target: AbstractTarget) -> Quadrature:
    """The quadrature of a target on its domain; a target with NaN or inf values is refused."""
    lower, upper = (float(end) for end in target.domain)
    data = isinstance(target, Data)
    kinks = np.zeros(0) if data else np.asarray(target.breakpoints, dtype=np.float64)
    kinks = kinks[(kinks > lower) & (kinks < upper)]
    if data:
        mesh = np.asarray(target.knots, dtype=np.float64)
        mesh = mesh[(mesh > lower) & (mesh < upper)]
        # The residual is linear on each cell: two Gauss points are exact for its square.
        order = 2
    else:
        mesh = graded_mesh(lower, upper, kinks, CELLS)
        order = _ORDER
    nodes, weights = np.polynomial.legendre.leggauss(order)

    def function(x):
        # A copy: JAX gives views that cannot be written, and f(x) = x may give x itself.
        values = np.array(target(x), dtype=np.float64)
        if values.shape == x.shape and not np.all(np.isfinite(values)):
            place = tuple(np.argwhere(~np.isfinite(values))[0])
            raise ValueError(
                f"`fit(target)` must get a target that is finite on its domain; "
                f"{target.name}({float(x[place])!r}) is {values[place]}. Shrink the domain, or "
                "define the value there with `numpy.where`."
            )
        return values

    points = np.concatenate([[lower], mesh, [upper]])
    sampled = function(points)
    if sampled.shape != points.shape:
        raise ValueError(
            f"`fit(target)` must get a target with one value per point; `{target.name}` returned "
            f"shape {sampled.shape} for {points.shape}. Change the function."
        )
    scale = float(np.max(np.abs(sampled)))
    return Quadrature(
        function, lower, upper, mesh, kinks, data, scale, (nodes + 1) / 2, weights / 2
    )


def graded_mesh(lower: float, upper: float, kinks: np.ndarray, cells: int) -> np.ndarray:
    """Inner points of `cells` equal cells, halving towards the ends and the inner kinks."""
    width = (upper - lower) / cells
    powers = width * 0.5 ** np.arange(1, _LEVELS + 1)
    points = [lower + width * np.arange(1, cells), lower + powers, upper - powers, kinks]
    for kink in kinks:
        points += [kink - powers, kink + powers]
    mesh = np.unique(np.concatenate(points))
    return mesh[(mesh > lower) & (mesh < upper)]
