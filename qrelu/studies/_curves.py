"""The curves of a study: errors against connectivity, and the rate fitted to each."""

from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from ..rates import RateFit, fit_rate


class Curve(NamedTuple):
    """One target, family and rule: one column per size, one row per seed."""

    target: str
    family: str
    rule: str
    connectivity: Float[np.ndarray, " sizes"]
    errors: Float[np.ndarray, "seeds sizes"]
    limits: Float[np.ndarray, " sizes"]
    rows: pl.DataFrame
    fit: RateFit | None
    verdict: str


def curves_of(
    frame: pl.DataFrame, magnitudes: dict[str, float], scatters: dict[str, float]
) -> list[Curve]:
    """All curves of a table, in the table's order.

    `magnitudes` are those of the targets; `scatters` are those of the errors of rounding rules that
    accept every error within a factor.
    """
    return [
        _curve(rows, magnitudes[rows["target"][0]], scatters.get(rows["rule"][0], 0.0))
        for _, rows in frame.group_by(["target", "family", "rule"], maintain_order=True)
    ]


def _curve(rows: pl.DataFrame, magnitude: float, scatter: float) -> Curve:
    names = (rows["target"][0], rows["family"][0], rows["rule"][0])
    whole = rows.filter(pl.col("error").is_not_null())
    seeds = rows["seed"].unique().to_list()
    # A size counts where every seed has an error.
    full = whole.group_by("size").len().filter(pl.col("len") == len(seeds))["size"]
    whole = whole.filter(pl.col("size").is_in(full.to_list())).sort("seed", "size")
    shape = (len(seeds), len(full))
    counted = whole["connectivity_before_rounding"].to_numpy().reshape(shape).astype(np.float64)
    errors = whole["error"].to_numpy().reshape(shape)
    limits = whole["limit"].cast(pl.Float64).to_numpy().reshape(shape)[:1].reshape(-1)
    # M is what the networks have before rounding; where the seeds differ, their mean.
    connectivity = counted.mean(axis=0) if shape[0] else np.zeros(0)
    uncertainties = whole["uncertainty"].to_numpy().reshape(shape).max(axis=0, initial=0.0)
    # Sizes that lead to the same network (a tree grows in jumps) are one point.
    _, first = np.unique(connectivity, return_index=True)
    connectivity, errors, limits = connectivity[first], errors[:, first], limits[first]
    exact = _reproduced(whole, connectivity, errors, magnitude)
    if connectivity.size < 2:
        notes = rows["notes"].drop_nulls().unique(maintain_order=True)
        verdict = "a rate needs more sizes"
        if connectivity.size == 0 and len(notes):
            verdict = f"no size could be computed: {notes[0]}"
        return Curve(*names, connectivity, errors, limits, rows, None, exact or verdict)
    known = rows["proven_gamma"][0]
    fit = fit_rate(
        connectivity,
        errors[0] if len(errors) == 1 else errors,
        uncertainties=uncertainties[first],
        scatter=scatter,
        magnitude=magnitude,
        dtype=np.dtype(whole["dtype"][0]),
        norm=rows["norm"][0],
        proven=known,
        source=rows["proven_source"][0] or "",
    )
    verdict = fit.verdict if fit.established else exact or fit.verdict
    return Curve(*names, connectivity, errors, limits, rows, fit, verdict)


def _reproduced(whole: pl.DataFrame, connectivity, errors, magnitude: float) -> str:
    """A sentence where the errors are rounding from so small a size on that there is no rate.

    64 units in the last place of the largest value are the floor of the arithmetic in `rates`.
    """
    if not connectivity.size:
        return ""
    floor = 64 * float(np.finfo(np.dtype(whole["dtype"][0])).eps) * magnitude
    below = (errors <= floor).all(axis=0)
    start = int(np.argmax(below))
    if not below[start] or start >= 4:  # 4 sizes are enough for a rate
        return ""
    zero = "" if (errors[:, start:] == 0).all() else ", up to rounding"
    place = (
        f"from M = {connectivity[start]:g} on"
        if below[start:].all()
        else (f"at M = {connectivity[start]:g} already")
    )
    return f"the function is reproduced exactly {place}{zero}"


def rate_row(curve: Curve) -> dict:
    """The row of `StudyResult.rates()` for a curve."""
    largest = (
        curve.rows.filter(pl.col("error").is_not_null())
        .filter(pl.col("size") == pl.col("size").max())
        .sort("error")
    )
    last = largest.row(largest.height // 2, named=True) if largest.height else {}
    first = curve.rows.row(0, named=True)
    fit = curve.fit
    return {
        "target": curve.target,
        "family": curve.family,
        "rule": curve.rule,
        "gamma": None if fit is None else _number(fit.gamma),
        "lower": None if fit is None else _number(fit.interval[0]),
        "upper": None if fit is None else _number(fit.interval[1]),
        "interval_kind": None if fit is None else fit.interval_kind,
        "model": None if fit is None else fit.model,
        "verdict": curve.verdict,
        "proven_gamma": first["proven_gamma"],
        "proven_log_power": first["proven_log_power"],
        "proven_source": first["proven_source"],
        "error_over_limit": last.get("error_over_limit"),
        "limit_label": last.get("limit_label", first["limit_label"]),
        "bits_per_weight": last.get("bits_per_weight"),
        "error": last.get("error"),
        "connectivity": last.get("connectivity_before_rounding"),
    }


RATE_SCHEMA = {
    "target": pl.String,
    "family": pl.String,
    "rule": pl.String,
    "gamma": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "interval_kind": pl.String,
    "model": pl.String,
    "verdict": pl.String,
    "proven_gamma": pl.Float64,
    "proven_log_power": pl.Float64,
    "proven_source": pl.String,
    "error_over_limit": pl.Float64,
    "limit_label": pl.String,
    "bits_per_weight": pl.Float64,
    "error": pl.Float64,
    "connectivity": pl.Int64,
}


def _number(value) -> float | None:
    value = float(value)
    return None if np.isnan(value) else value
