"""`qrelu targets`: what is built in."""

import math
from typing import Annotated

import typer

from ._app import ASKING, USAGE, console, dump, sentences

# Networks, which commands show by default, and the others; a test compares them with the library.
FAMILIES = ("free-knot", "uniform-knot", "dyadic-tree")
CLASSICS = (
    "piecewise-constant",
    "piecewise-constant-free",
    "linear-spline",
    "linear-spline-free",
    "cubic-spline",
    "cubic-spline-free",
    "polynomial",
    "fourier",
    "fourier-largest",
    "haar",
    "db2",
    "db3",
    "db4",
    "rational",
)
# Ways to train; a test compares them with the library.
TRAINED = "trained:"
SOLVERS = ("lm", "shallow", "greedy", "adam")


def targets(
    norm: Annotated[str, typer.Option(metavar="NORM", help="l1, l2 or sup.")] = "l2",
    family: Annotated[
        list[str] | None,
        typer.Option("--family", "-f", metavar="NAME", help="Whose rates. Repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """List the built-in functions with the rate that theory gives for each family."""
    with sentences(USAGE, ASKING):
        from .. import families, norms
        from .. import targets as builtin

        measure = norms.get(norm)
        columns = {name: family_named(name, families) for name in family or FAMILIES}
        rows = []
        for about in builtin.describe(None):
            known = {
                name: builtin.get(about.name).rate(family, measure)
                for name, family in columns.items()
            }
            rows.append((about, known))
    if json:
        dump(
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
            _box(a, b, about.dimension),
            about.difficulty,
            *(_known(r) for r in known.values()),
        )
    console().print(table)
    print(
        "A number g means that the error falls like M^-g in the connectivity M; `g and (log M)^b` "
        "that it falls like M^-g (log M)^b; - is unknown."
    )


def family_named(name: str, families):
    """The family of that name; `trained:lm:4` has depth 4."""
    if name.startswith(TRAINED):
        return _trained(name)
    if name not in (*FAMILIES, *CLASSICS):
        raise ValueError(
            f"`--family` must be one of {', '.join((*FAMILIES, *CLASSICS))}, or {TRAINED} and one "
            f"of {', '.join(SOLVERS)}; got {name!r}."
        )
    return families.get(name)


def _trained(name: str):
    from ..training import EqualWidths, Trained

    _, solver, *depth = name.split(":")
    if solver not in SOLVERS or len(depth) > 1 or not all(d.isdecimal() for d in depth):
        raise ValueError(
            f"`--family {TRAINED}SOLVER` must name one of {', '.join(SOLVERS)}, with the number of "
            f"affine maps behind another colon for deep networks, `{TRAINED}lm:4`; got {name!r}."
        )
    return Trained(EqualWidths(int(depth[0]) if depth else 2), solver)


def _box(a: float, b: float, dimension: int) -> str:
    power = "" if dimension == 1 else f"^{dimension}"
    return rf"\[{a:g}, {b:g}]{power}"


def _known(rate) -> str:
    if rate is None:
        return "-"
    if math.isinf(rate.gamma):
        return "exact"
    return f"{rate.gamma:g}" + (f" and (log M)^{rate.log_power:g}" if rate.log_power else "")
