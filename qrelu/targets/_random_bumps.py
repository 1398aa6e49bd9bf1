"""Functions that are concentrated in a few places, and polynomials that are large everywhere."""

import math
from collections.abc import Sequence

import numpy as np

# What is as long as a piece begins at the golden ratio's fraction of it.
_OFF = 0.6180339887498949


def bump_knots(
    rng: np.random.Generator,
    domain: tuple[float, float],
    size: int,
    fineness: int,
    count: int,
    shares: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Knots at these shares of `count` cells, and which knots they are, by cells.

    A cell is as long as the domain over `size` times `fineness`. Of as many equal pieces as `size`
    it lies in the middle of one, or, if as long, across two.
    """
    a, b = domain
    pieces = max(size, 2)
    start = 0.5 - 0.5 / fineness if fineness > 1 else _OFF
    free = pieces if fineness > 1 else pieces - 1
    chosen = np.sort(rng.choice(free, min(count, free), replace=False))
    places = (chosen[:, None] + start + np.asarray(shares) / fineness) / pieces
    # Where one cell ends and the next one begins is one knot.
    inner, which = np.unique(np.round(places, 14), return_inverse=True)
    knots = np.concatenate([[a], a + (b - a) * inner, [b]])
    return knots, which.reshape(places.shape) + 1


def bump_name(count: int, one: str, several: str, cells: int) -> str:
    """How many, and how long."""
    return f"{'one ' + one if count == 1 else f'{count} {several}'} of 1/{cells}"


# Of the polynomials of degree k with norm 1 in L^p, Gegenbauer's with the weight (1 - t^2)^(1/p -
# 1/2) have the largest leading term for p = 1, 2 and infinity: Chebyshev's of the second kind,
# Legendre's, Chebyshev's of the first kind. In between they are large.
def jacobi_row(degree: int, p: float, domain: tuple[float, float]) -> np.ndarray:
    """The coefficients of such a polynomial in powers of x - a, with the value 1 at b."""
    from scipy import special  # slow to import, and needed only here

    a, b = domain
    power = (0.0 if math.isinf(p) else 1 / p) - 0.5
    nodes = special.roots_jacobi(degree, power, power)[0] if degree else np.zeros(0)
    # With x = a + (b - a) u the zeros in u are (1 + t)/2, and the value at u = 1 is one.
    found = np.polynomial.polynomial.polyfromroots((1 + nodes) / 2)
    return found / found.sum() / (b - a) ** np.arange(found.size)
