"""What `qrelu quantize` prints."""

import pathlib
from typing import Any

from .._misc import shown
from ._app import console


def show(
    file: pathlib.Path,
    place: pathlib.Path,
    network: Any,
    found: Any,
    certificate: Any,
    shares: list[float],
) -> None:
    """The table of the layers, then what is proven, what it takes and where it is."""
    from rich.table import Table
    from rich.text import Text

    terminal = console()
    widths = "-".join(map(str, network.widths))
    terminal.print(Text(f"{file.name}: {widths}, {network.weights[0].dtype}", "bold"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for word in ("layer", "weights", "bits", "step", "bias bits", "bias step", "share of error"):
        table.add_column(word, justify="left" if word in ("layer", "weights") else "right")
    # Parts three times the whole make up for each other: percentages would say nothing.
    cancel = sum(map(abs, shares)) >= 3
    for i, (layer, share) in enumerate(zip(certificate.layers, shares, strict=True)):
        weight, bias = layer["weight"], layer["bias"]
        table.add_row(
            str(i + 1),
            " x ".join(map(str, weight["shape"])),
            _span(weight["bits"]),
            _span(weight["step"]),
            _span(bias["bits"]),
            _span(bias["step"]),
            "-" if cancel else f"{100 * share:.1f} %",
        )
    terminal.print(table)
    print(
        "share of error: none, the layers make up for each other's changes."
        if cancel
        else "share of error: of the mean squared change at points of the box, measured, not "
        "proven; a negative share makes up for others."
    )
    print()
    _print_proof(found, certificate)
    _print_bits(certificate, place)
    print(f"Files: {', '.join(str(place / name) for name in _NAMES)}")
    print(f"Check: qrelu verify {place / 'certificate.json'}", flush=True)


_NAMES = ("packed.safetensors", "certificate.json", "curve.png")


def _print_proof(found: Any, certificate: Any) -> None:
    enclosure, accuracy = found.certificate, certificate.accuracy
    asked = "" if accuracy is None else f" (asked: {accuracy:g})"
    at = ", ".join(f"{t:.6g}" for t in enclosure.witness[:4])
    at += ", ..." if len(enclosure.witness) > 4 else ""
    most, least = shown(enclosure.upper, 6, above=True), shown(enclosure.lower, 6, above=False)
    print(
        f"Certified: no output changes by more than {most}{asked}, anywhere on the box; at ({at}) "
        f"one changes by {least}."
    )
    kinds = " and ".join(dict.fromkeys(enclosure.evaluation))
    print(
        "Holds for: real arithmetic"
        + ("." if kinds == "exact" else f", and evaluation in {kinds}.")
    )


def _print_bits(certificate: Any, place: pathlib.Path) -> None:
    total, header = certificate.bits["total"], certificate.bits["header"]
    full, uniform = certificate.bits["float"], certificate.bits["uniform"]
    apriori = certificate.bits["apriori"]
    print(
        f"Bits: {total:,} for the parameters, {full / total:.1f} times fewer than {full:,} as "
        f"floats; packed.safetensors has {header:,} more, for shapes and steps."
    )
    asked = certificate.goal == certificate.accuracy
    goal = f"{certificate.goal:g}" if asked else shown(certificate.goal, 6, above=True)
    theory = "more than the type holds" if apriori is None else f"{apriori} bits"
    print(
        f"Per parameter, for {goal}: {uniform} bits certified with the same for all; theory "
        f"alone, before anything is computed, asks for {theory}."
    )


def _span(value: Any) -> str:
    """One number, or from the smallest to the largest."""
    numbers = value if isinstance(value, list) else [value]
    words = [f"{n:d}" if isinstance(n, int) else f"{n:.3g}" for n in (min(numbers), max(numbers))]
    return words[0] if words[0] == words[1] else f"{words[0]} to {words[1]}"
