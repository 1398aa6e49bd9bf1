"""`qrelu quantize`: few bits with a certificate, from a file to files."""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from ._app import (
    ASKING,
    FAILURE,
    INTERRUPTED,
    RUNNING,
    USAGE,
    dump,
    ends_of,
    fail,
    sentences,
    use_float64,
)

_PER = ("network", "layer", "channel")
_ROUNDINGS = ("nearest", "feedback")
_EVALUATIONS = (None, "exact", "bfloat16", "float16", "float32", "float64")
_BUDGET = 100_000  # cells or boxes of one certificate, in proportion to the time beyond a minute
_WRITING = 2.0  # seconds that are left for the files, the figure and the table
_LEAST = 1e-3
_POINTS = 4096  # random points of the box, for feedback and for the shares of the error


def quantize(
    file: Annotated[
        pathlib.Path,
        typer.Argument(
            metavar="FILE",
            help="A safetensors or npz file with weights (one row per unit) and biases, whose "
            "names hold the number of the layer: layers.0.weight, layers.0.bias, layers.1.weight.",
        ),
    ],
    box: Annotated[
        tuple[str, str],
        typer.Option(
            metavar="LO HI",
            help="The inputs for which the certificate holds: two numbers for all inputs, or one "
            "per input, separated by commas: 0,-1 1,1.",
        ),
    ],
    accuracy: Annotated[
        float | None,
        typer.Option(metavar="E", help="The largest change of an output that is allowed."),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(metavar="B", help="So many bits per parameter, instead of as few as do."),
    ] = None,
    per: Annotated[
        str, typer.Option(metavar="WHAT", help="What has bits of its own: network, layer, channel.")
    ] = "network",
    rounding: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="nearest, or feedback: parameters make up for the rounding of others. Slower, "
            "often with fewer bits.",
        ),
    ] = "nearest",
    evaluation: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="Whose rounding errors the certificate includes: float32, float64, ..., or exact "
            "for real arithmetic. Without it: the type of the parameters.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="After so many seconds it is done, within a second or two, with what was found by "
            "then. Only the first bits that can be certified are waited for longer.",
        ),
    ] = 60.0,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="DIR", help="Where the files go. Without it: FILE-quantized."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Quantize a network with a proof of how much it changes, anywhere on a box of inputs.

    Writes packed.safetensors (every parameter in its bits), certificate.json (for `qrelu verify`)
    and curve.png (errors against bits).
    """
    end = time.perf_counter() + seconds
    with sentences(USAGE, ASKING):
        _check(accuracy, bits, per, rounding, evaluation, seconds)
        use_float64()
        from .. import io

        network = _read(file, io)
        _check_bits(bits, network)
        ends = _box(box, network.widths[0])
        way = _feedback(ends, network) if rounding == "feedback" else None
    with sentences(FAILURE, RUNNING):
        place = pathlib.Path(f"{file.stem}-quantized") if out is None else out
        try:
            place = _directory(place, file)
            with _progress(seconds) as progress:
                found = _search(
                    network,
                    ends,
                    accuracy,
                    bits,
                    per=per,
                    rounding=way,
                    evaluation=evaluation,
                    budget=int(_BUDGET * max(1.0, seconds / 60)),
                    seconds=seconds / 6,
                    search_seconds=max(end - time.perf_counter() - _WRITING, _LEAST),
                    progress=progress,
                )
            with _staged(place) as stage:
                io.save_packed(stage / "packed.safetensors", found.network, found.grids)
                certificate = io.save_certificate(
                    stage / "certificate.json",
                    found,
                    file,
                    stage / "packed.safetensors",
                    accuracy=accuracy,
                    rounding=rounding,
                    per=per,
                )
                _draw(found.curve, accuracy, stage / "curve.png")
        except KeyboardInterrupt:
            print("qrelu: stopped. Nothing was written.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except OSError as reason:
            words = reason.strerror or str(reason)
            words += f": {reason.filename}" if reason.filename else ""
            fail(f"`--out {str(place)!r}` must be able to take the files ({words}).", FAILURE)
        _warn(found, seconds)
        if json:
            dump(certificate.to_dict())
            return
        from ._quantize_table import show

        shares = _shares(network, found.network, ends)
        show(file, place, network, found, certificate, shares)


def _check(
    accuracy: float | None,
    bits: int | None,
    per: str,
    rounding: str,
    evaluation: str | None,
    seconds: float,
) -> None:
    """What can be refused before anything is imported."""
    if accuracy is None and bits is None:
        raise ValueError(
            "`--accuracy` or `--bits` must be given: the change that is allowed, or the bits whose "
            "change is asked for."
        )
    if accuracy is not None and not (math.isfinite(accuracy) and accuracy > 0):
        raise ValueError(f"`--accuracy` must be positive and finite; got {accuracy}.")
    if bits is not None and bits < 2:
        raise ValueError(f"`--bits` must be at least 2; got {bits}. One bit has no zero.")
    if bits is not None and per == "layer":
        raise ValueError(
            "`--bits` gives every layer the same bits; leave `--per layer` out, or ask for an "
            "`--accuracy` instead."
        )
    for name, value, allowed in (
        ("per", per, _PER),
        ("rounding", rounding, _ROUNDINGS),
        ("evaluation", evaluation, _EVALUATIONS),
    ):
        if value not in allowed:
            words = ", ".join(word for word in allowed if word)
            raise ValueError(f"`--{name}` must be one of {words}; got {value!r}.")
    if not seconds > 0:
        raise ValueError(f"`--seconds` must be positive; got {seconds}.")


def _check_bits(bits: int | None, network: Any) -> None:
    import jax.numpy as jnp

    parameters = (*network.weights, *network.biases)
    most = min(int(jnp.finfo(p.dtype).nmant) + 1 for p in parameters)
    if bits is not None and bits > most:
        raise ValueError(
            f"`--bits` must be at most {most}, which the type of the parameters holds; got {bits}."
        )


def _read(file: pathlib.Path, io: Any) -> Any:
    try:
        return io.load_network(file)
    except OSError as reason:
        raise ValueError(f"`FILE` {str(file)!r} cannot be read: {reason.strerror}.") from None


def _box(texts: tuple[str, str], inputs: int) -> tuple[Any, Any]:
    """Both ends with one number per input."""
    lower, upper = ends_of("--box", texts, inputs)
    if (lower > upper).any():
        i = int((lower > upper).argmax())
        raise ValueError(f"`--box` must have LO <= HI; got {lower[i]:g} > {upper[i]:g}. Swap them.")
    return lower, upper


def _points(ends: tuple[Any, Any]) -> Any:
    """The same points of the box every time: on a line they are equidistant."""
    import numpy as np

    lower, upper = ends
    if len(lower) == 1:
        return np.linspace(lower, upper, _POINTS // 2 + 1)
    draws = np.random.default_rng(0).uniform(size=(_POINTS, len(lower)))
    return lower + (upper - lower) * draws


def _feedback(ends: tuple[Any, Any], network: Any) -> Callable[[Any, Any], Any]:
    from ..rounding import feedback

    points = _points(ends)
    return lambda net, grids: feedback(net, grids, points)


def _search(
    network: Any,
    ends: tuple[Any, Any],
    accuracy: float | None,
    bits: int | None,
    **options: Any,
) -> Any:
    from .. import bounds
    from .._misc import shown

    if bits is None:
        return bounds.allocate_bits(network, accuracy or 0.0, ends, **options)
    found = bounds.certify_bits(network, bits, ends, **options)
    proven = found.certificate.upper
    if accuracy is not None and proven > accuracy:
        raise ValueError(
            f"`--bits {bits}` cannot be certified for `--accuracy {accuracy:g}`: the certified "
            f"change is {shown(proven, 6, above=True)}. Without `--bits` the fewest bits are "
            "found; without `--accuracy` these are certified for what they do."
        )
    return found


def _directory(place: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    """Where the files will go, checked before the work begins."""
    place = pathlib.Path(place)
    if place.exists() and not place.is_dir():
        raise ValueError(f"`--out {str(place)!r}` must be a directory; it is a file.")
    if (place / "packed.safetensors").resolve() == file.resolve():
        raise ValueError(f"`--out {str(place)!r}` must not be where FILE would be overwritten.")
    old = place / "certificate.json"
    if old.exists():
        _check_same_network(old, file)
    with _staged(place, probe=True):
        return place


def _check_same_network(old: pathlib.Path, file: pathlib.Path) -> None:
    """Results of another network are not replaced."""
    import hashlib
    import json

    try:
        recorded = json.loads(old.read_bytes())["network"]["sha256"]
    except (ValueError, KeyError, TypeError):
        recorded = None
    if recorded != hashlib.sha256(file.read_bytes()).hexdigest():
        raise ValueError(
            f"`--out {str(old.parent)!r}` must be a new directory or one with results for the same "
            "network; it holds a certificate for another one. Choose another `--out`."
        )


@contextlib.contextmanager
def _staged(place: pathlib.Path, probe: bool = False) -> Iterator[pathlib.Path]:
    """A directory beside `place`, whose files move there when all of them are whole."""
    import os
    import shutil
    import tempfile

    from .._misc import UNFINISHED

    home = place.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    stage = pathlib.Path(
        tempfile.mkdtemp(prefix=UNFINISHED[0], suffix=UNFINISHED[1], dir=home.parent)
    )
    try:
        yield stage
        if not probe:
            home.mkdir(exist_ok=True)
            for path in sorted(stage.iterdir()):
                os.replace(path, home / path.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextlib.contextmanager
def _progress(seconds: float) -> Iterator[Callable[[int, Any], None]]:
    """A line on the terminal after each certificate; nothing where there is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda total, certificate: None
        return
    begin, count = time.perf_counter(), 0
    with console.status("first certificate") as status:

        def show(total: int, certificate: Any) -> None:
            nonlocal count
            count += 1
            spent = time.perf_counter() - begin
            status.update(
                f"{count} certificates in {spent:.0f} of {seconds:.0f} s: with {total} bits the "
                f"change is at most {certificate.upper:.3g}"
            )

        yield show


def _draw(curve: Any, accuracy: float | None, path: pathlib.Path) -> None:
    import io

    from .._misc import write_atomically

    buffer = io.BytesIO()
    curve.figure(accuracy).savefig(buffer, format="png", dpi=150)
    write_atomically(path, buffer.getvalue())


def _shares(network: Any, rounded: Any, ends: tuple[Any, Any]) -> list[float]:
    """The part of every layer in the mean squared difference at the points."""
    from ..rounding import explain

    shares = [float(part.sum()) for part in explain(network, rounded, _points(ends)).shares]
    return [w + b for w, b in zip(shares[::2], shares[1::2], strict=True)]


def _warn(found: Any, seconds: float) -> None:
    if not found.finished:
        print(
            f"qrelu: `--seconds {seconds:g}` ran out before the search came to its end. What is "
            "certified holds; fewer bits may do.",
            file=sys.stderr,
        )
    elif not found.certificate.complete and found.certificate.method == "branch and bound":
        print(
            "qrelu: the two bounds of the change are still apart: its budget ran out. What is "
            "certified holds; allow more `--seconds` for a sharper bound.",
            file=sys.stderr,
        )
    elif any(map(math.isnan, found.curve.certified.tolist())):
        print(
            f"qrelu: `--seconds {seconds:g}` ran out before every point of the curve was "
            "certified. The bits do not depend on it.",
            file=sys.stderr,
        )
