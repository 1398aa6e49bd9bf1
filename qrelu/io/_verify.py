"""Checking a certificate again: the files, the grids, and the enclosure computed anew."""

import dataclasses
import hashlib
import os
import pathlib
from typing import NamedTuple

from .._misc import file_path
from ..bounds import Enclosure, enclose
from ..networks import ReLUNetwork
from ._certificate import (
    FileCertificate,
    FileRecord,
    describe_layers,
    float_bits,
    load_certificate,
    witness_problem,
)
from ._network import read_network
from ._packed import read_packed
from ._recheck import recheck, slack

# What every verification proves, and what an enclosure says about how it was found.
_PROVEN = "network packed accuracy goal layers".split()
_PROVEN += [f"enclosure.{name}" for name in ("lower", "upper", "witness", "output")]
_HOW = "method boxes gap complete seconds".split()


class Verification(NamedTuple):
    r"""A certificate that holds.

    **Attributes:**

    - `certificate`: what was claimed.
    - `enclosure`: the bounds, computed anew.
    - `network`, `packed`: the files that were checked.
    - `proven`: the entries that were proven or counted anew, by their names in the certificate.
    - `trusted`: the entries that nothing but the checksum guards: what was measured at random
        points, how the enclosure was found, how the network was made.
    """

    certificate: FileCertificate
    enclosure: Enclosure
    network: pathlib.Path
    packed: pathlib.Path
    proven: tuple[str, ...]
    trusted: tuple[str, ...]


def verify(
    path: str | os.PathLike,
    *,
    network: str | os.PathLike | None = None,
    packed: str | os.PathLike | None = None,
    curve: bool | None = None,
) -> Verification:
    r"""Check what a certificate claims, from the two files alone.

    Both files must have the SHA-256 of the certificate; the packed network must lie on the grids
    that are stated, in the bits that are stated; the witness must show the lower bound in exact
    arithmetic; and the enclosure, computed anew, must confirm the upper bound, which must not
    exceed the accuracy. The a-priori errors and bits, the knee, and that the uniform bits are
    enough are computed anew too, and the certified errors of the curve where `curve` says so. What
    rests on the checksum alone is named: see `Verification`. Another rounding than to nearest is
    not repeated: uniform bits and errors of the curve that need it count as not proven anew.

    It takes about twice as long as the one certificate took, and with the curve as long as the
    search for the bits.

    **Arguments:**

    - `path`: the certificate.
    - `network`, `packed`: where the files are now. Without it: where they were when the
        certificate was written, as seen from its directory, or else beside it.
    - `curve`: whether the certified errors of the curve are proven anew. Without it: for one or two
        inputs that are free, where bounds are exact.

    **Returns:**

    A `Verification`. Nothing is returned if anything is wrong.

    **Raises:**

    - `ValueError`: for whatever does not hold, in a sentence.
    - `FileNotFoundError`: when a file is not there.
    """
    place = file_path("verify(path)", path)
    certificate = load_certificate(place)
    first = _found(place, certificate.network, network, "network")
    second = _found(place, certificate.packed, packed, "packed")
    original = _checked(first, certificate.network)
    rounded = _checked(second, certificate.packed)
    net = read_network(first.name, original)
    there = read_packed(second.name, rounded)
    if describe_layers(there) != certificate.layers:
        raise _wrong(place, "the packed network has other grids than the certificate says")
    counted = {"total": there.bits, "header": there.header_bits, "float": float_bits(net)}
    for name, value in counted.items():
        if certificate.bits.get(name) != value:
            raise _wrong(
                place,
                f"it says {certificate.bits.get(name)} bits ({name}) where the files have {value}",
            )
    claimed = certificate.enclosure
    if certificate.accuracy is not None and not claimed.upper <= certificate.accuracy:
        raise _wrong(
            place,
            f"its error, {claimed.upper:.9g}, exceeds the accuracy {certificate.accuracy:.9g}",
        )
    if certificate.goal not in (certificate.accuracy, claimed.upper):
        raise _wrong(place, f"its goal, {certificate.goal}, is no accuracy and no error")
    problem = witness_problem(claimed, net, there.network)
    if problem:
        raise _wrong(place, problem)
    again = _again(claimed, net, there.network)
    refuted = again.lower > claimed.upper + 1e-9 * claimed.upper
    if refuted or not again.upper <= claimed.upper + slack(claimed.upper, again):
        reason = (
            f"the networks differ by at least {again.lower:.9g}"
            if again.lower > claimed.upper
            else f"computed anew the bound is {again.upper:.9g}"
        )
        raise _wrong(place, f"its error, {claimed.upper:.9g}, is too small: {reason}")
    if claimed.lower > again.upper + slack(claimed.upper, again):
        raise _wrong(place, f"its lower bound, {claimed.lower:.9g}, is too large")
    found = recheck(certificate, net, again, curve)
    if found.problem:
        raise _wrong(place, found.problem)
    # The gap that was asked for, instead of the half of it that was tried.
    complete = again.complete or again.upper <= (1 + claimed.gap) * again.lower
    return Verification(
        certificate,
        dataclasses.replace(again, gap=claimed.gap, complete=complete),
        first,
        second,
        (*_PROVEN, *(f"bits.{name}" for name in counted), *found.proven),
        (*(f"enclosure.{name}" for name in _HOW), *found.trusted),
    )


# Branch and bound stops as soon as its gap is reached. With half the gap that the certificate shows
# and more boxes it goes farther than it did; on another machine it may take another path.
def _again(claimed: Enclosure, net: ReLUNetwork, other: ReLUNetwork) -> Enclosure:
    shown = claimed.upper / claimed.lower - 1 if claimed.lower > 0 else claimed.gap
    names = set(claimed.evaluation)
    if len(names) != 1:
        raise ValueError(f"`verify` must find one evaluation; got {sorted(names)}.")
    evaluation = names.pop()

    def run(factor: int) -> Enclosure:
        return enclose(
            net,
            other,
            claimed.box,
            gap=max(min(shown, claimed.gap) / 2, 1e-12),
            budget=factor * claimed.boxes + 4096,
            evaluation=evaluation,
        )

    again = run(2)
    undecided = again.lower <= claimed.upper < again.upper - slack(claimed.upper, again)
    return run(8) if undecided and claimed.method == "branch and bound" else again


def _found(
    certificate: pathlib.Path, record: FileRecord, given: str | os.PathLike | None, name: str
) -> pathlib.Path:
    if given is not None:
        return file_path(f"verify({name}=...)", given)
    recorded = certificate.parent / record.path
    beside = certificate.parent / pathlib.PurePosixPath(record.path).name
    for place in (recorded, beside):
        if place.is_file():
            return pathlib.Path(os.path.normpath(place))
    raise FileNotFoundError(
        f"`verify({certificate.name!r})` must find the file {record.path!r}; it is not there. Say "
        f"where it is now: `{name}=...`."
    )


def _checked(file: pathlib.Path, record: FileRecord) -> bytes:
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != record.sha256:
        raise ValueError(
            f"{file.name} is not the file that was certified: its SHA-256 is {digest[:16]}..., not "
            f"{record.sha256[:16]}..."
        )
    return data


def _wrong(place: pathlib.Path, reason: str) -> ValueError:
    return ValueError(f"The certificate {place.name} does not hold: {reason}.")
