"""`qrelu verify`: a certificate held against its files."""

import pathlib
from typing import Annotated

import typer

from ._app import FAILURE, dump, fail, sentences, use_float64


def verify(
    certificate: Annotated[
        pathlib.Path,
        typer.Argument(metavar="CERTIFICATE", help="The JSON file that `qrelu quantize` wrote."),
    ],
    network: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="FILE", help="Where the original network is now, if it was moved."),
    ] = None,
    packed: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="FILE", help="Where the packed network is now, if it was moved."),
    ] = None,
    curve: Annotated[
        bool | None,
        typer.Option(
            help="Prove the certified errors of the curve anew too; as slow as the search was. "
            "Without it: for one or two inputs only.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Check a certificate: both files, the grids, and the bound, computed anew.

    The exit code is 0 if everything holds. What was not proven anew, and rests on the checksum of
    the certificate alone, is named.
    """
    with sentences(FAILURE, (ValueError,)):
        try:
            use_float64()
            from .. import io

            done = io.verify(certificate, network=network, packed=packed, curve=curve)
        except OSError as reason:
            fail(f"{reason.strerror}: {reason.filename}" if reason.filename else reason, FAILURE)
        claimed, again = done.certificate.enclosure, done.enclosure
        if json:
            dump(
                {
                    "holds": True,
                    "network": str(done.network),
                    "packed": str(done.packed),
                    "accuracy": done.certificate.accuracy,
                    "upper": claimed.upper,
                    "computed_anew": again.to_dict(),
                    "proven": done.proven,
                    "trusted": done.trusted,
                }
            )
            return
        asked = done.certificate.accuracy
        print(f"The certificate holds: {done.certificate.to_dict()['claim']}")
        print(f"Computed anew: {again}")
        if asked is not None:
            print(f"Accuracy that was asked for: {asked:g}")
        print(f"Proven or counted anew: {', '.join(done.proven)}.")
        print(f"Guarded by the checksum alone: {', '.join(done.trusted)}.")
        print(f"Network: {done.network}\nPacked:  {done.packed}")
