"""`qrelu rate`: how fast errors fall with size."""

import math
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ._app import (
    ASKING,
    FAILURE,
    INTERRUPTED,
    RUNNING,
    USAGE,
    console,
    dump,
    fail,
    in_options,
    sentences,
    use_float64,
)
from ._classes import CLASS_BITS, CLASS_SIZES, EXPLAINED, about_bits, classes, heading
from ._known import known as show_known
from ._targets import CLASSICS, FAMILIES, SOLVERS, TRAINED, family_named

TARGETS = ("exp", "sine", "runge", "sqrt")
TARGETS_OF_SEARCHES = ("exp",)  # a search for every size and seed takes seconds
# Sizes where training is slow, and families that serve functions of several variables.
SIZES, SIZES_OF_SEARCHES, SIZES_OF_TRAINED = "24:1536", "12:96", "24:384"
SEVERAL = ("trained:greedy",)
SEEDS = "0,1,2"  # where training is random
BITS = "4,6,8,matched,theory"
LARGEST = 1_000_000  # connectivity; a fit of that size takes minutes


def rate(
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            metavar="NAME",
            help="A built-in function (see `qrelu targets`) or your own as module:function. "
            f"Repeatable. Without it: {', '.join(TARGETS)}; {', '.join(TARGETS_OF_SEARCHES)} where "
            "networks are searched for.",
        ),
    ] = None,
    function_class: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="A class of functions instead: lipschitz, hoelder:s, sobolev:m,p, besov:s,p,q, bv "
            "or piecewise-smooth:s,jumps. Repeatable. Hard functions are drawn anew for each size.",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", help="Functions drawn from a class. Without it: 8."),
    ] = None,
    domain: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="A B", help="The interval for module:function. Without it: 0 1."),
    ] = None,
    data: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="FILE", help="Approximate the samples in a CSV or Parquet file."),
    ] = None,
    x: Annotated[str | None, typer.Option("--x", metavar="COLUMN", help="Its abscissae.")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="COLUMN", help="Its values.")] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="error|drop",
            help="What to do with rows without a number. Without it: error.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Connectivities: START:STOP doubles, or 24,48,96. Without it: "
            f"{SIZES}; {SIZES_OF_TRAINED} where networks are trained and {SIZES_OF_SEARCHES} where "
            "that is slow.",
        ),
    ] = None,
    norm: Annotated[str, typer.Option(metavar="NORM", help="l1, l2 or sup.")] = "l2",
    bits: Annotated[
        str | None,
        typer.Option(
            metavar="RULES",
            help="How to round: numbers of bits, `matched` (fewest bits that keep the error "
            "within 10 %), `theory` (the step that provably keeps the rate), `theory:2` (where the "
            f"rate is not known and should be 2), or `none`. Without it: {BITS}; for classes "
            f"{CLASS_BITS}.",
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(
            "--family",
            "-f",
            metavar="NAME",
            help=f"{', '.join((*FAMILIES, *CLASSICS))}; networks trained by {TRAINED} and "
            f"{', '.join(SOLVERS)} ({TRAINED}lm:4: deep, four affine maps). Repeatable. Without "
            f"it: {', '.join(FAMILIES)}; {', '.join(SEVERAL)} for functions of several variables.",
        ),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS",
            help="One seed or several: 0,1,2, a run for each where networks are trained. The other "
            "families draw nothing at random, so one run is made.",
        ),
    ] = None,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept; the same command continues there. "
            "Without it: qrelu-runs/ and a name made from the study.",
        ),
    ] = None,
    known: Annotated[
        bool,
        typer.Option(
            "--known",
            help="Instead, measure every rate of a table of proven ones, which takes a minute or "
            "two. Only --json may stand beside it.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure how fast the error of ReLU networks falls with their size, rounded and not."""
    with sentences(USAGE, ASKING):
        use_float64()
        if known:
            _refuse_beside_known(target, function_class, domain, data, family, out)
            return show_known(json)
        from .. import families, norms, studies

        if draws is not None and not function_class:
            raise ValueError("`--draws` must come with a class; add `--class lipschitz`.")
        alone = function_class and not (target or data or domain)
        default = TARGETS_OF_SEARCHES if _searched(family or ()) else TARGETS
        found = [] if alone else _targets(target, default, domain, data, x, y, missing)
        found += classes(function_class)
        if not family:
            several = all(item.dimension > 1 for item in found)
            family = list(SEVERAL if several else FAMILIES)
        _refuse_several(found, family)
        asked = _seeds(seed or (SEEDS if _trained(family) else "0"))
        study = studies.Study(
            targets=found,
            families=_families(family, bits or (CLASS_BITS if alone else BITS), families),
            sizes=_sizes(size or (CLASS_SIZES if alone else _default_sizes(family))),
            norm=norms.get(norm),
            seeds=asked if _trained(family) or function_class else asked[:1],
            draws=8 if draws is None else draws,
        )
        _say_before(study, asked)
        directory = _default_directory(study) if out is None else out
    with sentences(FAILURE, RUNNING):
        try:
            result = study.run(directory)
            paths = result.save(directory)
        except KeyboardInterrupt:
            print(
                f"qrelu: stopped. Every finished fit is kept in {directory}; the same command "
                "continues from there.",
                file=sys.stderr,
            )
            raise typer.Exit(INTERRUPTED) from None
        if json:
            _print_json(result, directory, paths)
        else:
            _print_tables(result, study)
            print(f"Figure: {paths['png']} (and .svg)")
            print(f"Tables: {paths['table']}, {paths['rates']}", flush=True)
        _say_mixed(result)
    if result.table()["error"].null_count() == result.table().height:
        fail("no network could be computed; the column `notes` of the table says why.", FAILURE)


def _trained(names: Sequence[str]) -> bool:
    return any(name.startswith(TRAINED) for name in names)


def _default_sizes(names: Sequence[str]) -> str:
    if not _trained(names):
        return SIZES
    return SIZES_OF_SEARCHES if _searched(names) else SIZES_OF_TRAINED


def _searched(names: Sequence[str]) -> bool:
    """Whether a network takes seconds."""
    return any(name.startswith((f"{TRAINED}lm", f"{TRAINED}adam")) for name in names)


def _refuse_several(targets: Sequence[Any], names: Sequence[str]) -> None:
    """An error for a target of several variables beside a family of functions of one."""
    for target in targets:
        for name in names if target.dimension > 1 else ():
            if not name.startswith(TRAINED) or name == f"{TRAINED}shallow":
                raise ValueError(
                    f"`--family {name}` needs a function of one variable; {target.name} has "
                    f"{target.dimension}. Use `--family trained:greedy`, trained:lm or "
                    "trained:adam."
                )


def _refuse_beside_known(target, function_class, domain, data, family, out) -> None:
    given = {"target": target, "class": function_class, "domain": domain, "data": data}
    given |= {"family": family, "out": out}
    used = [f"--{word}" for word, value in given.items() if value is not None]
    if used:
        raise ValueError(
            f"`--known` must stand alone or with `--json`; got {' and '.join(used)}. The table has "
            "its own functions, families and sizes."
        )


def _targets(
    names: Sequence[str] | None,
    default: Sequence[str],
    domain: tuple[float, float] | None,
    data: pathlib.Path | None,
    x: str | None,
    y: str | None,
    missing: str | None,
) -> list[Any]:
    from .. import targets

    found = []
    if data is None and (x or y or missing):
        raise ValueError("`--x`, `--y` and `--missing` must come with a file; add `--data FILE`.")
    if data is not None:
        if missing not in (None, "error", "drop"):
            raise ValueError(f"`--missing` must be error or drop; got {missing!r}.")
        found.append(targets.read_data(data, x=x, y=y, missing=missing or "error"))
        for note in found[0].notes:
            print(f"qrelu: {note}", file=sys.stderr)
    own = [name for name in names or () if ":" in name]
    if domain is not None and not own:
        raise ValueError(
            "`--domain` must come with a function of your own (`--target module:function`); "
            "built-in functions and data have their domain."
        )
    for name in names or (() if data is not None else default):
        found.append(targets.load(name, domain or (0.0, 1.0)) if ":" in name else targets.get(name))
    return found


def _families(names: Sequence[str], bits: str, families) -> list[Any]:
    rules = []
    words = [word.strip().lower() for word in bits.split(",")]
    if "none" in words and len(words) > 1:
        raise ValueError(
            f"`--bits` must be `none` alone or other rules; got {bits!r}. The unrounded network "
            "is always among the results: leave `none` out."
        )
    for word in words:
        if word == "matched":
            rules.append(families.MatchedBits())
        elif word == "theory":
            rules.append(families.TheoryStep())
        elif re.fullmatch(r"theory:\d*\.?\d+", word):
            rules.append(families.TheoryStep(gamma=float(word.partition(":")[2])))
        elif re.fullmatch(r"[+-]?\d+", word):
            rules.append(families.Bits(int(word)))
        elif word != "none":
            raise ValueError(
                f"`--bits` must be whole numbers, `matched`, `theory`, `theory:RATE` or "
                f"`none`, separated by commas; got {word!r}."
            )
    bases = [family_named(name, families) for name in names]
    return [
        f for base in bases for f in (base, *(families.Quantized(base, rule) for rule in rules))
    ]


def _sizes(text: str) -> list[int]:
    """24:96 gives 24, 48, 96; 24,30,40 gives itself."""
    doubling = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", text)
    if doubling:
        start, stop = map(int, doubling.groups())
        if not 1 <= start <= stop:
            raise ValueError(
                f"`--size` must rise from a positive start to the stop; got {text!r}. "
                "24:1536 gives 24, 48, ..., 1536."
            )
        return _bounded([start << i for i in range((stop // start).bit_length())])
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"\d+", word) for word in words):
        raise ValueError(
            f"`--size` must be START:STOP or whole numbers separated by commas; got {text!r}. "
            "24:1536 doubles from 24 to 1536."
        )
    return _bounded([int(word) for word in words])


def _bounded(sizes: list[int]) -> list[int]:
    if max(sizes) > LARGEST:
        raise ValueError(
            f"`--size` must be at most {LARGEST}; got {max(sizes)}, which would take hours and "
            "gigabytes. Stop earlier."
        )
    return sizes


def _seeds(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"\d{1,9}", word) for word in words):
        raise ValueError(
            f"`--seed` must be whole numbers from 0 on, separated by commas; got {text!r}."
        )
    return [int(word) for word in words]


def _default_directory(study) -> pathlib.Path:
    names = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", t.name).strip("-") for t in study.targets)
    return pathlib.Path("qrelu-runs") / f"{names[:48]}-{study.norm.name}-{study.fingerprint[:8]}"


def _print_tables(result, study) -> None:
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
            for row in here:
                table.add_row(*(Text(_cells(row)[i]) for i in kept))
            terminal.print(Padding(table, (0, 0, 0, 2)))
            for row in here if narrow else ():
                if row["gamma"] is None or row["model"] in ("power_log", "power_floor"):
                    terminal.print(Padding(Text(f"{row['rule']}: {_verdict(row)}"), (0, 0, 0, 2)))
            terminal.print()
    terminal.print(Text(_explained(rates)))
    if bits := about_bits(result):
        terminal.print(Text(" ".join([EXPLAINED, *bits])))


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
        "and biases."
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


def _say_before(study, asked: Sequence[int]) -> None:
    """What the user should know before the work begins."""
    if len(asked) > len(study.seeds):
        print(
            "qrelu: these families draw nothing at random, so all seeds give the same numbers; one "
            f"run is made, with seed {study.seeds[0]}.",
            file=sys.stderr,
        )
    if len(study.sizes) < 4:
        print(
            f"qrelu: a rate needs at least 4 sizes; got {', '.join(map(str, study.sizes))}. The "
            "errors are computed, and no rate; 24:192 would be 4 sizes.",
            file=sys.stderr,
        )


def _say_mixed(result) -> None:
    around = result.environments()
    if around.height > 1:
        mixed = [c for c in around.columns if c != "rows" and around[c].n_unique() > 1]
        print(
            f"qrelu: parts of this study were computed with different {', '.join(mixed)}; "
            "a new `--out` computes all of it here.",
            file=sys.stderr,
        )


def _print_json(result, directory, paths) -> None:
    dump(
        {
            "directory": str(directory),
            "figure": str(paths["png"]),
            "environments": result.environments().to_dicts(),
            "rates": result.rates().to_dicts(),
            "encodability": result.encodability().to_dicts(),
            "table": result.table().to_dicts(),
        }
    )
