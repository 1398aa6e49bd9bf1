"""Error against bits, drawn."""

from typing import Any

import numpy as np

from ._shortest import Curve


def figure(curves: Any, *, encoding_rate: float | None = None) -> Any:
    r"""Error against bits of some families, and the slope that encoding allows a class.

    **Arguments:**

    - `curves`: what `curve` returned, one for each family.
    - `encoding_rate`: of a class, as `bounds` gives it: a guide of that slope is drawn above the
        curves. For a single function it is no limit.

    **Returns:**

    A Matplotlib figure.

    **Raises:**

    - `TypeError`: for what is no list of curves.
    - `ValueError`: without a curve that has a point.
    """
    if isinstance(curves, Curve) or not all(isinstance(curve, Curve) for curve in curves):
        raise TypeError(
            "`figure(curves)` must get a list of what `codes.curve` returned. Write "
            "`figure([curve])`."
        )
    found = [curve for curve in curves if np.isfinite(curve.bits).any()]
    if not found:
        raise ValueError(
            "`figure(curves)` must get a curve with at least one accuracy that was reached; got "
            f"{len(curves)} without. Ask for less accuracy."
        )
    from matplotlib.figure import Figure

    result = Figure(figsize=(6, 4), layout="constrained")
    axes: Any = result.subplots()
    for curve in found:
        axes.loglog(curve.bits, curve.errors, "o-", markersize=4, label=curve.family)
    bits = np.concatenate([curve.bits for curve in found])
    errors = np.concatenate([curve.errors for curve in found])
    reached = np.isfinite(bits) & (errors > 0)
    if encoding_rate is not None:
        ends = np.array([bits[reached].min(), bits[reached].max()])
        guide = 2 * np.max(errors[reached] * bits[reached] ** encoding_rate)
        label = f"encoding rate {encoding_rate:g}"
        axes.loglog(ends, guide * ends**-encoding_rate, "k--", label=label)
    axes.set_xlabel("bits")
    axes.set_ylabel(f"{found[0].norm} error")
    axes.set_title(found[0].target)
    axes.legend(frameon=False)
    return result
