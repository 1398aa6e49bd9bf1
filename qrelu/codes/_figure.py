"""Error against bits, drawn."""

from typing import Any

import numpy as np

from ._codec import check_accuracy as check_positive
from ._shortest import Curve


def figure(curves: Any, *, encoding_rate: Any = None) -> Any:
    r"""Error against bits of some families, and the slope that encoding allows a class.

    **Arguments:**

    - `curves`: what `curve` returned, one for each family.
    - `encoding_rate`: of a class, as `bounds` gives it: a guide of that slope is drawn above the
        curves. For a single function it is no limit.

    **Returns:**

    A Matplotlib figure.

    **Raises:**

    - `TypeError`: for what is no list of curves, and a rate that is no number.
    - `ValueError`: without a curve that has a point to draw (bits and errors above zero), for
      curves of different targets or norms, and for a rate that is not positive.
    """
    given = curves if isinstance(curves, list | tuple) and not isinstance(curves, Curve) else None
    if given is None or not all(isinstance(curve, Curve) for curve in given):
        got = type(curves).__name__ if given is None else f"{curves!r:.60}"
        raise TypeError(
            "`figure(curves)` must get a list of what `codes.curve` returned; got "
            f"{got}. Write `figure([curve])`."
        )
    if encoding_rate is not None:
        check_positive("figure(curves, encoding_rate=...)", encoding_rate)
    found = [curve for curve in given if _drawn(curve).any()]
    if not found:
        raise ValueError(
            "`figure(curves)` must get a curve with at least one accuracy that was reached, with "
            f"bits and an error above zero; got {len(given)} without. Ask `codes.curve` for other "
            "accuracies."
        )
    subjects = sorted({f"{curve.target} in {curve.norm}" for curve in found})
    if len(subjects) > 1:
        raise ValueError(
            f"`figure(curves)` must get curves of one target and one norm; got "
            f"{', '.join(subjects)}. Draw a figure for each."
        )
    from matplotlib.figure import Figure

    result = Figure(figsize=(6, 4), layout="constrained")
    axes: Any = result.subplots()
    for curve in found:
        axes.loglog(curve.bits, curve.errors, "o-", markersize=4, label=curve.family)
    bits = np.concatenate([curve.bits[_drawn(curve)] for curve in found])
    errors = np.concatenate([curve.errors[_drawn(curve)] for curve in found])
    if encoding_rate is not None:
        ends = np.array([bits.min(), bits.max()])
        guide = 2 * np.max(errors * bits**encoding_rate)
        label = f"encoding rate {encoding_rate:g}"
        axes.loglog(ends, guide * ends**-encoding_rate, "k--", label=label)
    axes.set_xlabel("bits")
    axes.set_ylabel(f"{found[0].norm} error")
    axes.set_title(found[0].target)
    axes.legend(frameon=False)
    return result


def _drawn(curve: Curve) -> np.ndarray:
    """Which points have a place on logarithmic axes."""
    return (curve.bits > 0) & (curve.errors > 0)
