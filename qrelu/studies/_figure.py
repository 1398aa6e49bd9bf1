"""The figure of a study: one panel per target and family, readable without a manual."""

import math
import textwrap
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ._curves import Curve

# Okabe and Ito's palette, told apart by every common form of color blindness; its yellow is
# too light for lines on white. Black is for what is not rounded.
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2")
_Dash = Literal["-", "--", "-.", ":"]
_DASHES: tuple[_Dash, ...] = ("-", "-", "-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LIMIT = "#F0E442"  # that yellow, as a highlighter under the lines

# A word of a verdict that there is no rate, and the reason in the legend's few letters.
_REASONS = {
    "rises": "rises",
    "floor of float": "exact up to rounding",
    "exactly zero": "exact",
    "flat": "floor",
    "exponential": "exponential",
}


class _Style(NamedTuple):
    color: str
    dash: _Dash
    width: float
    size: float
    order: float


def draw(curves: Sequence[Curve], description: dict) -> Figure:
    """Draw all curves: rows are targets, columns are families, colors are rounding rules."""
    norm = description["norm"]["name"]
    targets = [item["name"] for item in description["targets"]]
    families = list(dict.fromkeys(item["base"] for item in description["families"]))
    styles = _styles(list(dict.fromkeys(item["rule"] for item in description["families"])))
    width = max(3.5 * len(families), 5.6) + 0.7
    height = 3.1 * len(targets) + 1.0
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(len(targets), len(families), sharex=True, sharey="row", squeeze=False)
    for i, target in enumerate(targets):
        for j, family in enumerate(families):
            ax = axes[i, j]
            ax.set(xscale="log", yscale="log")
            ax.grid(which="major", color="0.92", linewidth=0.8)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8, which="both")
            here = [c for c in curves if (c.target, c.family) == (target, family)]
            _panel(ax, here, styles, _MARKERS[j % len(_MARKERS)])
            ax.set_title(f"{target}: {family}" if len(families) > 1 else target, fontsize=10)
        axes[i, 0].set_ylabel(f"{norm} error", fontsize=9)
    for i in range(len(targets)):
        _make_room([axes[i, j] for j in range(len(families))])
    _mark_sizes(axes, curves)
    for ax in axes[-1]:
        ax.set_xlabel("connectivity M (nonzero weights and biases)", fontsize=8.5)
    _explain(figure, curves, norm, height)
    # Margins in inches: everything has a known size, and measuring the text costs as much as
    # drawing the figure.
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.1 / width,
        bottom=1.0 / height,
        top=1 - 0.65 / height,
        wspace=0.14,
        hspace=0.2,
    )
    return figure


def _styles(rules: Sequence[str]) -> dict[str, _Style]:
    rounded = [rule for rule in rules if rule != "float"]
    styles = {
        rule: _Style(
            _COLORS[i % len(_COLORS)], _DASHES[(i + i // len(_COLORS)) % len(_DASHES)], 1.3, 3.6, 4
        )
        for i, rule in enumerate(rounded)
    }
    # The unrounded errors lie under the others where rounding costs nothing: larger and below.
    return {"float": _Style("black", "-", 2.2, 6.0, 3), **styles}


def _panel(ax, curves: Sequence[Curve], styles: dict[str, _Style], marker: str) -> None:
    handles = []
    for curve in curves:
        style = styles[curve.rule]
        m, e = curve.connectivity, curve.errors
        with np.errstate(divide="ignore"):
            mean = np.exp(np.log(e).mean(axis=0)) if e.size else np.zeros(0)
        good = mean > 0
        ax.plot(
            m[good],
            mean[good],
            style.dash,
            color=style.color,
            linewidth=style.width,
            marker=marker,
            markersize=style.size,
            zorder=style.order,
            alpha=0.9,
            markerfacecolor="white" if curve.rule == "float" else style.color,
        )
        for row in e if len(e) > 1 else ():
            ax.plot(
                m[row > 0],
                row[row > 0],
                linestyle="",
                marker=".",
                markersize=3,
                color=style.color,
                alpha=0.4,
            )
        _interval(ax, curve, style, m[good], mean[good])
        handles.append(
            Line2D(
                [],
                [],
                color=style.color,
                linestyle=style.dash,
                marker=marker,
                markersize=min(style.size, 4.5),
                linewidth=style.width,
                label=_label(curve),
                markerfacecolor="white" if curve.rule == "float" else style.color,
            )
        )
    handles += _limit(ax, curves)
    if not any(c.connectivity.size for c in curves):
        words = curves[0].verdict if curves else "not computed yet"
        ax.text(0.5, 0.6, textwrap.fill(words, 34), transform=ax.transAxes, ha="center", fontsize=8)
    if handles:
        ax.legend(
            handles=handles,
            loc="lower left",
            fontsize=6.8,
            frameon=True,
            framealpha=0.85,
            edgecolor="none",
            handlelength=2.2,
            labelspacing=0.25,
            borderpad=0.2,
        )


def _interval(ax, curve: Curve, style: _Style, m, mean) -> None:
    """The band between the interval's two slopes, through the middle of the fitted sizes."""
    fit = curve.fit
    if fit is None or m.size == 0:
        return
    if (floor := _floor(curve)) is not None:
        ax.axhline(floor, linestyle=":", color=style.color, linewidth=1)
    if not fit.established:
        return
    x = np.geomspace(float(fit.tail[0]), float(m[-1]) * 1.5, 60)
    fitted = fit.curve(x)
    ax.plot(x, fitted, "-", color=style.color, linewidth=0.7, zorder=2, alpha=0.8)
    middle = math.sqrt(x[0] * m[-1])
    low, high = ((x / middle) ** (fit.gamma - g) for g in fit.interval)
    ax.fill_between(
        x,
        fitted * np.minimum(low, high),
        fitted * np.maximum(low, high),
        color=style.color,
        alpha=0.18,
        linewidth=0,
        zorder=1,
    )


def _floor(curve: Curve) -> float | None:
    """The level at which the errors stop falling; one that they leave again is no floor."""
    if curve.fit is None or "rises" in curve.verdict or not curve.fit.floor > 0:
        return None
    return curve.fit.floor


def _label(curve: Curve) -> str:
    """The rule, and its rate or in two words why it has none."""
    fit = curve.fit
    bits = curve.rows["bits_per_weight"].drop_nulls()
    name = curve.rule
    if len(bits) and bits.min() != bits.max():
        name += f", {bits.min():.0f} to {bits.max():.0f} bits"
    if fit is None:
        return f"{name}: not available"
    if fit.established:
        low, high = fit.interval
        return rf"{name}: $\gamma$ = {fit.gamma:.2f} [{low:.2f}, {high:.2f}]"
    for word, text in _REASONS.items():
        if word in curve.verdict:
            return f"{name}: {text}, no rate"
    return f"{name}: no rate"


def _limit(ax, curves: Sequence[Curve]) -> list[Line2D]:
    """The limit as a gray line, with what kind of limit it is."""
    for curve in curves:
        known = np.isfinite(curve.limits) & (curve.limits > 0)
        if known.any():
            held = curve.rows.filter(pl.col("limit") > 0)["limit_label"]
            label = ", then ".join(held.unique(maintain_order=True))
            ax.plot(
                curve.connectivity[known],
                curve.limits[known],
                "-",
                color=_LIMIT,
                linewidth=7,
                alpha=0.9,
                zorder=0,
                solid_capstyle="round",
            )
            return [Line2D([], [], color=_LIMIT, linewidth=4, alpha=0.9, label=f"limit ({label})")]
    return []


def _make_room(axes) -> None:
    """Lower the bottom of a row of panels so that the labels do not cover the points."""
    low, high = axes[0].get_ylim()
    entries = max(
        (len(ax.get_legend().get_texts()) for ax in axes if ax.get_legend() is not None), default=0
    )
    share = min(0.05 * entries, 0.45)
    if low > 0 and np.isfinite(high / low):
        axes[0].set_ylim(low / (high / low) ** (share / (1 - share)), high)


def _mark_sizes(axes, curves: Sequence[Curve]) -> None:
    """Write the sizes themselves under the axis instead of powers of ten."""
    from matplotlib.ticker import FixedLocator, NullLocator

    sizes = sorted({int(n) for c in curves for n in c.rows["size"]})
    while len(sizes) > 8:
        sizes = sizes[::2]
    for ax in axes.flat:
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_locator(NullLocator())


def _explain(figure: Figure, curves: Sequence[Curve], norm: str, height: float) -> None:
    """The title, and what is drawn in one legend under the figure."""
    fits = [curve.fit for curve in curves if curve.fit is not None]
    handles: list[Line2D | Patch] = [
        Line2D(
            [],
            [],
            color="black",
            marker="o",
            markerfacecolor="white",
            linewidth=2.2,
            label="measured error",
        )
    ]
    if any(fit.established for fit in fits):
        label = r"fit $C\,M^{-\gamma}$ and its extension"
        handles.append(Line2D([], [], color="black", linewidth=0.7, label=label))
        handles.append(Patch(color="black", alpha=0.18, label=r"interval of $\gamma$"))
    if any(np.isfinite(curve.limits).any() for curve in curves):
        label = "limit: what the error is held against"
        handles.append(Line2D([], [], color=_LIMIT, linewidth=4, alpha=0.9, label=label))
    if any(_floor(curve) is not None for curve in curves):
        handles.append(Line2D([], [], color="black", linestyle=":", linewidth=1, label="floor"))
    figure.legend(handles=handles, loc="lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(
        f"{norm} error of ReLU networks against their connectivity M",
        fontsize=12,
        y=1 - 0.12 / height,
    )
