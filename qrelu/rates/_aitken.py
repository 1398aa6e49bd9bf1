"""Aitken's limit of the pairwise orders: a rate without a model, as a check beside the fit."""

import numpy as np
from jaxtyping import Float

# Sizes whose ratios agree to this count as a geometric progression (M maps to whole pieces).
_GEOMETRIC = 0.1


def aitken(sizes: Float[np.ndarray, " sizes"], orders: Float[np.ndarray, " orders"]) -> float:
    r"""The limit of the last three pairwise orders, if they converge geometrically; else NaN.

    With d_1, d_2 the differences of the last three orders p and r = d_2 / d_1 it is
    $p_n + d_2 r / (1 - r)$, the sum of the geometric series that they begin. For
    $C M^{-\gamma} (1 + a M^{-\beta})$ on sizes in geometric progression the orders converge like
    that up to terms of second order in $a M^{-\beta}$.

    **Reference:** [aitken1927].
    """
    ratios = np.diff(np.log(sizes))
    if len(orders) < 3 or np.ptp(ratios[-3:]) > _GEOMETRIC * ratios[-1]:
        return float("nan")
    first, second = np.diff(orders[-3:])
    if second == 0:
        return float(orders[-1])
    if not abs(second) < abs(first):
        return float("nan")
    r = second / first
    return float(orders[-1] + second * r / (1 - r))
