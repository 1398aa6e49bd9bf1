"""The command line. Nothing heavy is imported before a command has its options."""

import contextlib
import itertools
import math
import os
import pathlib
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NoReturn

import typer

FAMILIES = ("free-knot", "uniform-knot", "dyadic-tree")
TARGETS = ("exp", "sine", "runge", "sqrt")
USAGE, FAILURE, INTERRUPTED = 2, 1, 130
# What a wrong option can raise while the study is put together, and what can go wrong in a run.
_ASKING = (ValueError, TypeError, OSError, ImportError)
_RUNNING = (ValueError, OSError)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of the command `qrelu`."""
    app(prog_name="qrelu")


def _fail(message: object, code: int) -> NoReturn:
    """One sentence on stderr and a non-zero exit."""
    print(f"qrelu: {' '.join(str(message).split())}", file=sys.stderr)
    raise typer.Exit(code)


@contextlib.contextmanager
def _sentences(code: int, mistakes: tuple[type[Exception], ...]) -> Iterator[None]:
    """Mistakes of the user become one sentence, warnings one line; both on stderr."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"qrelu: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        try:
            yield
        except mistakes as reason:
            _fail(reason, code)


def _version(asked: bool) -> bool:
    if asked:
        import importlib.metadata

        print(f"qrelu {importlib.metadata.version('qrelu')}")
        raise typer.Exit()
    return asked


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """How well ReLU networks with M weights of b bits approximate a function, and at what rate."""


@app.command()
def rate(
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            metavar="NAME",
            help="A built-in function (see `qrelu targets`) or your own as module:function. "
            f"Repeatable. Without it: {', '.join(TARGETS)}.",
        ),
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
        str, typer.Option(metavar="error|drop", help="What to do with rows without a number.")
    ] = "error",
    size: Annotated[
        str,
        typer.Option(metavar="SIZES", help="Connectivities: START:STOP doubles, or 24,48,96."),
    ] = "24:1536",
    norm: Annotated[str, typer.Option(metavar="NORM", help="l1, l2 or sup.")] = "l2",
    bits: Annotated[
        str,
        typer.Option(
            metavar="RULES",
            help="How to round: numbers of bits, `matched` (fewest bits that keep the error "
            "within 10 %), `theory` (the step that provably keeps the rate), `theory:2` (where the "
            "rate is not known and should be 2), or `none`.",
        ),
    ] = "4,6,8,matched,theory",
    family: Annotated[
        list[str] | None,
        typer.Option(
            "--family",
            "-f",
            metavar="NAME",
            help=f"{', '.join(FAMILIES)}. Repeatable. Without it: all of them.",
        ),
    ] = None,
    seed: Annotated[str, typer.Option(metavar="SEEDS", help="One seed or several: 0,1,2.")] = "0",
    out: Annotated[
        pathlib.Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept; the same command continues there. "
            "Without it: qrelu-runs/ and a name made from the study.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure how fast the error of ReLU networks falls with their size, rounded and not."""
    with _sentences(USAGE, _ASKING):
        _use_float64()
        from . import families, norms, studies

        study = studies.Study(
            targets=_targets(target, domain, data, x, y, missing),
            families=_families(family, bits, families),
            sizes=_sizes(size),
            norm=norms.get(norm),
            seeds=_seeds(seed),
        )
        directory = _default_directory(study) if out is None else out
    with _sentences(FAILURE, _RUNNING):
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
            print(f"Tables: {paths['table']}, {paths['rates']}")
        _say_mixed(result)
    if result.table()["error"].null_count() == result.table().height:
        _fail("no network could be computed; the column `notes` of the table says why.", FAILURE)


@app.command()
def targets(
    norm: Annotated[str, typer.Option(metavar="NORM", help="l1, l2 or sup.")] = "l2",
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """List the built-in functions with the rate that theory gives for each family."""
    with _sentences(USAGE, _ASKING):
        from . import families, norms
        from . import targets as builtin

        measure = norms.get(norm)
        columns = {name: _family(name, families) for name in FAMILIES}
        rows = []
        for about in builtin.describe():
            known = {
                name: builtin.get(about.name).rate(family, measure)
                for name, family in columns.items()
            }
            rows.append((about, known))
    if json:
        _dump(
            [
                {**about._asdict(), "rates": {k: r and r._asdict() for k, r in known.items()}}
                for about, known in rows
            ]
        )
        return
    from rich.table import Table

    table = Table(box=None, header_style="bold", title=f"Rates in {measure.name}", pad_edge=False)
    for word in ("target", "function", "domain", "difficulty", *columns):
        table.add_column(word, overflow="fold")
    for about, known in rows:
        a, b = about.domain
        table.add_row(
            about.name,
            about.formula,
            f"[{a:g}, {b:g}]".replace("[", r"\["),
            about.difficulty,
            *(_known(r) for r in known.values()),
        )
    _console().print(table)
    print("A number g means that the error falls like M^-g in the connectivity M; - is unknown.")


def _use_float64() -> None:
    """The command line, not the library, decides on float64, where the device has it."""
    import jax

    if jax.default_backend() in ("cpu", "gpu"):
        jax.config.update("jax_enable_x64", True)


def _targets(
    names: Sequence[str] | None,
    domain: tuple[float, float] | None,
    data: pathlib.Path | None,
    x: str | None,
    y: str | None,
    missing: str,
) -> list[Any]:
    from . import targets

    found = []
    if data is None and (x or y):
        raise ValueError("`--x` and `--y` must come with a file; add `--data FILE`.")
    if data is not None:
        if missing not in ("error", "drop"):
            raise ValueError(f"`--missing` must be error or drop; got {missing!r}.")
        found.append(targets.read_data(data, x=x, y=y, missing=missing))
        for note in found[0].notes:
            print(f"qrelu: {note}", file=sys.stderr)
    own = [name for name in names or () if ":" in name]
    if domain is not None and not own:
        raise ValueError(
            "`--domain` must come with a function of your own (`--target module:function`); "
            "built-in functions and data have their domain."
        )
    for name in names or (() if data is not None else TARGETS):
        found.append(targets.load(name, domain or (0.0, 1.0)) if ":" in name else targets.get(name))
    return found


def _family(name: str, families):
    made = {
        "free-knot": families.FreeKnot,
        "uniform-knot": families.UniformKnot,
        "dyadic-tree": families.DyadicTree,
    }
    if name not in made:
        raise ValueError(f"`--family` must be one of {', '.join(FAMILIES)}; got {name!r}.")
    return made[name]()


def _families(names: Sequence[str] | None, bits: str, families) -> list[Any]:
    rules = []
    for word in (w.strip().lower() for w in bits.split(",")):
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
    bases = [_family(name, families) for name in names or FAMILIES]
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
        return [start << i for i in range((stop // start).bit_length())]
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"\d+", word) for word in words):
        raise ValueError(
            f"`--size` must be START:STOP or whole numbers separated by commas; got {text!r}. "
            "24:1536 doubles from 24 to 1536."
        )
    return [int(word) for word in words]


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


def _console():
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    return Console(width=wide, highlight=False, soft_wrap=False)


def _print_tables(result, study) -> None:
    """One table per target; where the terminal is narrow, the verdicts stand below it."""
    from rich.table import Table
    from rich.text import Text

    console = _console()
    # What does not fit is left out: first the verdicts (which follow below), then the intervals.
    kept = [0, 1, 2, 4, 5] if console.width < 78 else [0, 1, 2, 3, 4, 5]
    narrow = console.width < 100
    kept += [] if narrow else [6]
    headers = ("family", "rule", "gamma", "interval", "error/limit", "bits", "verdict")
    rates = result.rates()
    for target in study.targets:
        rows = rates.filter(rates["target"] == target.name).to_dicts()
        a, b = map(float, target.domain)
        table = Table(
            title=Text(f"{target.name} on [{a:g}, {b:g}], {study.norm.name} error"),
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            header_style="bold",
        )
        for i in kept:
            right = headers[i] in ("gamma", "error/limit", "bits")
            table.add_column(
                headers[i], justify="right" if right else "left", no_wrap=headers[i] != "verdict"
            )
        for family in dict.fromkeys(row["family"] for row in rows):
            here = [row for row in rows if row["family"] == family]
            for about, row in itertools.zip_longest(_about(here[0]), here):
                cells = [about or "", *(_cells(row) if row else [""] * 6)]
                table.add_row(*(Text(cells[i]) for i in kept))
            table.add_row()
        console.print(table)
        for row in rows if narrow else ():
            if row["gamma"] is None:
                console.print(Text(f"  {row['family']}, {row['rule']}: {row['verdict']}"))
    kinds = dict.fromkeys(rates["interval_kind"].drop_nulls().to_list())
    console.print(
        Text(
            "gamma: the error falls like M^-gamma in the connectivity M, the number of nonzero "
            f"weights and biases. interval: {' or '.join(kinds) or 'none'}. error/limit and bits "
            f"per weight: at M = {study.sizes[-1]}."
        )
    )


def _about(row: dict[str, Any]) -> list[str]:
    """What is common to all rules of a family: its name, its proven rate, its limit."""
    gamma, power = row["proven_gamma"], row["proven_log_power"]
    theory = "unknown" if gamma is None else "exact" if math.isinf(gamma) else f"{gamma:g}"
    return [
        row["family"],
        f"  theory: {theory}{f', log^{power:g}' if power else ''}",
        f"  limit: {row['limit_label']}",
    ]


def _cells(row: dict[str, Any]) -> list[str]:
    established = row["gamma"] is not None
    # The verdict of a rate begins with gamma, which has a column of its own.
    verdict = re.sub(r"^the error falls like M\^-[\d.]+", "a rate", row["verdict"])
    return [
        row["rule"],
        f"{row['gamma']:.3f}" if established else "-",
        f"{row['lower']:.3f} to {row['upper']:.3f}" if established else "",
        _ratio(row["error_over_limit"]),
        "-" if row["bits_per_weight"] is None else f"{row['bits_per_weight']:.4g}",
        verdict,
    ]


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value < 2 else f"{value:.3g}"


def _known(rate) -> str:
    if rate is None:
        return "-"
    if math.isinf(rate.gamma):
        return "exact"
    return f"{rate.gamma:g}" + (f", log^{rate.log_power:g}" if rate.log_power else "")


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
    _dump(
        {
            "directory": str(directory),
            "figure": str(paths["png"]),
            "environments": result.environments().to_dicts(),
            "rates": result.rates().to_dicts(),
            "table": result.table().to_dicts(),
        }
    )


def _dump(value) -> None:
    import json

    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _plain(value):
    """JSON has no infinity and no NaN: they become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
