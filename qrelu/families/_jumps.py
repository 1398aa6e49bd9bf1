"""Jumps of a target: found by bisection, taken out before the fit, put back as steep pieces."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..networks import pieces as network_pieces
from ._quadrature import CELLS, Quadrature, graded_mesh
from ._spline import Spline, network_from_spline

# Cells that are searched; a smooth target is done with them after two halvings.
_SEARCHED = 4096
# A difference that halving leaves above this share, down to neighboring floats, is a jump
# (half of it if the value at the jump lies in the middle).
_KEPT = 0.45
# Smaller differences, relative to the largest value, are left to the ordinary fit.
_SMALLEST = 2.0**-20
_HALVINGS = 80
# Over a gap so many times as wide a continuous function of Hoelder exponent 0.12 differs more.
_WIDER = 2.0**10
# Steep pieces take this share of the domain. A width w leaves an error of order w in L^1 and
# w^(1/2) in L^2, and the network's two steep hinges cancel to about 2^-53 / w: the balance.
_WIDTH = {1.0: 2.0**-26, 2.0: 2.0**-33, np.inf: 2.0**-26}


class Jumps(NamedTuple):
    """The target is continuous after subtracting `sizes[i]` for x >= `places[i]`."""

    places: np.ndarray
    sizes: np.ndarray

    def largest(self, count: int) -> "Jumps":
        """The largest ones, in the order of their places."""
        chosen = np.sort(np.argsort(-np.abs(self.sizes), kind="stable")[:count])
        return Jumps(self.places[chosen], self.sizes[chosen])

    def removed_from(self, quadrature: Quadrature) -> Quadrature:
        """The rest of the target, with a kink at every jump."""
        total = np.concatenate([[0.0], np.cumsum(self.sizes)])
        function, places = quadrature.function, self.places
        kinks = np.union1d(quadrature.kinks, places)
        return quadrature._replace(
            function=lambda x: function(x) - total[np.searchsorted(places, x, "right")],
            kinks=kinks,
            mesh=graded_mesh(quadrature.lower, quadrature.upper, kinks, CELLS),
        )

    def added_to(self, spline: Spline, p: float) -> Spline:
        """The spline of the rest and, for each jump, a steep piece: at most two pieces more."""
        lower, upper = spline.knots[0], spline.knots[-1]
        least = 64 * np.spacing(max(abs(lower), abs(upper)))
        width = max(_WIDTH[p] * (upper - lower), least)
        inside = (self.places > lower + 2 * width) & (self.places < upper - 2 * width)
        ramps = self.places[inside]
        ends = (ramps[:, None] + np.array([-width / 2, width / 2])).ravel()
        near = np.abs(spline.knots[:, None] - ramps).min(axis=1, initial=np.inf) < 2 * width
        knots = np.sort(np.concatenate([spline.knots[~near], ends]))
        values = spline(knots)
        for place, size in zip(self.places, self.sizes, strict=True):
            if place <= lower + 2 * width:  # the target takes another value at the end itself
                values = values + size
            elif place < upper - 2 * width:
                values = values + size * np.clip((knots - place) / width + 0.5, 0.0, 1.0)
        return Spline(knots, values)


def jumps(quadrature: Quadrature) -> Jumps:
    """The jumps of the target, by bisection of all cells that differ at their ends."""
    lower, upper = quadrature.lower, quadrature.upper
    even = np.linspace(lower, upper, _SEARCHED + 1)
    points = np.unique(np.concatenate([even, quadrature.mesh]))
    values = quadrature.function(points)
    left, right = points[:-1], points[1:]
    at_left, at_right = values[:-1], values[1:]
    first = np.abs(at_right - at_left)
    active = first > _SMALLEST * quadrature.scale
    for _ in range(_HALVINGS):
        left, right, at_left, at_right, first = (
            part[active] for part in (left, right, at_left, at_right, first)
        )
        middle = left + (right - left) / 2
        if not np.any((left < middle) & (middle < right)):
            break
        at_middle = quadrature.function(middle)
        lies_left = np.abs(at_middle - at_left) >= np.abs(at_right - at_middle)
        right, at_right = (
            np.where(lies_left, middle, right),
            np.where(lies_left, at_middle, at_right),
        )
        left, at_left = np.where(lies_left, left, middle), np.where(lies_left, at_left, at_middle)
        active = np.abs(at_right - at_left) > _KEPT * first
    return _merged(quadrature, right)


def _merged(quadrature: Quadrature, places: np.ndarray) -> Jumps:
    """Places nearer than two steep pieces as one, with the sizes across; an odd value has none."""
    if places.size == 0:
        return Jumps(places, places)
    lower, upper = quadrature.lower, quadrature.upper
    new = np.diff(places) > 4 * _WIDTH[1.0] * (upper - lower)
    begin, end = places[np.append(True, new)], places[np.append(new, True)]

    def across(gap: np.ndarray) -> np.ndarray:
        after = np.minimum(end + gap, upper)
        return quadrature.function(after) - quadrature.function(np.maximum(begin - gap, lower))

    # The value at the jump itself may lie between.
    near = 64 * np.spacing(np.maximum(np.abs(begin), np.abs(end)))
    sizes = across(near)
    # Around a singular point that is no jump, such as that of |x - 3|^0.3, where neighboring floats
    # are far apart, the difference grows with the gap.
    far = np.maximum(_WIDTH[1.0] * (upper - lower), _WIDER * near)
    kept = np.abs(sizes) > _SMALLEST * quadrature.scale
    kept &= np.abs(across(far)) < np.abs(sizes) / _KEPT
    return Jumps(begin[kept], sizes[kept])


def with_jumps(
    fit: Callable[[Quadrature, int, float], Spline],
    quadrature: Quadrature,
    pieces: int,
    p: float,
) -> Spline:
    """The best of `fit` after taking out as many jumps as the pieces allow, some, or none."""
    found = Jumps(np.zeros(0), np.zeros(0)) if quadrature.sampled else jumps(quadrature)
    count = found.places.size
    few = (pieces - 1) // 4
    if count == 0:
        return fit(quadrature, pieces, p)
    choices = [count] if count <= few else sorted({min(count, (pieces - 1) // 2), few, 0})
    splines = []
    for choice in choices:
        chosen = found.largest(choice)
        rest = chosen.removed_from(quadrature)
        splines.append(chosen.added_to(fit(rest, pieces - 2 * choice, p), p))
    if len(splines) == 1:
        return splines[0]
    judge = quadrature._replace(mesh=found.removed_from(quadrature).mesh)
    return splines[int(np.argmin([_realized_error(judge, spline, p) for spline in splines]))]


def _realized_error(quadrature: Quadrature, spline: Spline, p: float) -> float:
    """The p-th power of the error of the network, whose steep hinges may cancel."""
    lower, upper = quadrature.lower, quadrature.upper
    knots, values, _ = network_pieces(network_from_spline(spline), lower, upper)
    begin, width, _, _ = quadrature.cells(knots[:-1], knots[1:])
    x = begin[:, None] + width[:, None] * quadrature.nodes
    error = np.abs(quadrature.function(x) - np.interp(x, knots, values[:, 0]))
    return float(np.max(error) if p == np.inf else width @ (error**p @ quadrature.weights))
