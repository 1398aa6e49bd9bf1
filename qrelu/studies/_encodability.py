"""Rates over classes held against the rate at which bits describe them."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from ..bounds import EncodingRate, encoding_check
from ..rates import fit_rate
from ._curves import Curve

SCHEMA = {
    "target": pl.String,
    "family": pl.String,
    "rule": pl.String,
    "gamma": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "encoding_gamma": pl.Float64,
    "holds": pl.Boolean,
    "gamma_in_bits": pl.Float64,
    "bits_growth": pl.Float64,
    "total_bits": pl.Float64,
    "verdict": pl.String,
    "encoding_source": pl.String,
}


def encodability(curves: Sequence[Curve], description: dict) -> pl.DataFrame:
    """One row per class, family and rule: the rate, the encoding rate, the check, the bits."""
    classes = {item["name"]: item for item in description["targets"] if "encoding" in item}
    exponent = {"L1": 1.0, "L2": 2.0}.get(description["norm"]["name"], np.inf)
    rows = [_row(c, classes[c.target], exponent) for c in curves if c.target in classes]
    return pl.DataFrame(rows, schema=SCHEMA)


# The encoding rates are those in L^2. On an interval of length 1 the sup norm is no smaller, so
# that a rate in it is one in L^2 too; the L^1 norm is smaller, and a rate in it says nothing.
def _row(curve: Curve, record: dict, exponent: float) -> dict:
    known = EncodingRate(**record["encoding"])
    whole = curve.rows.filter(pl.col("error").is_not_null())
    bits = whole.group_by("size").agg(pl.col("total_bits").max(), pl.col("error").max())
    bits = bits.sort("size")
    fit = curve.fit if curve.fit is not None and curve.fit.established else None
    holds = None
    if exponent < 2:
        verdict = f"the encoding rate is known in {known.norm}; a rate in L1 may exceed it"
    elif fit is None:
        verdict = curve.verdict
    else:
        check = encoding_check(fit, known, draws_depend_on_size=True)
        holds, verdict = check.holds, check.verdict
    return {
        "target": curve.target,
        "family": curve.family,
        "rule": curve.rule,
        "gamma": None if fit is None else float(fit.gamma),
        "lower": None if fit is None else float(fit.interval[0]),
        "upper": None if fit is None else float(fit.interval[1]),
        "encoding_gamma": known.gamma,
        "holds": holds,
        "gamma_in_bits": _rate(bits["total_bits"].to_numpy(), bits["error"].to_numpy()),
        "bits_growth": _growth(whole),
        "total_bits": bits["total_bits"][-1] if bits.height else None,
        "verdict": verdict,
        "encoding_source": known.source,
    }


def _rate(sizes: np.ndarray, errors: np.ndarray) -> float | None:
    """The established rate of the error in the bits, or None."""
    _, first = np.unique(sizes, return_index=True)
    good = first[errors[first] > 0]
    if good.size < 4:
        return None
    fit = fit_rate(sizes[good], errors[good])
    return float(fit.gamma) if fit.established else None


def _growth(whole: pl.DataFrame) -> float | None:
    """The slope of log (bits) against log M: 1, and a logarithm, for encodable families."""
    by_size = whole.group_by("size").agg(
        pl.col("connectivity_before_rounding").max(), pl.col("total_bits").max()
    )
    by_size = by_size.sort("size")
    m, bits = by_size["connectivity_before_rounding"].to_numpy(), by_size["total_bits"].to_numpy()
    if np.unique(m).size < 2 or (bits <= 0).any():
        return None
    half = min(m.size // 2, m.size - 2)
    return float(np.polyfit(np.log(m[half:]), np.log(bits[half:]), 1)[0])
