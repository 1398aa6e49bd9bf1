"""`qrelu regimes`: what bits, width and depth are worth."""

import pathlib
from typing import Annotated, Any

import typer

from ._app import ASKING, FAILURE, RUNNING, USAGE, console, dump, sentences

# A deep and narrow and a shallow and wide example: the proper and the under-quantized regime.
_EXAMPLES = ((64, 32), (2049, 3))
# Larger networks take minutes to build and measure.
_WIDEST, _DEEPEST = 1 << 14, 256


def regimes(
    width: Annotated[
        list[int] | None,
        typer.Option(metavar="W", help="The largest width. Repeatable, with one --depth each."),
    ] = None,
    depth: Annotated[
        list[int] | None,
        typer.Option(metavar="L", help="The largest number of affine maps. Repeatable."),
    ] = None,
    bits: Annotated[
        str | None,
        typer.Option(
            metavar="BITS",
            help="Numbers of bits after the point: 1,2,4,8. Without it: until more do not help.",
        ),
    ] = None,
    integer_bits: Annotated[
        int | None,
        typer.Option(
            metavar="A",
            help="Weights are below 2^(A+1) in size. Without it: what the networks need.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="SEED", help="Of the drawn functions.")] = 0,
    out: Annotated[
        pathlib.Path,
        typer.Option(metavar="FILE", help="The figure; its ending says in which format."),
    ] = pathlib.Path("qrelu-regimes.png"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON and no table.")] = False,
) -> None:
    """Build networks of a width and a depth with growing bits; their errors beside the bounds."""
    with sentences(USAGE, ASKING):
        sizes = _sizes(width, depth)
        numbers = _numbers(bits)
        if integer_bits is not None and integer_bits < 1:
            raise ValueError(f"`--integer-bits` must be at least 1; got {integer_bits}.")
        if seed < 0:
            raise ValueError(f"`--seed` must be a whole number from 0 on; got {seed}.")
        _check_ending(out)
    with sentences(FAILURE, RUNNING):
        from .. import constructions

        diagrams = [
            constructions.regime_diagram(
                w, d, fraction_bits=numbers, integer_bits=integer_bits, seed=seed
            )
            for w, d in sizes
        ]
        out.parent.mkdir(parents=True, exist_ok=True)
        diagrams[0].figure(*diagrams[1:]).savefig(out, dpi=150)
        if json:
            dump([_record(diagram, out) for diagram in diagrams])
            return
        for diagram in diagrams:
            _print_table(diagram)
        functions = diagrams[0].functions
        print(f"zigzag: {functions['zigzag']}. drawn: {functions['drawn']}.")
        print(
            "lower, bound: proven bounds of the best error for the worst function with slopes up "
            "to 1, the largest of three lower ones (which) and that of the network built. zigzag, "
            "drawn: measured, on those functions. network: slopes, bits or lookup for "
            "`constructions.lipschitz_by_slopes` and so on, with its sizes."
        )
        print(f"Figure: {out}")


def _sizes(width: list[int] | None, depth: list[int] | None) -> list[tuple[int, int]]:
    if not width and not depth:
        return list(_EXAMPLES)
    width, depth = width or [], depth or []
    if len(width) != len(depth):
        raise ValueError(
            f"`--width` and `--depth` must come in pairs; got {len(width)} and {len(depth)}."
        )
    for name, values, most in (("width", width, _WIDEST), ("depth", depth, _DEEPEST)):
        for value in values:
            if not 1 <= value <= most:
                raise ValueError(f"`--{name}` must be from 1 to {most}; got {value}.")
    return list(zip(width, depth, strict=True))


def _numbers(bits: str | None) -> list[int] | None:
    if bits is None:
        return None
    words = [word.strip() for word in bits.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= 1000 for word in words):
        raise ValueError(
            f"`--bits` must be whole numbers from 1 to 1000, separated by commas; got {bits!r}."
        )
    return [int(word) for word in words]


def _check_ending(out: pathlib.Path) -> None:
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"`--out` must end in .png, .svg or .pdf; got {str(out)!r}.")


def _record(diagram: Any, out: pathlib.Path) -> dict[str, Any]:
    networks = [
        {
            **{k: v for k, v in n._asdict().items() if k not in ("regime", "design", "counts")},
            "design": str(n.design),
            "depth": n.counts.depth,
            "width": n.counts.width,
            "connectivity": n.counts.connectivity,
            "regime": n.regime._asdict(),
        }
        for n in diagram.networks
    ]
    return {**diagram._asdict(), "figure": str(out), "networks": networks}


def _print_table(diagram: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    title = (
        f"Width up to {diagram.width}, depth up to {diagram.depth}, weights below "
        f"2^{diagram.integer_bits + 1} with b bits after the point"
    )
    screen = console()
    screen.print(Text(title, "bold"))
    table = Table(box=None, header_style="bold", pad_edge=False)
    words = ("b", "lower", "which", "bound", "zigzag", "drawn", "b x bound", "network")
    for word in words:
        table.add_column(word, justify="left" if word in ("which", "network") else "right")
    for n in diagram.networks:
        table.add_row(
            str(n.fraction_bits),
            f"{n.regime.lower:.2g}",
            n.regime.name,
            f"{n.bound:.3g}",
            f"{n.zigzag:.3g}",
            f"{n.drawn:.3g}",
            f"{n.fraction_bits * n.bound:.2g}",
            str(n.design),
        )
    screen.print(table)
    print(f"From b = {diagram.last} on, more bits do not help the networks that are built here.")
    for note in diagram.notes:
        print(note)
    print()
