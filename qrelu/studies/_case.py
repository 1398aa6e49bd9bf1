"""One part of a study: one fit, every rounding rule applied to it, and the measured errors."""

import math
import time
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import polars as pl

from ..families import Quantized

# The columns of a stored part, in the order of `StudyResult.table()`; the rest is kept beside it.
COLUMNS: dict[str, type[pl.DataType]] = {
    "target": pl.String,
    "family": pl.String,
    "rule": pl.String,
    "norm": pl.String,
    "size": pl.Int64,
    "connectivity": pl.Int64,
    "connectivity_before_rounding": pl.Int64,
    "neurons": pl.Int64,
    "pieces": pl.Int64,
    "bits_per_weight": pl.Float64,
    "total_bits": pl.Float64,
    "seed": pl.Int64,
    "draws": pl.Int64,
    "worst_draw": pl.String,
    "error": pl.Float64,
    "uncertainty": pl.Float64,
    "limit": pl.Float64,
    "limit_label": pl.String,
    "error_over_limit": pl.Float64,
    "notes": pl.String,
}
BESIDE: dict[str, type[pl.DataType]] = {
    "limit_source": pl.String,
    "counts": pl.String,
    "proven_gamma": pl.Float64,
    "proven_log_power": pl.Float64,
    "proven_source": pl.String,
    "seconds": pl.Float64,
    "dtype": pl.String,
    "device": pl.String,
    "qrelu": pl.String,
    "jax": pl.String,
    "numpy": pl.String,
    "python": pl.String,
    "study": pl.String,
    "part": pl.String,
}
SCHEMA = {**COLUMNS, **BESIDE}


class Part(NamedTuple):
    """The names of one fit and of the rounding rules applied to it."""

    target: str
    family: str
    rules: tuple[str, ...]
    size: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.target}/{self.family}/{self.size}/{self.seed}"


def parts_of(description: dict) -> list[Part]:
    """All parts of a study from its record, small sizes first.

    So a study that is stopped has rows for every target and family.
    """
    groups: dict[str, list[str]] = {}
    for family in description["families"]:
        groups.setdefault(family["base"], []).append(family["rule"])
    return [
        Part(target["name"], family, tuple(rules), size, seed)
        for size in description["sizes"]
        for target in description["targets"]
        for family, rules in groups.items()
        for seed in description["seeds"]
    ]


def base_of(family):
    """The family that is fitted: the wrapped one of `Quantized`, else the family itself."""
    return family.family if isinstance(family, Quantized) else family


def rule_of(family) -> str:
    """The rounding rule in words: "float" for a family that is not rounded."""
    return family.rule.name if isinstance(family, Quantized) else "float"


def compute(part: Part, target, members: Sequence[Any], norm) -> list[dict[str, Any]]:
    """The rows of a part; a family that cannot serve a case says so in the row's `notes`."""
    base = base_of(members[0])
    limit = target.limit(norm, base, part.size)
    rate = target.rate(base, norm)
    if rate is not None and rate.estimated:
        rate = None  # read off numerical values: not what the column "proven" is for
    common = {
        "target": part.target,
        "family": part.family,
        "norm": norm.name,
        "size": part.size,
        "seed": part.seed,
        "limit": _number(limit.value) if limit.label != "none" else None,
        "limit_label": limit.label,
        "limit_source": limit.source,
        "counts": limit.counts,
        "proven_gamma": None if rate is None else _number(rate.gamma),
        "proven_log_power": None if rate is None else _number(rate.log_power),
        "proven_source": None if rate is None else rate.source,
    }
    # A key that depends on the part and on nothing else: the same in any order of the parts.
    key = jax.random.fold_in(jax.random.key(part.seed), zlib.crc32(part.name.encode()) >> 1)
    start = time.perf_counter()
    try:
        fitted = base.fit(target, part.size, norm=norm, key=key)
    except ValueError as reason:
        note = _sentence(reason)
        return [{**common, "rule": rule_of(member), "notes": note} for member in members]
    seconds = time.perf_counter() - start
    rows = []
    for member in members:
        start = time.perf_counter()
        row = {**common, "rule": rule_of(member)}
        try:
            approximant = (
                member.round(fitted, target, norm=norm) if isinstance(member, Quantized) else fitted
            )
            row |= _measure(approximant, target, norm, common["limit"])
        except ValueError as reason:
            row["notes"] = _sentence(reason)
        rows.append(row | {"seconds": seconds + time.perf_counter() - start})
        seconds = 0.0  # the fit is shared: its time stands in the first row only
    return rows


def _measure(approximant, target, norm, limit: float | None) -> dict[str, Any]:
    function = approximant.function
    error = norm.distance(function, target)
    if not math.isfinite(error):
        raise ValueError(f"the {norm.name} error is not finite; got {float(error)}")
    return {
        "connectivity": int(approximant.connectivity),
        "connectivity_before_rounding": int(approximant.connectivity_before_rounding),
        "neurons": int(approximant.neurons),
        "pieces": int(approximant.pieces),
        "bits_per_weight": float(approximant.bits_per_weight),
        "total_bits": float(approximant.bits),
        "error": _number(error),
        "uncertainty": _number(error.uncertainty),
        "error_over_limit": float(error) / limit if limit else None,
        "notes": approximant.notes,
        "dtype": str(jnp.result_type(*_floats(function))),
    }


def _floats(function) -> list:
    leaves = jax.tree.leaves(function)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]


def _number(value) -> float | None:
    """A float, or None where there is none (NaN)."""
    value = float(value)
    return None if value != value else value


def _sentence(reason: ValueError) -> str:
    return " ".join(str(reason).split())
