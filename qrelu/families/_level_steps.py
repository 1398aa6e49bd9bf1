"""Step functions whose breakpoints are best in the sup norm."""

import numpy as np

from ._balanced_knots import balanced_ends
from ._quadrature import Quadrature

# Up to so many pieces; with more the density of the best breakpoints is known well enough.
MOST_PIECES = 512
# Samples for each piece, at equal variation and as many at equal distances; at least so many.
_PER_PIECE, _LEAST = 32, 2048
# Halvings of the interval in which the error lies.
_HALVINGS = 40


# A constant has the error e on a piece if the range of f there is 2 e. With error e the fewest
# pieces are those that end where the range exceeds 2 e, one after the other from the left: each end
# is as far to the right as it can be, whatever the ends before. The least e for which they are
# `count` is found by halving. Between the samples f is taken for a line.
def level_steps(points: Quadrature, count: int) -> np.ndarray:
    """Ends of at most `count` pieces with the least error of constants in the sup norm."""
    size = max(_PER_PIECE * count, _LEAST)
    even = np.linspace(points.lower, points.upper, size + 1)
    x = np.union1d(balanced_ends(points, size, 1, np.inf), even)
    x = np.union1d(x, points.mesh)
    f = points.function(x)
    low, high = 0.0, float(np.ptp(f)) / 2
    best = x[[0, -1]]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ends = _greedy(x, f, 2 * middle, count)
        if ends is None:
            low = middle
        else:
            best, high = ends, middle
    return best


def _greedy(x: np.ndarray, f: np.ndarray, width: float, count: int) -> np.ndarray | None:
    """Ends of pieces on which the range of f is at most `width`, if they are at most `count`."""
    ends, value, i = [x[0]], f[0], 1
    window = 2 * x.size // count
    while len(ends) <= count:
        left, size = i, window
        most = least = value
        while True:
            part = f[left : left + size]
            upper = np.maximum.accumulate(np.append(most, part))
            lower = np.minimum.accumulate(np.append(least, part))
            place = int(np.argmax(upper - lower > width))
            if place:
                break
            left, most, least = left + size, upper[-1], lower[-1]
            if left >= x.size:
                return np.array([*ends, x[-1]])
            size *= 2
        k = left + place - 1
        # The range grows beyond the width on the way from sample k - 1 to k.
        rising = upper[place] > upper[place - 1]
        value = lower[place - 1] + width if rising else upper[place - 1] - width
        share = (value - f[k - 1]) / (f[k] - f[k - 1])
        ends.append(max(x[k - 1] + share * (x[k] - x[k - 1]), ends[-1]))
        i = k
    return None
