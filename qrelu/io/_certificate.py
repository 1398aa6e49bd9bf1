"""The certificate of a packed network as a JSON file."""

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
from typing import Any

import jax
import numpy as np

from .._misc import file_path, write_atomically
from ..bounds import Allocation, BitsCurve, Enclosure
from ..networks import ReLUNetwork, realize_exact
from ._grids import row_grids
from ._network import read_network
from ._packed import Packed, read_packed

_FORMAT = "qrelu certificate, version 1"
_PLAIN = "accuracy rounding per layers bits goal curve finished made_with".split()


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """A file: its path from the certificate's directory, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclasses.dataclass(frozen=True, eq=False)
class FileCertificate:
    r"""What is proven about the networks in two files.

    Anywhere on `enclosure.box` the packed network differs from the original one by at most
    `enclosure.upper`.

    **Attributes:**

    - `network`, `packed`: the files, each with `path` and `sha256`.
    - `accuracy`: what was asked for, or None.
    - `enclosure`: the proven bounds of the largest difference.
    - `rounding`: how the parameters were rounded, in a word; `per`: what has bits of its own.
    - `layers`: per layer `weight` and `bias`, each with `shape`, `dtype`, and the grid: `bits` and
        `step`, one number or one per row.
    - `bits`: `total` of all parameters, `header` of the packed file, `float` of the original
        parameters; `uniform` and `apriori` per parameter, for the error `goal`, as in `Allocation`.
    - `goal`: the accuracy that was asked for, or, for given bits, the error that was proven.
    - `curve`: certified, sampled and a-priori errors against bits and the knee, or None.
    - `finished`: whether the search for few bits came to its end.
    - `made_with`: versions and device.
    """

    network: FileRecord
    packed: FileRecord
    accuracy: float | None
    enclosure: Enclosure
    rounding: str
    per: str
    layers: list[dict[str, Any]]
    bits: dict[str, int | None]
    goal: float
    curve: dict[str, Any] | None
    finished: bool
    made_with: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The certificate as JSON holds it, with a checksum of all that it says."""
        box = [f"[{a:g}, {b:g}]" for a, b in zip(*self.enclosure.box, strict=True)]
        alike = len(set(box)) == 1
        record = {
            "format": _FORMAT,
            "claim": f"No output of the packed network differs from the original network's by more "
            f"than {self.enclosure.upper!r}, at any input of the box "
            f"{box[0] + (f'^{len(box)}' if len(box) > 1 else '') if alike else ' x '.join(box)}.",
            "network": dataclasses.asdict(self.network),
            "packed": dataclasses.asdict(self.packed),
            "accuracy": self.accuracy,
            "enclosure": self.enclosure.to_dict(),
            "rounding": self.rounding,
            "per": self.per,
            "layers": self.layers,
            "bits": self.bits,
            "goal": self.goal,
            "curve": self.curve,
            "finished": self.finished,
            "made_with": self.made_with,
        }
        return {**record, "sha256": _checksum(record)}


def save_certificate(
    path: str | os.PathLike,
    allocation: Allocation,
    network: str | os.PathLike,
    packed: str | os.PathLike,
    *,
    accuracy: float | None = None,
    rounding: str = "nearest",
    per: str = "network",
) -> FileCertificate:
    r"""Write what is proven about a packed network, for `verify` to check.

    The certificate holds the SHA-256 of both files, the box, the proven bounds with their
    assumptions, the grid of every layer, versions and device, and a checksum of all of this.

    **Arguments:**

    - `path`: the JSON file; it is written whole or not at all.
    - `allocation`: what `bounds.allocate_bits` or `bounds.certify_bits` returned.
    - `network`: the file of the original network, as `load_network` reads it.
    - `packed`: the file that `save_packed` wrote of `allocation.network`.
    - `accuracy`: the accuracy that was asked for, if any.
    - `rounding`, `per`: how the network was rounded, in words.

    **Returns:**

    The `FileCertificate` that was written.

    **Raises:**

    - `ValueError`: if the files do not hold the networks of the allocation.
    """
    place = file_path("save_certificate(path, ...)", path)
    sources = (
        file_path("save_certificate(network=...)", network),
        file_path("save_certificate(packed=...)", packed),
    )
    if not math.isfinite(allocation.certificate.upper):
        raise ValueError(
            "`save_certificate(allocation=...)` must have a finite bound; the values of these "
            "networks leave the range of their type. A smaller box, or smaller parameters, helps."
        )
    original, first = _with_digest(place, sources[0])
    rounded, second = _with_digest(place, sources[1])
    net = read_network(sources[0].name, original)
    there = read_packed(sources[1].name, rounded)
    if not same_parameters(there.network, allocation.network):
        raise ValueError(
            "`save_certificate(packed=...)` must be the file of `allocation.network`; "
            f"{sources[1].name!r} holds another network. `save_packed` writes it."
        )
    certificate = FileCertificate(
        network=first,
        packed=second,
        accuracy=None if accuracy is None else float(accuracy),
        enclosure=allocation.certificate,
        rounding=rounding,
        per=per,
        layers=describe_layers(there),
        bits={
            "total": there.bits,
            "header": there.header_bits,
            "float": float_bits(net),
            "uniform": allocation.uniform,
            "apriori": allocation.apriori,
        },
        goal=float(allocation.goal),
        curve=_plain_curve(allocation.curve),
        finished=allocation.finished,
        made_with=_environment(),
    )
    problem = witness_problem(certificate.enclosure, net, there.network)
    if problem:
        raise ValueError(
            "`save_certificate(network=...)` must be the file of the network that the allocation "
            f"is about; {problem}."
        )
    text = json.dumps(certificate.to_dict(), indent=1, allow_nan=False)
    write_atomically(place, text.encode() + b"\n")
    return certificate


def load_certificate(path: str | os.PathLike) -> FileCertificate:
    r"""Read a certificate that `save_certificate` wrote, without checking its claim.

    **Arguments:**

    - `path`: the JSON file.

    **Returns:**

    The `FileCertificate`; `verify` checks it.

    **Raises:**

    - `ValueError`: for a file of another kind, or one that was changed after it was written.
    - `FileNotFoundError`: when there is no such file.
    """
    place = file_path("load_certificate(path)", path)
    call = f"`load_certificate({place.name!r})`"
    try:
        record = json.loads(place.read_bytes())
        if record["format"] != _FORMAT:
            raise ValueError(f"its format is {record['format']!r}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{call} must get a certificate of qrelu; this file is damaged or of another kind. "
            f"({error})"
        ) from None
    if record.get("sha256") != _checksum(record):
        raise ValueError(
            f"{call} must get a certificate as it was written; this one was changed since: its "
            "checksum is wrong. Nothing that it says can be relied on."
        )
    try:
        certificate = FileCertificate(
            network=FileRecord(**record["network"]),
            packed=FileRecord(**record["packed"]),
            enclosure=Enclosure.from_dict(record["enclosure"]),
            **{name: record[name] for name in _PLAIN},
        )
        if certificate.to_dict() != record:
            raise ValueError("its sentence does not say what its numbers say")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{call} must get a whole certificate of qrelu; {error}.") from None
    return certificate


def _checksum(record: dict[str, Any]) -> str:
    rest = {name: value for name, value in record.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _with_digest(certificate: pathlib.Path, file: pathlib.Path) -> tuple[bytes, FileRecord]:
    data = file.read_bytes()
    relative = os.path.relpath(file.resolve(), certificate.parent.resolve())
    return data, FileRecord(pathlib.PurePath(relative).as_posix(), hashlib.sha256(data).hexdigest())


def same_parameters(a: ReLUNetwork, b: ReLUNetwork) -> bool:
    """Whether two dense networks are equal, types included."""
    pairs = list(zip((*a.weights, *a.biases), (*b.weights, *b.biases), strict=False))
    return a.depth == b.depth and all(
        x.dtype == y.dtype and np.array_equal(np.asarray(x), np.asarray(y)) for x, y in pairs
    )


def describe_layers(packed: Packed) -> list[dict[str, Any]]:
    """Shapes, types and grids of every layer, as the certificate holds them."""
    layers = []
    for w, b, pair in zip(packed.network.weights, packed.network.biases, packed.grids, strict=True):
        layer = {}
        for name, array, quantizer in zip(("weight", "bias"), (w, b), pair, strict=True):
            grid = row_grids("describe_layers", quantizer, array.shape[0])
            layer[name] = {
                "shape": list(array.shape),
                "dtype": np.dtype(array.dtype).name,
                **grid.to_dict(),
            }
        layers.append(layer)
    return layers


def float_bits(network: ReLUNetwork) -> int:
    """Bits of the parameters in their own types."""
    return sum(8 * np.asarray(p).nbytes for p in (*network.weights, *network.biases))


def witness_problem(enclosure: Enclosure, a: ReLUNetwork, b: ReLUNetwork) -> str:
    """What is wrong at the witness, in exact arithmetic; empty if nothing."""
    for name, i in (("inputs", 0), ("outputs", -1)):
        if a.widths[i] != b.widths[i]:
            return f"the networks have {a.widths[i]} and {b.widths[i]} {name}"
    if len(enclosure.witness) != a.widths[0]:
        return f"the witness has {len(enclosure.witness)} numbers for {a.widths[0]} inputs"
    if enclosure.output not in range(a.widths[-1]):
        return f"there is no output {enclosure.output}"
    values = (realize_exact(net, enclosure.witness) for net in (a, b))
    differences = [abs(v - w) for v, w in zip(*values, strict=True)]
    if differences[enclosure.output] < enclosure.lower <= max(differences):
        return f"output {enclosure.output} is not the one that differs at the witness"
    found = max(differences)
    if found < enclosure.lower:
        return (
            f"at the witness the networks differ by {float(found):.6g}, which is less than the "
            f"lower bound {enclosure.lower:.6g}"
        )
    if found > enclosure.upper:
        return (
            f"at the witness the networks differ by {float(found):.6g}, which is more than the "
            f"error {enclosure.upper:.6g}"
        )
    return ""


def _plain_curve(curve: BitsCurve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    errors = {
        name: [value if math.isfinite(value) else None for value in getattr(curve, name).tolist()]
        for name in ("certified", "sampled", "apriori")
    }
    return {"bits": curve.bits.tolist(), **errors, "knee": curve.knee}


def _environment() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in ("qrelu", "jax", "numpy")}
    device = jax.devices()[0]
    return {
        **versions,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": f"{device.platform}: {device.device_kind}",
    }
