"""The tables of `qrelu rate`."""

import math
import re
from typing import Any

from ._app import console, in_options
from ._classes import EXPLAINED, about_bits, heading

_LONG = 100  # characters of a verdict that is a reason, written once


def print_tables(result, study) -> None:
    """One table per target; where the terminal is narrow, the verdicts stand below it."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    terminal = console()
    # What does not fit is left out: first the verdicts (which follow below), then the intervals.
    kept = [0, 1, 3, 4] if terminal.width < 60 else [0, 1, 2, 3, 4]
    narrow = terminal.width < 90
    kept += [] if narrow else [5]
    headers = ("rule", "gamma", "interval", "error/limit", "bits", "verdict")
    rates = result.rates()
    for target in study.targets:
        rows = rates.filter(rates["target"] == target.name).to_dicts()
        head = heading(target, study.norm.name, study.draws)
        head = head or f"{_title(target)} on {_box(target)}, {study.norm.name} error"
        terminal.print(Text(head, "bold"))
        for family in dict.fromkeys(row["family"] for row in rows):
            here = [row for row in rows if row["family"] == family]
            terminal.print(Text(_about(here[0]), "bold"))
            table = Table(
                box=None,
                pad_edge=False,
                header_style="bold",
            )
            for i in kept:
                right = headers[i] in ("gamma", "error/limit", "bits")
                table.add_column(
                    headers[i],
                    justify="right" if right else "left",
                    min_width=12 if i == 0 else None,
                    no_wrap=headers[i] != "verdict",
                )
            cells = [_cells(row) for row in here]
            for i, row in enumerate(cells):
                if len(row[5]) > _LONG and row[5] in (other[5] for other in cells[:i]):
                    row[5] = "the same"
            for row in cells:
                table.add_row(*(Text(row[i]) for i in kept))
            below = [
                f"{row['rule']}: {words[5]}"
                for row, words in zip(here, cells, strict=True)
                if row["gamma"] is None or row["model"] in ("power_log", "power_floor")
            ]
            terminal.print(Padding(table, (0, 0, 0, 2)))
            for line in (below if narrow else []) + _note(result, target.name, family):
                terminal.print(Padding(Text(line), (0, 0, 0, 2)))
            terminal.print()
    terminal.print(Text(_explained(rates)))
    if bits := about_bits(result):
        terminal.print(Text(" ".join([EXPLAINED, *bits])))


def _note(result, target: str, family: str) -> list[str]:
    """What a reader should know of the unrounded fit of the largest size, if anything."""
    table = result.table()
    here = (table["target"] == target) & (table["family"] == family) & (table["rule"] == "float")
    rows = table.filter(here & table["error"].is_not_null()).sort("size")
    note = rows["notes"][-1] if rows.height else ""
    return [f"At the largest M: {note}."] if note else []


def _box(target) -> str:
    """The domain in words."""
    if target.dimension == 1:
        a, b = map(float, target.domain)
        return f"[{a:g}, {b:g}]"
    sides = [f"[{a:g}, {b:g}]" for a, b in zip(*target.domain, strict=True)]
    return f"{sides[0]}^{len(sides)}" if len(set(sides)) == 1 else " x ".join(sides)


def _title(target) -> str:
    """The target's name, and its formula where the name is not the formula."""
    formula = getattr(target, "description", "").partition(";")[0].partition(" on [")[0]
    return f"{target.name}: {formula}" if formula and formula != target.name else target.name


def _explained(rates) -> str:
    """The words of the tables, each in a sentence."""
    established = rates.filter(rates["gamma"].is_not_null())
    words = [
        "gamma: the error falls like M^-gamma in the connectivity M, the number of nonzero weights "
        "and biases, or of other parameters."
    ]
    kinds = {
        "envelope": "interval: what models and ranges of M allow for gamma, no confidence "
        "interval.",
        "t over replicates": "interval: 95 % confidence over the seeds.",
    }
    words += [kinds[kind] for kind in dict.fromkeys(established["interval_kind"].to_list())]
    words.append("error/limit and bits (per weight): at the largest M of the row.")
    return " ".join(words)


def _about(row: dict[str, Any]) -> str:
    """What is common to all rules of a family: its name, its proven rate, its limit."""
    gamma, power = row["proven_gamma"], row["proven_log_power"]
    theory = "unknown" if gamma is None else "exact" if math.isinf(gamma) else f"{gamma:g}"
    theory += f", times (log M)^{power:g}" if power else ""
    largest = "" if row["connectivity"] is None else f"   largest M: {row['connectivity']}"
    return f"{row['family']}   theory: {theory}   limit: {row['limit_label']}{largest}"


def _cells(row: dict[str, Any]) -> list[str]:
    established = row["gamma"] is not None
    return [
        row["rule"],
        f"{row['gamma']:.3f}" if established else "-",
        f"{row['lower']:.3f} to {row['upper']:.3f}" if established else "",
        _ratio(row["error_over_limit"]),
        "-" if row["bits_per_weight"] is None else f"{row['bits_per_weight']:.4g}",
        _verdict(row),
    ]


def _verdict(row: dict[str, Any]) -> str:
    """The verdict without gamma, which has a column of its own."""
    words = re.sub(r"^the error falls like M\^-[\d.]+", "a rate", row["verdict"])
    return in_options(words.replace("a rate (log M)", "a rate times (log M)"))


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value < 2 else f"{value:.3g}"
