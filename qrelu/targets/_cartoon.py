"""A picture by a formula: two smooth parts and a curved edge between them."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np

from ._multivariate import Multivariate
from ._rates import KnownRate

# An ellipse: center, half axes, and the angle of the first axis.
_CENTER, _AXES, _ANGLE = (0.45, 0.52), (0.34, 0.22), math.pi / 6


def cartoon() -> Multivariate:
    r"""A cartoon-like function: smooth but for a jump across an ellipse, the edge of an object.

    On the unit square: inside the ellipse 1 - q/2, q the squared distance from its center as a part
    of that of the edge; outside $x_1/2$. All parts are analytic, so it belongs to `Cartoon` with
    every smoothness.

    **Returns:**

    The function, with its norm in $L^2$ in closed form, and its rates for wavelets, the lowest
    waves and polynomials there.

    **Reference:** derived, the norm; [donoho2001] for functions of this kind, the rate recalled.
    """
    # The integral of (1 - q/2)^2 over the ellipse is its area times that of (1 - u/2)^2 over
    # [0, 1], 7/12; that of x^2 its area times (center^2 + variance), and over the square 1/3.
    (x, _), (a, b) = _CENTER, _AXES
    area = math.pi * a * b
    variance = ((a * math.cos(_ANGLE)) ** 2 + (b * math.sin(_ANGLE)) ** 2) / 4
    square = area * 7 / 12 + (1 / 3 - area * (x**2 + variance)) / 4
    return Multivariate(
        _values,
        (0.0, 1.0),
        dimension=2,
        name="cartoon",
        l2=math.sqrt(square),
        description="1 - q/2 inside an ellipse, x_1/2 outside",
        difficulty="jumping",
        known=_known,
    )


def _known(kind: str, p: float) -> KnownRate | None:
    # An edge meets of order 2^q squares of level q, each with a coefficient of order 2^-q; the
    # smooth parts give 4^q of order 2^-2q at most. Of all these 1/t are above t.
    if re.fullmatch(r"tensor-wavelet-.*-isotropic", kind) and p == 2:
        return KnownRate(0.5, 0.0, "[donoho2001], recalled: wavelets at a curved edge")
    # Of M = n^2 waves of frequencies to n, or polynomials to degree n: shifted by h, f changes by
    # h^(1/2) in L^2, at the edge and (the periodic continuation) at the sides. Jackson's inequality
    # gives errors of order n^(-1/2), and Bernstein's forbids any smaller power.
    if kind in ("tensor-fourier-lowest", "tensor-polynomial-total", "tensor-polynomial-tensor"):
        if p == 2:
            return KnownRate(0.25, 0.0, "classical (Jackson and Bernstein), recalled: a jump")
    return None


def _values(x):
    xp = jnp if isinstance(x, jax.Array) else np
    u, v = x[..., 0] - _CENTER[0], x[..., 1] - _CENTER[1]
    along = (u * math.cos(_ANGLE) + v * math.sin(_ANGLE)) / _AXES[0]
    across = (v * math.cos(_ANGLE) - u * math.sin(_ANGLE)) / _AXES[1]
    q = along**2 + across**2
    return xp.where(q < 1, 1 - q / 2, x[..., 0] / 2)
