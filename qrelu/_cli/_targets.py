"""`qrelu targets`: what is built in."""

import math
from typing import Annotated

import typer

from ._app import ASKING, USAGE, check_single, console, dump, sentences

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
# The families of functions of two variables.
PLANE = (
    "polynomial",
    "polynomial-tensor",
    "polynomial-hyperbolic",
    "fourier",
    "fourier-largest",
    "haar",
    "db2",
    "db3",
    "db4",
    "haar-hyperbolic",
    "db2-hyperbolic",
    "db3-hyperbolic",
    "db4-hyperbolic",
)
# Ways to train, and those for any number of variables; a test compares them with the library.
TRAINED = "trained:"
SOLVERS = ("lm", "shallow", "greedy", "adam")
OF_ANY = ("lm", "greedy", "adam")


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
        columns = family or FAMILIES
        rows = []
        for about in builtin.describe(None):
            known = {}
            for name in columns:
                if serves(name, about.dimension):
                    served = family_named(name, families, about.dimension)
                    known[name] = builtin.get(about.name).rate(served, measure)
            rows.append((about, known))
    if json:
        dump(
            [
                {
                    **about._asdict(),
                    "rates": {k: r and r._asdict() for k, r in known.items()},
                    "families": serving(about.dimension),
                }
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
            *(_known(known[name]) if name in known else "" for name in columns),
        )
    console().print(table)
    print(
        "A number g means that the error falls like M^-g in the connectivity M; `g and (log M)^b` "
        "that it falls like M^-g (log M)^b; - is unknown; nothing stands where a family does not "
        "serve so many variables."
    )
    for words, variables in (("one variable", 1), ("two", 2), ("any number", 3)):
        print(f"Families of functions of {words}: {', '.join(serving(variables))}.")


def serving(variables: int) -> tuple[str, ...]:
    """The families of functions of so many variables."""
    named = {1: (*FAMILIES, *CLASSICS), 2: PLANE}.get(variables, ())
    solvers = SOLVERS if variables == 1 else OF_ANY
    return (*named, *(f"{TRAINED}{solver}" for solver in solvers))


def serves(name: str, variables: int) -> bool:
    """Whether a family serves functions of so many variables; errors for what is no family."""
    if name not in (*serving(1), *serving(2)):
        family_named(name, None)
    return ":".join(name.split(":")[:2]) in serving(variables)


def counted(variables: int) -> str:
    """A number of variables in words."""
    return "one variable" if variables == 1 else f"{variables} variables"


def family_named(name: str, families, variables: int = 1):
    """The family of that name; `trained:lm:4` has depth 4."""
    if name.startswith(TRAINED):
        check_single("--family", name)
        return _trained(name)
    if name not in (*FAMILIES, *CLASSICS, *PLANE):
        check_single("--family", name)
        raise ValueError(
            f"`--family` must be one of {', '.join(serving(1))}, or for functions of two variables "
            f"one of {', '.join(PLANE)}; got {name!r}."
        )
    return families.get(name, variables)


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
