"""What all commands share: the program, its errors, its output."""

import contextlib
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn

import typer

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
# The library's errors name calls of Python; here their places are options.
_OPTIONS = (
    (r"`norms\.get\(name\)` must be one of .*; got", "`--norm` must be l1, l2 or sup; got"),
    (r"`targets\.get\(('[^`]*')\)`", r"`--target \1`"),
    (r"For a function of your own use `targets\.Function`", "Your own is module:function"),
    (r"`(?:targets\.)?load\(('[^`]*')\)`", r"`--target \1`"),
    (r"Pass `missing=\"drop\"` to leave them out", "Add `--missing drop` to leave them out"),
    (r"`TheoryStep\(gamma=\.\.\.\)` must be (.*) or None", r"`--bits theory:RATE` must have \1"),
    (r"`TheoryStep\(gamma=([\d.]+)\)`", r"`--bits theory:\1`"),
    (r"`TheoryStep\(\)`", "`--bits theory`"),
    (r"`targets\.get_class\(('[^`]*')\)`", r"`--class \1`"),
    (r"`Study\(targets=\.\.\.\)` must hold classes", "`--class` must name classes"),
    (r"`Sobolev\(smoothness=\.\.\.\)`", "`m` in `--class sobolev:m,p`"),
    (r"`Sobolev\(p=\.\.\.\)`", "`p` in `--class sobolev:m,p`"),
    (r"`Hoelder\(smoothness=\.\.\.\)`", "`s` in `--class hoelder:s`"),
    (r"`Hoelder\(([\d.]+)\)`", r"`--class hoelder:\1`"),
    (r"`Besov\(smoothness=\.\.\.\)`", "`s` in `--class besov:s,p,q`"),
    (r"`Besov\(([pq])=\.\.\.\)`", r"`\1` in `--class besov:s,p,q`"),
    (r"`Besov\(([\d.]+), p, p\)`", r"`--class besov:\1,p,p`"),
    (r"`Besov` admits", "`--class besov:s,p,q` admits"),
    (r"`PiecewiseSmooth\(smoothness=\.\.\.\)`", "`s` in `--class piecewise-smooth:s,jumps`"),
    (r"`PiecewiseSmooth\(jumps=\.\.\.\)`", "`jumps` in `--class piecewise-smooth:s,jumps`"),
    (r"`math\.inf` included", "`inf` included"),
    (r"`EqualWidths\(depth\)`", "`DEPTH` in `--family trained:SOLVER:DEPTH`"),
    (
        r"`Trained\(widths, solver=\"(\w+)\"\)` has one hidden layer, `EqualWidths\(2\)`",
        r"`--family trained:\1` has one hidden layer",
    ),
    (r"`Study\(draws=\.\.\.\)`", "`--draws`"),
    (r"`Study\((size|seed|target)s=\.\.\.\)`", r"`--\1`"),
    (r"`Study\(families=\.\.\.\)`", "`--family`"),
    (r"`Bits\(bits\)`", "`--bits`"),
    (r"`Study\.run\((.*?)\)`", r"`--out \1`"),
    (r"`(?:Data|read_data|targets\.read_data)\(([xy])=\.\.\.\)`", r"`--\1`"),
    (r"`(?:targets\.)?read_data\((.*?)\)`", "`--data`"),
    (r"`(?:Function|targets\.load)\(domain=\.\.\.\)`", "`--domain`"),
    (r"`(?:Function\(fn=\.\.\.\)|Multivariate\(fn, \.\.\.\))`", "`--target`"),
    (
        r"Use `targets\.Multivariate\(fn, \(0, 1\), dimension=2\)`",
        "Give the ends of its box: `--domain 0,0 1,1`",
    ),
    (r"`Data`", "`--data`"),
    (r"`\w+\(.*?\)\.fit\(target(?:, size(?:, norm=\.\.\.)?)?\)`", "the family"),
    (r"Use `L1\(\)` or `L2\(\)`", "Use `--norm l1` or `--norm l2`"),
    (r"Use `L2\(\)`", "Use `--norm l2`"),
    (r"`load_network\(path\)` must get a name", "`FILE` must have a name"),
    (r"`(?:load_network|load_packed|load_certificate)\(('[^`]*')\)` must get", r"\1 must be"),
    (r"`(?:load_network|load_packed|load_certificate|verify)\(('[^`]*')\)`", r"\1"),
    (r" `load_packed` reads it\.", ""),
    (r"`(?:allocate|certify)_bits\((accuracy|per|box)=\.\.\.\)`", r"`--\1`"),
    (r"`allocate_bits\(accuracy=(\S+)\)`", r"`--accuracy \1`"),
    (r"`certify_bits\(bits\)`", "`--bits`"),
    (r"pass `evaluation=\"exact\"` to", "add `--evaluation exact` to"),
    (r"ran out: allow more\.", "ran out: allow more `--seconds`."),
    (r"`(network|packed)=\.\.\.`", r"`--\1 FILE`"),
)
# What a wrong option can raise before the work begins, and what can go wrong in a run.
ASKING = (ValueError, TypeError, OSError, ImportError)
RUNNING = (ValueError, OSError)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of the command `qrelu`."""
    app(prog_name="qrelu")


def fail(message: object, code: int) -> NoReturn:
    """One sentence on stderr and a non-zero exit."""
    print(f"qrelu: {in_options(str(message))}", file=sys.stderr)
    raise typer.Exit(code)


def in_options(message: str) -> str:
    """A sentence of the library, with options where it names calls."""
    message = " ".join(message.split())
    for call, option in _OPTIONS:
        message = re.sub(call, option, message)
    return message


@contextlib.contextmanager
def sentences(code: int, mistakes: tuple[type[Exception], ...]) -> Iterator[None]:
    """Mistakes of the user become one sentence, warnings one line; both on stderr."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"qrelu: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        try:
            yield
        except BrokenPipeError:
            # Whoever read the output has seen enough, as in `qrelu rate | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit() from None
        except mistakes as reason:
            fail(reason, code)


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


def use_float64() -> None:
    """The command line, not the library, decides on float64, where the device has it."""
    import jax

    if jax.default_backend() in ("cpu", "gpu"):
        jax.config.update("jax_enable_x64", True)


def console():
    """The terminal, or 110 columns where there is none."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    return Console(width=wide, highlight=False, soft_wrap=False)


def ends_of(option: str, texts: tuple[str, str], count: int | None = None) -> tuple[Any, Any]:
    """Both ends of an interval or a box, with one number per variable, `count` of them."""
    import numpy as np

    found = []
    for text in texts:
        try:
            numbers = [float(word) for word in text.split(",")]
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(
                f"`{option}` must be two finite numbers, or two lists of them separated by commas; "
                f"got {text!r}."
            )
        found.append(numbers)
    most = max(map(len, found)) if count is None else count
    for numbers, text in zip(found, texts, strict=True):
        if len(numbers) not in (1, most):
            what = "variables" if count is None else "inputs of the network"
            raise ValueError(
                f"`{option}` must have one number for all {what}, or one for each of the {most}; "
                f"got {len(numbers)} in {text!r}."
            )
    lower, upper = (np.broadcast_to(np.array(numbers), (most,)).copy() for numbers in found)
    return lower, upper


def check_single(option: str, name: str) -> None:
    """An error for several names in one, which other options take."""
    if "," in name:
        each = " ".join(f"{option} {part.strip()}" for part in name.split(","))
        raise ValueError(
            f"`{option}` must be one name each time; got {name!r}. Repeat it: `{each}`."
        )


def dump(value) -> None:
    """Print JSON."""
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
