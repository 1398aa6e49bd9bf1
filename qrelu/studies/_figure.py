"""The figure of a study: one panel per target and family, readable without a manual."""

import math
import re
import textwrap
import zlib
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
_ORANGE, _SKY, _GREEN, _RED, _PINK, _BLUE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#0072B2",
)
_Dash = Literal["-", "-."] | tuple[float, tuple[int, int]]
_LIMIT = "#F0E442"  # that yellow, as a highlighter under the lines

_SMALL = 6.8  # points: the labels inside a panel
_TITLE = 50  # characters that fit above a panel


class _Style(NamedTuple):
    color: str
    dash: _Dash
    width: float
    marker: str
    size: float
    filled: bool
    order: float


# Errors that rounding leaves as they are lie on each other: the unrounded ones are a large hollow
# circle, in it stands the filled diamond of the matched bits, through both the cross of the theory.
_FLOAT = _Style("black", "-", 3.2, "o", 8.0, False, 3)
_MATCHED = _Style(_RED, (0, (3, 2)), 1.6, "D", 4.4, True, 5)
_THEORY = _Style(_BLUE, (2.5, (2, 3)), 1.6, "+", 12.0, True, 4)
# A number of bits has the same color in every study.
_BITS = ((_ORANGE, "s"), (_SKY, "^"), (_GREEN, "v"), (_PINK, "P"))


def draw(curves: Sequence[Curve], description: dict) -> Figure:
    """Draw all curves: rows are targets, columns are families, colors are rounding rules."""
    norm = description["norm"]["name"]
    targets = [item["name"] for item in description["targets"]]
    described = {item["name"]: item for item in description["targets"]}
    families = list(dict.fromkeys(item["base"] for item in description["families"]))
    styles = _styles(list(dict.fromkeys(item["rule"] for item in description["families"])))
    width = max(3.5 * len(families), 5.6) + 0.7
    height = 2.9 * len(targets) + 1.4
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
            _panel(ax, here, styles)
            ax.set_title(_title(described[target], family), fontsize=9)
        axes[i, 0].set_ylabel(_measured(norm, description["targets"][i]), fontsize=9)
    for i in range(len(targets)):
        _make_room([axes[i, j] for j in range(len(families))])
    _mark_sizes(axes, curves)
    for ax in axes[-1]:
        ax.set_xlabel("connectivity M (nonzero parameters)", fontsize=8.5)
    rows = _explain(figure, curves, styles, norm, width, height)
    # Margins in inches: everything has a known size, and measuring the text costs as much as
    # drawing the figure.
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.1 / width,
        bottom=(0.65 + 0.19 * rows) / height,
        top=1 - 0.65 / height,
        wspace=0.14,
        hspace=0.2,
    )
    return figure


def _title(item: dict, family: str) -> str:
    """A target's name, its formula if there is one and room for it, and the family."""
    formula = "" if "draws" in item else item["what"].get("description") or ""
    formula = formula.partition(";")[0].partition(" on [")[0]
    whole = f"{item['name']}: {formula}, {family}"
    named = formula and formula != item["name"] and len(whole) <= _TITLE
    return whole if named else f"{item['name']}, {family}"


def _measured(norm: str, item: dict) -> str:
    """What the error is; that of a class is the worst one over draws."""
    draws = item.get("draws")
    return f"{norm} error" if draws is None else f"worst {norm} error of {draws} draws"


def _styles(rules: Sequence[str]) -> dict[str, _Style]:
    """A style per rule, decided by the rule's name and not by what else is in the study."""
    return {rule: _style(rule) for rule in rules}


def _style(rule: str) -> _Style:
    if rule == "float":
        return _FLOAT
    if rule.startswith("matched"):
        return _MATCHED
    if rule.startswith("theory"):
        return _THEORY
    number = re.match(r"\d+", rule)
    code = int(number.group()) // 2 - 2 if number else zlib.crc32(rule.encode())
    color, marker = _BITS[code % len(_BITS)]
    odd = bool(number) and int(rule.split()[0]) % 2 == 1
    return _Style(color, "-." if odd else "-", 1.3, marker, 3.8, not odd, 4)


def _panel(ax, curves: Sequence[Curve], styles: dict[str, _Style]) -> None:
    handles, without = [], []
    for curve in curves:
        style = styles[curve.rule]
        m, e = curve.connectivity, curve.errors
        with np.errstate(divide="ignore"):
            mean = np.exp(np.log(e).mean(axis=0)) if e.size else np.zeros(0)
        good = mean > 0
        ax.add_line(_line(style, m[good], mean[good]))
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
        if curve.fit is not None and curve.fit.established:
            handles.append(_line(style, label=_label(curve)))
        else:
            without.append(curve)
    handles += [Line2D([], [], linestyle="", label=text) for text in _without(without)]
    handles += _limit(ax, curves)
    ax.autoscale_view()
    if not any(c.connectivity.size for c in curves):
        words = curves[0].verdict if curves else "not computed yet"
        ax.text(0.5, 0.6, textwrap.fill(words, 34), transform=ax.transAxes, ha="center", fontsize=8)
    if handles:
        ax.legend(
            handles=handles,
            loc="lower left",
            fontsize=_SMALL,
            frameon=False,
            handlelength=2.0,
            markerscale=0.7,
            labelspacing=0.2,
            borderpad=0.1,
        )


def _line(style: _Style, x=(), y=(), label: str | None = None) -> Line2D:
    return Line2D(
        x,
        y,
        color=style.color,
        linestyle=style.dash,
        linewidth=style.width,
        marker=style.marker,
        markersize=style.size,
        markerfacecolor=style.color if style.filled else "white",
        zorder=style.order,
        label=label,
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
    """The rule, its bits, its rate with the interval and the power of the logarithm."""
    fit = curve.fit
    assert fit is not None
    bits = curve.rows["bits_per_weight"].drop_nulls()
    name = curve.rule
    if len(bits) and bits.min() != bits.max():
        name = f"{name.removesuffix(' bits')}, {bits.min():.0f} to {bits.max():.0f} bits"
    low, high = fit.interval
    digits = 2 if f"{low:.2f}" != f"{high:.2f}" else 3
    log = rf", $(\log M)^{{{fit.coefficients[2]:.2g}}}$" if fit.model == "power_log" else ""
    return rf"{name}: $\gamma$ = {fit.gamma:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]{log}"


def _without(curves: Sequence[Curve]) -> list[str]:
    """A line per reason why rules have no rate: "4, 6, 8 bits: no rate (rises)"."""
    groups: dict[str, list[str]] = {}
    for curve in curves:
        groups.setdefault(_reason(curve), []).append(curve.rule)
    return [f"{_joined(rules)}: {reason}" for reason, rules in groups.items()]


def _reason(curve: Curve) -> str:
    if "reproduced" in curve.verdict:
        return "exact"
    return "not available" if curve.fit is None else "no rate"


def _joined(rules: Sequence[str]) -> str:
    numbers = [rule.removesuffix(" bits") for rule in rules if re.fullmatch(r"\d+ bits", rule)]
    words = [rule for rule in rules if not re.fullmatch(r"\d+ bits", rule)]
    return ", ".join(words + ([", ".join(numbers) + " bits"] if numbers else []))


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
            whole_class = curve.rows["draws"].is_not_null().any()
            words = f"error of the class: {label}" if whole_class else f"limit ({label})"
            return [Line2D([], [], color=_LIMIT, linewidth=4, alpha=0.9, label=words)]
    return []


def _make_room(axes) -> None:
    """Lower the bottom of a row of panels until no point is under a label.

    The labels cover the left part of a panel only, and errors fall to the right: what the points
    there leave free is used first.
    """
    low, high = axes[0].get_ylim()
    if not (low > 0 and np.isfinite(high / low) and high > low):
        return
    bottom = low
    for ax in axes:
        legend = ax.get_legend()
        if legend is None:
            continue
        lines = legend.get_texts()
        height = 2.9 / 1.2  # inches of a panel
        share = min((len(lines) * 1.25 * _SMALL / 72 + 0.12) / height, 0.45)
        across = (0.35 + max(len(t.get_text()) for t in lines) * _SMALL * 0.5 / 72) / 3.2
        left, right = np.log(ax.get_xlim())
        edge = np.exp(left + min(across, 1.0) * (right - left))
        over = [
            y
            for line in ax.get_lines()
            for x, y in line.get_xydata()
            if x <= edge and y > 0 and np.isfinite(y)
        ]
        least = min(over, default=high)
        if least > 0:
            bottom = min(bottom, high * (least / high) ** (1 / (1 - share)))
    axes[0].set_ylim(bottom, high)


def _mark_sizes(axes, curves: Sequence[Curve]) -> None:
    """Write the sizes themselves under the axis instead of powers of ten."""
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

    sizes = sorted({int(n) for c in curves for n in c.rows["size"]})
    while len(sizes) > 8:
        sizes = sizes[::2]
    for ax in axes.flat:
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        low, high = ax.get_ylim()
        # Powers of ten alone would be one number or two, from which no scale can be read.
        if 0 < low < high < 100 * low:
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_locator(NullLocator())


def _explain(figure, curves, styles, norm: str, width: float, height: float) -> int:
    """The title, and what is drawn in one legend under the figure; returns the legend's rows."""
    fits = [curve.fit for curve in curves if curve.fit is not None]
    handles: list[Line2D | Patch] = [_line(style, label=rule) for rule, style in styles.items()]
    if any(fit.established for fit in fits):
        label = r"fit $C\,M^{-\gamma}$ and its extension"
        handles.append(Line2D([], [], color="black", linewidth=0.7, label=label))
        handles.append(Patch(color="black", alpha=0.18, label=r"interval of $\gamma$"))
    if any((curve.limits > 0).any() for curve in curves):
        label = "limit: what the error is held against"
        handles.append(Line2D([], [], color=_LIMIT, linewidth=4, alpha=0.9, label=label))
    if any(_floor(curve) is not None for curve in curves):
        handles.append(Line2D([], [], color="black", linestyle=":", linewidth=1, label="floor"))
    columns = 4 if width > 7 else 3
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.05 / height),
        ncols=columns,
        fontsize=7.5,
        frameon=False,
        columnspacing=1.2,
    )
    figure.suptitle(
        f"{norm} error against the connectivity M",
        fontsize=12 if width > 7 else 11,
        y=1 - 0.12 / height,
    )
    return math.ceil(len(handles) / columns)
