"""The figure of an explanation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..networks import ReLUNetwork, pieces
from ._difference import Parameters, decompose, propagate

if TYPE_CHECKING:
    from ._explanation import Explanation

# Okabe and Ito's palette, told apart by every common form of color blindness, for the layers;
# black is for what is not rounded and for the whole error.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_FINE = 1500  # points of a curve: a few per pixel of its panel
_SMALL = 8
_ROWS = 12  # arrays in a panel of bars


def draw(explanation: "Explanation") -> Figure:
    """One input: over x; several: bars and the worst layer's weights."""
    if explanation.points.shape[1] == 1 and np.ptp(explanation.points) > 0:
        figure = _over_x(explanation)
    else:
        figure = _over_weights(explanation)
    figure.suptitle(
        f"Error after rounding: {explanation.error:.3g} (root mean square over "
        f"{len(explanation.points)} points), largest {explanation.largest:.3g}",
        fontsize=11,
    )
    return figure


def _over_x(explanation: "Explanation") -> Figure:
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(2.1, 1))[0]
    top, bottom = left.subplots(2, 1, sharex=True)
    old, new = (Parameters(p[::2], p[1::2]) for p in (explanation.old, explanation.new))
    a, b = float(explanation.points.min()), float(explanation.points.max())
    exact = [pieces(ReLUNetwork(*p), a, b).breakpoints[1:-1] for p in (old, new)]
    x = np.unique(np.concatenate([np.linspace(a, b, _FINE), *exact]))[:, None]
    out = int(np.argmax(np.mean(explanation.difference**2, axis=0)))
    name = f"output {out} (the worst)" if explanation.difference.shape[1] > 1 else "output"

    before, after = (propagate(p, x)[0][-1][:, out] for p in (old, new))
    top.plot(x, before, color="0.75", linewidth=4, label=f"before, {len(exact[0]) + 1} pieces")
    top.plot(x, after, color="black", linewidth=1.2, label=f"rounded, {len(exact[1]) + 1} pieces")
    _rug(top, exact)
    top.set_ylabel(name)
    top.legend(
        fontsize=_SMALL, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 0.97)
    )

    parts = decompose(old, new, x, np.full(len(x), 1 / len(x)))
    depth = len(old.weights)
    by_layer = parts.contributions[:, :, out].reshape(depth, 2, -1).sum(axis=1)
    bottom.plot(x, parts.difference[:, out], color="black", linewidth=2, label="difference")
    for layer, color in _colors(explanation).items():
        bottom.plot(x, by_layer[layer], color=color, linewidth=1.2, label=f"layer {layer + 1}")
    for knot in exact[1] if len(exact[1]) <= 60 else ():
        bottom.axvline(knot, color="0.9", linewidth=0.7, zorder=0)
    bottom.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    bottom.set(xlabel="x", ylabel="rounded minus before")
    what = "what each layer adds to it" if depth <= len(_COLORS) else "its largest parts"
    bottom.set_title(f"The difference, and {what}", fontsize=9)
    bottom.legend(fontsize=_SMALL, frameon=False, ncols=2)
    for ax in (top, bottom):
        _plain(ax)
    shares, errors = right.subplots(2, 1)
    _share_bars(shares, explanation)
    _error_bars(errors, explanation)
    return figure


def _rug(ax: Any, exact: Sequence[np.ndarray]) -> None:
    """Breakpoints before (upper) and after (lower) along the bottom of the panel."""
    if max(map(len, exact)) > 400:  # a tick per pixel would be a bar
        return
    for knots, low, color in zip(exact, (0.045, 0.0), ("0.65", "black"), strict=True):
        ax.vlines(knots, low, low + 0.04, transform=ax.get_xaxis_transform(), color=color, lw=0.8)
    ax.margins(y=0.12)


def _over_weights(explanation: "Explanation") -> Figure:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.25))[0]
    shares, errors = left.subplots(2, 1)
    _share_bars(shares, explanation)
    _error_bars(errors, explanation)
    _heat_map(right.subplots(), right, explanation)
    return figure


def _heat_map(ax: Any, figure: Any, explanation: "Explanation") -> None:
    by_layer = [float(s.sum()) for s in explanation.shares]
    layer = int(np.argmax(np.abs(np.add(by_layer[::2], by_layer[1::2]))))
    weights, bias = explanation.shares[2 * layer], explanation.shares[2 * layer + 1]
    image = 100 * np.concatenate([weights, bias[:, None]], axis=1)
    bound = max(float(np.max(np.abs(image))), 1e-300)
    shown = ax.imshow(
        image,
        cmap="RdBu_r",
        norm=TwoSlopeNorm(0, -bound, bound),
        aspect="auto",
        interpolation="none",
    )
    columns = weights.shape[1]
    ax.axvline(columns - 0.5, color="black", linewidth=0.8)
    ax.set(xlabel="input of the layer; last column: bias", ylabel="unit")
    for axis in (ax.xaxis, ax.yaxis):  # one tick is enough for one unit
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_title(f"share of every parameter of layer {layer + 1}", fontsize=9)
    figure.colorbar(shown, ax=ax, label="share of the error in %")


def _colors(explanation: "Explanation") -> dict[int, str]:
    """The layers with the largest parts in the error, in their order, with their colors."""
    sizes = np.mean(np.sum(explanation.contributions**2, axis=2), axis=1)
    largest = np.argsort(-sizes.reshape(-1, 2).sum(axis=1), kind="stable")[: len(_COLORS)]
    return dict(zip(sorted(largest.tolist()), _COLORS, strict=False))


def _share_bars(ax: Any, explanation: "Explanation") -> None:
    shown, colors = _rows(explanation)
    values = np.array([100 * explanation.shares[i].sum() for i in shown])
    bars = ax.barh(np.arange(len(shown)), values, color=colors, height=0.7)
    ax.bar_label(bars, [f"{v:.0f} %" for v in values], fontsize=_SMALL, padding=2)
    ax.axvline(0, color="black", linewidth=0.8)
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.22 * (high - low) or 1.0  # for the numbers beside the bars
    ax.set_xlim(low - (1.6 * room if low < 0 else 0.0), high + room)
    _name_rows(ax, explanation, shown, "share of the error in %")


def _error_bars(ax: Any, explanation: "Explanation") -> None:
    shown, colors = _rows(explanation)
    places = np.arange(len(shown))
    alone, without = explanation.alone[shown], explanation.without[shown]
    ax.barh(places - 0.19, alone, color=colors, height=0.36)
    ax.barh(places + 0.19, without, color="white", edgecolor=colors, height=0.36, hatch="////")
    ax.axvline(explanation.error, color="black", linestyle="--", linewidth=1)
    _name_rows(ax, explanation, shown, "error; dashed: of all together")
    handles = [
        Patch(facecolor="0.5", label="only this rounded"),
        Patch(facecolor="white", edgecolor="0.5", hatch="////", label="all but this"),
    ]
    ax.legend(
        handles=handles,
        fontsize=_SMALL,
        frameon=False,
        ncols=2,
        loc="lower center",
        bbox_to_anchor=(0.45, 0.97),
    )


def _rows(explanation: "Explanation") -> tuple[list[int], list]:
    """The arrays with the largest shares, in the order of the layers, and their layers' colors."""
    changed = [i for i, e in enumerate(explanation.effects) if e.any()] or [0]
    size = [-abs(float(explanation.shares[i].sum())) for i in changed]
    shown = sorted(changed[k] for k in np.argsort(size, kind="stable")[:_ROWS])
    colors = _colors(explanation)
    return shown, [colors.get(i // 2, "0.6") for i in shown]


def _name_rows(ax: Any, explanation: "Explanation", shown: list[int], label: str) -> None:
    left_out = sum(bool(e.any()) for e in explanation.effects) - len(shown)
    more = f" ({left_out} smaller not shown)" if left_out > 0 else ""
    ax.set_yticks(np.arange(len(shown)), [explanation.names[i] for i in shown])
    ax.invert_yaxis()
    ax.set_xlabel(label + more, fontsize=9)
    _plain(ax)


def _plain(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=_SMALL)
    ax.xaxis.label.set_size(9)
    ax.yaxis.label.set_size(9)
