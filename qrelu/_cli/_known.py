"""`qrelu rate --known`: proven rates and what is measured, side by side."""

import sys

from ._app import FAILURE, RUNNING, console, dump, fail, sentences


def known(json: bool) -> None:
    """Measure every case of `studies.known_rates()` and print proven beside measured."""
    from .. import studies

    with sentences(FAILURE, RUNNING):
        cases = studies.known_rates()
        measured = []
        for i, case in enumerate(cases):
            if sys.stderr.isatty():
                print(f"\r\033[K{i + 1}/{len(cases)}  {case.name}", end="", file=sys.stderr)
            measured.append(studies.measure_known(case))
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        if json:
            dump([_plain(item) for item in measured])
        else:
            _print(measured)
    missed = [item.case.name for item in measured if not item.recovered]
    if missed:
        fail(
            f"{len(missed)} of {len(cases)} rates were not recovered: {'; '.join(missed)}.", FAILURE
        )


def _print(measured) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for word in ("function", "family", "norm", "proven", "measured", "rounded", "bits", "kept"):
        right = word in ("measured", "rounded", "bits")
        table.add_column(word, justify="right" if right else "left", overflow="fold")
    for item in measured:
        case = item.case
        logarithm = f" and (log M)^{case.log_power:g}" if case.log_power else ""
        table.add_row(
            case.target.name,
            case.family.name,
            case.norm.name,
            f"{case.gamma:g}{logarithm}",
            f"{item.gamma:.3f}" + ("" if item.recovered else " !"),
            f"{item.rounded:.3f}",
            f"{item.bits:.0f}",
            "yes" if case.kept else "no",
        )
    console().print(table)
    print("proven: the error falls like M^-gamma in the number M of nonzero parameters.")
    print(
        "rounded, bits: the same with a sixteenth of the theory's step, or for free knots with the"
    )
    print("bits that keep the error within a tenth; bits per parameter at the largest M.")
    print("kept: whether O(log M) bits for each parameter provably keep the rate.")
    for source in dict.fromkeys(item.case.source for item in measured):
        names = [item.case.name for item in measured if item.case.source == source]
        print(f"{source}: {len(names)} of {len(measured)} rows.")


def _plain(item) -> dict:
    case = item.case
    return {
        "target": case.target.name,
        "family": case.family.name,
        "norm": case.norm.name,
        "proven": case.gamma,
        "log_power": case.log_power,
        "source": case.source,
        "kept": case.kept,
        "why_kept": case.why_kept,
        "measured": item.gamma,
        "how": item.how,
        "recovered": item.recovered,
        "rounded": item.rounded,
        "bits": item.bits,
        "connectivity": item.connectivity.tolist(),
        "errors": item.errors.tolist(),
    }
