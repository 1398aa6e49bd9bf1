"""The picture of errors against bits."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ._curve import broken_line

# Okabe and Ito's palette, told apart by every common form of color blindness.
_ORANGE, _GREEN, _BLUE = "#E69F00", "#009E73", "#0072B2"
_GREY = "0.4"


def draw(curve: Any, accuracy: float | None) -> Figure:
    """Certified, sampled and a-priori errors, the knee, and the accuracy with its bits."""
    figure = Figure(figsize=(6.6, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.set_yscale("log")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", which="major", color="0.92", linewidth=0.8)
    bits = curve.bits
    for errors, color, marker, dash, label in (
        (curve.apriori, _ORANGE, "^", (0, (4, 2)), "theory alone, before anything is computed"),
        (curve.certified, _BLUE, "o", "-", "certified for this network"),
        (curve.sampled, _GREEN, "x", (0, (1, 2)), "seen at random points, not proven"),
    ):
        # On a logarithmic axis zero and infinity have no place.
        shown = np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)
        ax.plot(bits, shown, color=color, marker=marker, ms=5, lw=1.8, ls=dash, label=label)
    _mark_knee(ax, curve)
    if accuracy is not None:
        _mark_accuracy(ax, curve, accuracy)
    ax.set_xlabel("bits per parameter")
    ax.set_ylabel("largest change of an output")
    ax.set_xlim(bits[0] - 0.5, bits[-1] + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", frameon=False, fontsize=9)
    return figure


def _mark_knee(ax: Any, curve: Any) -> None:
    """The broken line that says where the knee is, drawn behind, and its bend."""
    line = broken_line(curve.bits, curve.certified)
    if line is None:
        return
    ax.plot(line.bits, 2.0**line.logs, color=_BLUE, lw=6, alpha=0.2, zorder=0)
    height = 2.0 ** float(line.logs[line.bits == line.knee][0])
    ax.plot(line.knee, height, "o", ms=12, mfc="none", mec=_BLUE, mew=1.2)
    ax.annotate(
        f"knee: {line.knee} bits",
        (line.knee, height),
        (0, -10),
        textcoords="offset points",
        ha="center",
        va="top",
        color=_BLUE,
        fontsize=9,
    )


def _mark_accuracy(ax: Any, curve: Any, accuracy: float) -> None:
    """A line at the accuracy, and where the certified and the a-priori errors come below it."""
    ax.axhline(accuracy, color=_GREY, lw=1, ls=(0, (6, 3)))
    ax.annotate(
        f"asked: {accuracy:g}",
        (0, accuracy),
        (4, -4),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="top",
        color=_GREY,
        fontsize=9,
    )
    for errors, color, height in ((curve.certified, _BLUE, -10), (curve.apriori, _ORANGE, -23)):
        enough = curve.bits[errors <= accuracy]
        if not len(enough):
            continue
        ax.axvline(enough[0], color=color, lw=1, alpha=0.6, zorder=0)
        ax.annotate(
            f"{enough[0]} bits",
            (enough[0], 1),
            (-3, height),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            color=color,
            fontsize=9,
        )
