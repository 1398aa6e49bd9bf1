"""`qrelu rate`: how fast errors fall with size."""

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
    check_single,
    dump,
    ends_of,
    fail,
    sentences,
    use_float64,
)
from ._classes import CLASS_BITS, CLASS_SIZES, check_theory, classes
from ._known import known as show_known
from ._rate_tables import print_tables
from ._targets import FAMILIES, PLANE, TRAINED, counted, family_named, serves, serving

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
        typer.Option(metavar="N", help="Functions drawn from a class. Without it: 12."),
    ] = None,
    domain: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="The interval for module:function, without it 0 1; for a function of several "
            "variables the ends of its box: 0,0 1,1.",
        ),
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
    norm: Annotated[
        str | None, typer.Option(metavar="NORM", help="l1, l2 or sup. Without it: l2.")
    ] = None,
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
            help=f"{', '.join(serving(1))} ({TRAINED}lm:4: networks trained, deep, four affine "
            f"maps). For functions of two variables: {', '.join(PLANE)}; of any number: "
            f"{', '.join(serving(3))}. Repeatable. Without it: {', '.join(FAMILIES)}; "
            f"{', '.join(SEVERAL)} for functions of several variables.",
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
            given = {"target": target, "class": function_class, "draws": draws, "domain": domain}
            given |= {"data": data, "x": x, "y": y, "missing": missing, "size": size, "norm": norm}
            _refuse_beside_known(
                {**given, "bits": bits, "family": family, "seed": seed, "out": out}
            )
            return show_known(json)
        from .. import families, norms, studies

        if draws is not None and not function_class:
            raise ValueError("`--draws` must come with a class; add `--class lipschitz`.")
        alone = function_class and not (target or data or domain)
        default = TARGETS_OF_SEARCHES if _searched(family or ()) else TARGETS
        found = [] if alone else _targets(target, default, domain, data, x, y, missing)
        found += classes(function_class)
        if alone:
            check_theory(bits, found)
        if not family:
            several = all(item.dimension > 1 for item in found)
            family = list(SEVERAL if several else FAMILIES)
        variables = _variables(found, family)
        asked = _seeds(_or(seed, SEEDS if _trained(family) else "0"))
        study = studies.Study(
            targets=found,
            families=_families(
                family, variables, _or(bits, CLASS_BITS if alone else BITS), families
            ),
            sizes=_sizes(_or(size, CLASS_SIZES if alone else _default_sizes(family))),
            norm=norms.get(_or(norm, "l2")),
            seeds=asked if _trained(family) or function_class else asked[:1],
            draws=12 if draws is None else draws,
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
            print_tables(result, study)
            print(f"Figure: {paths['png']} (and .svg)")
            print(f"Tables: {paths['table']}, {paths['rates']}", flush=True)
        _say_mixed(result)
    if result.table()["error"].null_count() == result.table().height:
        fail("nothing could be computed; the column `notes` of the table says why.", FAILURE)


def _or(given: str | None, default: str) -> str:
    """What was given, even if it is empty: that is a mistake to name, and no default."""
    return default if given is None else given


def _trained(names: Sequence[str]) -> bool:
    return any(name.startswith(TRAINED) for name in names)


def _default_sizes(names: Sequence[str]) -> str:
    if not _trained(names):
        return SIZES
    return SIZES_OF_SEARCHES if _searched(names) else SIZES_OF_TRAINED


def _searched(names: Sequence[str]) -> bool:
    """Whether a network takes seconds."""
    return any(name.startswith((f"{TRAINED}lm", f"{TRAINED}adam")) for name in names)


def _variables(targets: Sequence[Any], names: Sequence[str]) -> int:
    """The number of variables of the targets; an error where a family does not serve it."""
    for target in targets:
        for name in names:
            if not serves(name, target.dimension):
                raise ValueError(
                    f"`--family {name}` does not serve functions of {counted(target.dimension)}, "
                    f"and {target.name} is one. These do: {', '.join(serving(target.dimension))}."
                )
    first, *others = targets
    other = next((item for item in others if item.dimension != first.dimension), None)
    classical = [name for name in names if not name.startswith(TRAINED)]
    if other is not None and classical:
        raise ValueError(
            f"`--family {classical[0]}` must have targets of one number of variables, since it is "
            f"another family for each; got {first.name} of {counted(first.dimension)} and "
            f"{other.name} of {counted(other.dimension)}. Measure one after the other."
        )
    return first.dimension


def _refuse_beside_known(given: dict[str, Any]) -> None:
    used = [f"--{word}" for word, value in given.items() if value is not None]
    if used:
        raise ValueError(
            f"`--known` must stand alone or with `--json`; got {' and '.join(used)}. The table has "
            "its own functions, families and sizes."
        )


def _targets(
    names: Sequence[str] | None,
    default: Sequence[str],
    domain: tuple[str, str] | None,
    data: pathlib.Path | None,
    x: str | None,
    y: str | None,
    missing: str | None,
) -> list[Any]:
    import numpy as np

    from .. import targets

    found = []
    if data is None and (x, y, missing) != (None, None, None):
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
    box = (0.0, 1.0) if domain is None else _box(domain)
    for name in names or (() if data is not None else default):
        if ":" not in name:
            check_single("--target", name)
        found.append(targets.load(name, box) if ":" in name else targets.get(name))
        if name in own and domain is not None and not np.array_equal(found[-1].domain, box):
            raise ValueError(
                f"`--domain` must come with a function; {name} is a target with a domain of its "
                "own. Leave the option out."
            )
    return found


def _box(domain: tuple[str, str]) -> tuple[Any, Any]:
    """An interval as two numbers, or the ends of a box as two arrays."""
    lower, upper = ends_of("--domain", domain)
    if len(lower) == 1:
        return float(lower[0]), float(upper[0])
    if (lower >= upper).any():
        i = int((lower >= upper).argmax())
        raise ValueError(
            f"`--domain` must have A < B in every variable; got {lower[i]:g} and {upper[i]:g} in "
            f"variable {i + 1}."
        )
    return lower, upper


def _families(names: Sequence[str], variables: int, bits: str, families) -> list[Any]:
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
    bases = [family_named(name, families, variables) for name in names]
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
