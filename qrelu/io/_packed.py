"""A quantized network in a file: every parameter in its bits."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from .._misc import file_path, write_atomically
from ..networks import ReLUNetwork, densify
from ..quantizers import AbstractQuantizer
from ._bit_string import join, split
from ._grids import RowGrids, read_grids, row_grids

_FORMAT = "qrelu packed network, version 1"
_TYPES = ("float16", "bfloat16", "float32", "float64")
_PARTS = ("weight", "bias")


class Packed(NamedTuple):
    r"""A network from a packed file.

    **Attributes:**

    - `network`: the network, bit for bit what was written.
    - `grids`: per layer the grids of the matrix and of the bias.
    - `bits`: bits of all parameters together.
    - `header_bits`: what the file takes besides: shapes, types, steps and bits of the arrays, a
        checksum, and the bits that fill the last byte.
    """

    network: ReLUNetwork
    grids: tuple[tuple[AbstractQuantizer, AbstractQuantizer], ...]
    bits: int
    header_bits: int


def save_packed(path: str | os.PathLike, network: ReLUNetwork, grids: Sequence[Any]) -> None:
    r"""Write a network whose parameters lie on grids, every parameter in the bits of its grid.

    The file is a safetensors file with three arrays and one entry of metadata:

    - `codes`, uint8: the codes in two's complement, lowest bit first, without gaps: $W_1$ row by
      row, $b_1$, $W_2$, and so on, as `quantizers.pack` writes them;
    - `bits`, uint8, and `steps`, float64: for $W_1$, $b_1$, $W_2$, ... one number each, or, where
      grids differ between rows, one for each row;
    - the metadata `qrelu`, JSON: `widths`, `dtypes` (one per array, or one for all), `per_row`,
      and `sha256`, of the rest of this JSON (sorted keys, no spaces) followed by the bytes of
      `bits`, `steps` and `codes`.

    A parameter is code times step, rounded to its type; with one bit (code + 1/2) times step. The
    file is written whole or not at all.

    **Arguments:**

    - `path`: a name that ends in `.safetensors`; an existing file is replaced.
    - `network`: one network; sparse matrices are written with their zeros.
    - `grids`: per layer a pair of bounded `Uniform` or `FixedPoint` quantizers, for the matrix and
        for the bias, as `Allocation.grids` holds them. Steps and bits are scalars or one per row.

    **Raises:**

    - `ValueError`: for another ending, parameters that are not on their grids, or a wrong number of
      grids.
    - `TypeError`: for something else than a network, or other grids.
    """
    call = "save_packed(path, network, grids)"
    place = file_path("save_packed(path, ...)", path)
    if place.suffix != ".safetensors":
        raise ValueError(f"`{call}` must get a name that ends in .safetensors; got {place.name!r}.")
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"`{call}` must get a ReLUNetwork; got {type(network).__name__}.")
    if network.weights[0].ndim != 2:
        raise ValueError(f"`{call}` must get one network; got a stack. Use `networks.unstack`.")
    if len(grids) != network.depth:
        raise ValueError(
            f"`{call}` must get a pair of grids for each of the {network.depth} layers; got "
            f"{len(grids)}."
        )
    dense: Any = densify(network)
    parts, grids_of, arrays = [], [], []
    for i, pair in enumerate(grids):
        for name, array, quantizer in zip(
            _PARTS, (dense.weights[i], dense.biases[i]), pair, strict=True
        ):
            array = np.asarray(array)
            grid = row_grids(call, quantizer, len(array))
            codes = _codes(call, f"layer {i}, {name}", array, grid)
            if isinstance(grid.bits, int):
                parts.append((codes, grid.bits))
            else:
                parts += list(zip(codes.reshape(len(codes), -1), grid.bits, strict=True))
            arrays.append(array)
            grids_of.append(grid)
    write_atomically(place, _file(network.widths, arrays, grids_of, join(parts)))


def _file(
    widths: Sequence[int], arrays: list[np.ndarray], grids: list[RowGrids], payload: bytes
) -> bytes:
    per_row = any(isinstance(number, list) for grid in grids for number in grid)
    if per_row:
        grids = [grid.spread(len(array)) for grid, array in zip(grids, arrays, strict=True)]
    dtypes = [array.dtype.name for array in arrays]
    tensors = {
        "bits": np.hstack([grid.bits for grid in grids]).astype(np.uint8),
        "steps": np.hstack([grid.step for grid in grids]).astype(np.float64),
        "codes": np.frombuffer(payload, np.uint8),
    }
    record = {
        "format": _FORMAT,
        "widths": list(widths),
        "dtypes": dtypes if len(set(dtypes)) > 1 else dtypes[0],
        "per_row": per_row,
    }
    record["sha256"] = _digest(record, tensors)
    text = json.dumps(record, separators=(",", ":"))
    return safetensors.numpy.save(tensors, {"qrelu": text})


def load_packed(path: str | os.PathLike) -> Packed:
    r"""Read a network that `save_packed` wrote.

    **Arguments:**

    - `path`: the file.

    **Returns:**

    A `Packed`: the network with NumPy arrays of the types that it had, its grids and its bits.

    **Raises:**

    - `ValueError`: for a file that is damaged or of another kind.
    - `FileNotFoundError`: when there is no such file.
    """
    place = file_path("load_packed(path)", path)
    return read_packed(place.name, place.read_bytes())


def read_packed(name: str, data: bytes) -> Packed:
    """The packed network in the bytes of a file."""
    try:
        tensors = safetensors.numpy.load(data)
        record = json.loads(_metadata(data)["qrelu"])
        if record["format"] != _FORMAT:
            raise ValueError(f"its format is {record['format']!r}")
        if record["sha256"] != _digest(record, tensors):
            raise ValueError("its checksum is wrong")
        return _unpacked(record, tensors, len(data))
    except (
        safetensors.SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"`load_packed({name!r})` must get a whole file that `save_packed` wrote; this one is "
            f"damaged or of another kind. ({error})"
        ) from None


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file, empty if there is none."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get("__metadata__", {})


def _codes(call: str, name: str, array: np.ndarray, grid: RowGrids) -> np.ndarray:
    if array.dtype.name not in _TYPES:
        raise TypeError(f"`{call}` must get floating-point parameters; {name} has {array.dtype}.")
    quantizer = grid.quantizer(array.ndim)
    codes = np.asarray(quantizer.encode(array))
    if not np.array_equal(np.asarray(quantizer.decode(codes, array.dtype)), array):
        raise ValueError(
            f"`{call}` must get parameters on their grids; {name} has others. `quantize(net, q)` "
            "rounds them."
        )
    return codes


def _unpacked(record: dict[str, Any], tensors: dict[str, np.ndarray], size: int) -> Packed:
    widths, per_row = record["widths"], record["per_row"]
    if len(widths) < 2 or not all(type(n) is int and n > 0 for n in widths):
        raise ValueError(f"it has the widths {widths}")
    shapes = [
        shape for n, m in zip(widths[1:], widths[:-1], strict=True) for shape in ((n, m), (n,))
    ]
    dtypes = record["dtypes"]
    dtypes = [dtypes] * len(shapes) if isinstance(dtypes, str) else dtypes
    if len(dtypes) != len(shapes) or not set(dtypes) <= set(_TYPES):
        raise ValueError(f"it has the types {dtypes}")
    if sum(n * (m + 1) for n, m in zip(widths[1:], widths, strict=False)) > 8 * size:
        raise ValueError(f"it is too short for the widths {widths}")
    numbers = [shape[0] if per_row else 1 for shape in shapes]
    grids = read_grids(tensors["bits"], tensors["steps"], numbers)
    parts = [
        (int(np.prod(shape[1:])), bits)
        for shape, grid in zip(shapes, grids, strict=True)
        for bits in grid.rows(shape[0])
    ]
    codes = iter(split(tensors["codes"].tobytes(), parts))
    quantizers = [grid.quantizer(len(shape)) for grid, shape in zip(grids, shapes, strict=True)]
    found = []
    for shape, dtype, quantizer in zip(shapes, dtypes, quantizers, strict=True):
        whole = np.concatenate([next(codes) for _ in range(shape[0])]).reshape(shape)
        found.append(np.asarray(quantizer.decode(whole, np.dtype(dtype))))
    total = sum(count * bits for count, bits in parts)
    return Packed(
        ReLUNetwork(found[::2], found[1::2]),
        tuple(zip(quantizers[::2], quantizers[1::2], strict=True)),
        total,
        8 * size - total,
    )


def _digest(record: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    rest = {name: value for name, value in record.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    numbers = (tensors[name].tobytes() for name in ("bits", "steps", "codes"))
    return hashlib.sha256(b"".join([text.encode(), *numbers])).hexdigest()
