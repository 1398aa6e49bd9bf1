"""The figure of a regime diagram."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from ..bounds import regime

if TYPE_CHECKING:
    from ._regimes import RegimeDiagram

# Okabe and Ito's palette, told apart by every common form of color blindness; black is proven.
_ORANGE, _SKY, _GREEN, _RED, _BLUE = "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2"
_LIMIT = "#F0E442"
_SMALL = 7.5  # points
_ROW, _LEGEND = 3.5, 1.25  # inches
_LINEAR = 16  # up to so many bits, the axis of the bits is linear

_LOWER = {
    "precision": (_ORANGE, (0, (4, 2)), r"proven lower bound, precision: $2^{-Lb-1}$"),
    "memory": (_BLUE, (0, (1, 1.2)), "proven lower bound, memory: 1 / (bits of all weights)"),
    "vc": (_GREEN, "-.", "proven lower bound, VC dimension: any number of bits"),
}
# The proven upper bound, the error on the zigzag, and the one on the drawn functions.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "black", "marker": "s", "markersize": 2.5, "linewidth": 1.2},
    {"color": _RED, "linestyle": "", "marker": "x", "markersize": 5},
    {"color": _SKY, "linestyle": "", "marker": "o", "markersize": 7.5, "fillstyle": "none"},
)
_EXPLAINED = (
    "Bounds are for the worst of all f with |f(x) - f(y)| \u2264 |x - y| on [0, 1]. A measured "
    "error is that of one function: it bounds the worst one from neither side."
)


def draw(diagrams: Sequence["RegimeDiagram"]) -> Figure:
    """One row per diagram: the error, and bits times error."""
    height = _ROW * len(diagrams) + _LEGEND
    figure = Figure(figsize=(10.4, height))
    rows = figure.subplots(len(diagrams), 2, squeeze=False, width_ratios=(1.25, 1))
    for (left, right), diagram in zip(rows, diagrams, strict=True):
        _errors(left, diagram)
        _products(right, diagram)
        for ax in (left, right):
            _bits_axis(ax, diagram)
            ax.grid(which="major", color="0.92", linewidth=0.8)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
        notes = textwrap.fill(" ".join(diagram.notes), 165)
        left.text(0, -0.25, notes, transform=left.transAxes, fontsize=7, color="0.3", va="top")
    figure.legend(
        handles=_handles(),
        loc="lower center",
        bbox_to_anchor=(0.5, 0.36 / height),
        ncols=2,
        fontsize=_SMALL,
        frameon=False,
        columnspacing=2.5,
    )
    figure.text(0.5, 0.14 / height, _EXPLAINED, ha="center", fontsize=_SMALL, color="0.3")
    figure.subplots_adjust(
        left=0.07,
        right=0.985,
        bottom=(_LEGEND + 0.75) / height,
        top=1 - 0.35 / height,
        hspace=0.5,
        wspace=0.17,
    )
    return figure


def _handles() -> list[Line2D | Patch]:
    lower = [
        Line2D([], [], color=color, linestyle=dash, linewidth=1.4, label=text)
        for color, dash, text in _LOWER.values()
    ]
    bound, zigzag, drawn = _STYLES
    return [
        Line2D([], [], label="best proven upper bound: of the network that is built", **bound),
        Line2D([], [], label="measured error on an adversarial zigzag", **zigzag),
        Line2D([], [], label="measured error on drawn Lipschitz functions, the largest", **drawn),
        Patch(facecolor="0.9", label="more bits do not help the networks built here"),
        Line2D([], [], color=_LIMIT, linewidth=6, label="the largest of the three lower bounds"),
        *lower,
    ]


def _errors(ax, diagram: "RegimeDiagram") -> None:
    b, bounds = _series(diagram, "fraction_bits", "bound")
    grid = np.arange(b[0], b[-1] + 1)
    known = [regime(diagram.width, diagram.depth, int(n), diagram.integer_bits) for n in grid]
    ax.set_yscale("log")
    largest = np.array([r.lower for r in known])
    ax.plot(grid, largest, color=_LIMIT, linewidth=6, solid_capstyle="round", zorder=1)
    for name, (color, dash, _) in _LOWER.items():
        values = [getattr(r, name) for r in known]
        ax.plot(grid, values, color=color, linestyle=dash, linewidth=1.4, zorder=2)
    _built(ax, diagram, np.ones(len(b)))
    ax.set_ylim(known[-1].vc / 5, 20 * bounds.max())
    ax.set_ylabel("sup error", fontsize=9)
    ax.set_title(
        f"width \u2264 {diagram.width}, depth \u2264 {diagram.depth}, weights in "
        rf"$\mathcal{{Q}}_{{{diagram.integer_bits}}}^b$: b + {diagram.integer_bits + 2} bits each",
        fontsize=9.5,
        loc="left",
    )
    falling, flat = slope(diagram), flat_stretch(diagram)
    words = []
    if falling is not None:
        first, last, rate = falling
        c = rate / diagram.depth
        words.append((first, last, f"under: falls like\n$2^{{-cLb}}$, c = {c:.2g}"))
    if flat is not None:
        words.append((*flat, "proper: falls like 1/b"))
    for first, last, text in words:
        _say(ax, _between(diagram, int(b[first]), int(b[last])), text)
    if b[-1] > diagram.last and words:
        _say(ax, _between(diagram, diagram.last, int(b[-1])), "over" if flat else "width used up")


def _say(ax, x: float, text: str) -> None:
    place = ax.get_xaxis_transform()
    ax.text(x, 0.97, text, transform=place, fontsize=8, color="0.2", ha="center", va="top")


def _between(diagram: "RegimeDiagram", low: int, high: int) -> float:
    """The middle on the axis of the bits."""
    logarithmic = diagram.networks[-1].fraction_bits > _LINEAR
    return math.sqrt(low * high) if logarithmic else (low + high) / 2


def _products(ax, diagram: "RegimeDiagram") -> None:
    b, bounds = _series(diagram, "fraction_bits", "bound")
    _built(ax, diagram, b)
    extra = diagram.integer_bits + 2
    label = f"(b + {extra}) x error: with all bits of a weight"
    ax.plot(b, (b + extra) * bounds, color="0.6", linewidth=1.2, zorder=2, label=label)
    ax.legend(loc="upper right", fontsize=_SMALL, frameon=False)
    ax.set_yscale("log")
    ax.set_ylabel("bits x sup error", fontsize=9)
    ax.set_ylim((b * bounds).min() / 3, ((b + extra) * bounds).max() * 2)
    flat = flat_stretch(diagram)
    title = "b x error"
    if flat is not None:
        first, last = flat
        part = (b * bounds)[first : last + 1]
        low, high = part.min(), part.max()
        ax.fill_between(b[first : last + 1], low, high, color=_SKY, alpha=0.25, linewidth=0)
        title += f": within a factor {high / low:.2g} for b = {b[first]} to {b[last]}"
    ax.set_title(title, fontsize=9.5, loc="left")


def _series(diagram: "RegimeDiagram", *names: str) -> list[np.ndarray]:
    return [np.array([getattr(n, name) for n in diagram.networks]) for name in names]


def _built(ax, diagram: "RegimeDiagram", factor: np.ndarray) -> None:
    b, bounds, zigzag, drawn = _series(diagram, "fraction_bits", "bound", "zigzag", "drawn")
    for values, style in zip((bounds, zigzag, drawn), _STYLES, strict=True):
        ax.plot(b, factor * values, zorder=3, **style)
    if b[-1] > diagram.last:
        ax.axvspan(diagram.last, b[-1], color="0.9", zorder=0, linewidth=0)


def _bits_axis(ax, diagram: "RegimeDiagram") -> None:
    (b,) = _series(diagram, "fraction_bits")
    if b[-1] > _LINEAR:
        ax.set_xscale("log")
        marks = [v for v in (1, 2, 3, 5, 10, 20, 30, 50, 100, 200) if b[0] <= v <= b[-1]]
    else:
        marks = list(range(b[0], b[-1] + 1))
    ax.xaxis.set_major_locator(FixedLocator(marks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlabel("b, the bits of a weight after the point", fontsize=8.5)


def flat_stretch(diagram: "RegimeDiagram") -> tuple[int, int] | None:
    """Where b times the proven error is within a factor of 2.2 over the widest range of b.

    None if that is less than a decade, or if the error does not fall by a factor of 5 there.
    """
    b = [n.fraction_bits for n in diagram.networks]
    bounds = [n.bound for n in diagram.networks]
    best = None
    for i in range(len(b)):
        low = high = b[i] * bounds[i]
        for j in range(i, len(b)):
            low, high = min(low, b[j] * bounds[j]), max(high, b[j] * bounds[j])
            wide = b[j] >= 10 * b[i] and bounds[i] >= 5 * bounds[j] and b[j] <= diagram.last
            if high > 2.2 * low:
                break
            if wide and (best is None or b[j] / b[i] > b[best[1]] / b[best[0]]):
                best = i, j
    return best


def slope(diagram: "RegimeDiagram") -> tuple[int, int, float] | None:
    """Where every bit makes the proven error smaller by one factor, from b = 1 on, and its log2."""
    b = np.array([n.fraction_bits for n in diagram.networks])
    logs = np.log2([n.bound for n in diagram.networks])
    falls = -np.diff(logs) / np.diff(b)
    steps = next((i for i, fall in enumerate(falls) if abs(fall - falls[0]) > 1e-9), len(falls))
    if steps < 2 or falls[0] < 1:
        return None
    return 0, steps, float(falls[0])
