"""What no family can do, in sentences."""

import numpy as np

from ._jumps import jumps
from ._quadrature import Quadrature


def refuse_jumps(call: str, quadrature: Quadrature, p: float, name: str) -> None:
    """An error for a discontinuous target in the sup norm: no error falls there."""
    if p != np.inf or quadrature.sampled:
        return
    found = jumps(quadrature)
    if found.places.size:
        largest = found.largest(1)
        place, size = float(largest.places[0]), abs(float(largest.sizes[0]))
        raise ValueError(
            f"`{call}` must get a continuous target in the sup norm; `{name}` jumps by {size:.4g} "
            f"at x = {place:.6g}, and no approximant that is continuous there or has its "
            f"breakpoints elsewhere has an error below {size / 2:.4g}. Use `L1()` or `L2()`."
        )
