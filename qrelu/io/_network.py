"""The parameters of a network in a safetensors or npz file."""

import io
import os
import pathlib
import re
import zipfile
import zlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from .._misc import file_path, write_atomically
from ..networks import ReLUNetwork, densify

_ENDINGS = (".safetensors", ".npz")
_BFLOAT16 = np.dtype(jnp.bfloat16)
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16), _BFLOAT16)
# What a safetensors file calls its types.
_TYPES = {f"{kind.upper()}{8 * n}": np.dtype(f"{kind}{n}") for kind in "iu" for n in (1, 2, 4, 8)}
_TYPES |= {"F16": np.dtype("f2"), "F32": np.dtype("f4"), "F64": np.dtype("f8")}
_TYPES |= {"BF16": _BFLOAT16, "BOOL": np.dtype(bool)}


def save_network(path: str | os.PathLike, network: ReLUNetwork) -> None:
    r"""Write a network to a safetensors or npz file.

    The arrays are named `layers.0.weight`, `layers.0.bias`, `layers.1.weight`, ... from the first
    affine map to the last, of shapes $(N_l, N_{l-1})$ and $(N_l,)$; sparse matrices are written
    with their zeros. The file is written whole or not at all.

    **Arguments:**

    - `path`: a name that ends in `.safetensors` or `.npz`; an existing file is replaced.
    - `network`: one network, of float64, float32, float16 or (safetensors only) bfloat16.

    **Raises:**

    - `ValueError`: for another ending, a type that the file cannot hold, or a stack of networks.
    - `TypeError`: for something else than a network.
    """
    place = _ending("save_network", path)
    if not isinstance(network, ReLUNetwork):
        raise TypeError(
            "`save_network(path, network)` must get a ReLUNetwork; got "
            f"{type(network).__name__}. `networks.from_mlp` makes one."
        )
    if network.weights[0].ndim != 2:
        raise ValueError(
            "`save_network(path, network)` must get one network; got a stack. Use "
            "`networks.unstack` and write each."
        )
    dense: Any = densify(network)
    arrays = {}
    for i, (w, b) in enumerate(zip(dense.weights, dense.biases, strict=True)):
        arrays[f"layers.{i}.weight"] = np.ascontiguousarray(w)
        arrays[f"layers.{i}.bias"] = np.ascontiguousarray(b)
    types = {array.dtype for array in arrays.values()}
    if not types <= set(_FLOATS) or (place.suffix == ".npz" and _BFLOAT16 in types):
        raise ValueError(
            f"`save_network(path, network)` must get parameters that a {place.suffix} file holds; "
            f"got {', '.join(sorted(t.name for t in types))}. A .safetensors file takes float64, "
            "float32, float16 and bfloat16."
        )
    if place.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        data = buffer.getvalue()
    else:
        data = safetensors.numpy.save(arrays)
    write_atomically(place, data)


def load_network(path: str | os.PathLike) -> ReLUNetwork:
    r"""Read a network from a safetensors or npz file.

    Matrices have the shape $(N_l, N_{l-1})$, one row per unit, as in `save_network` and torch. The
    names say the order and which arrays belong together: each ends in `weight` or `bias` (or is
    `weights` or `biases` followed by a number) and holds the number of its layer, for example
    `layers.0.weight`, torch's `0.weight`, `2.weight`, or `weights.0`. Numbers need not be
    consecutive. A missing bias is zero.

    **Arguments:**

    - `path`: the file.

    **Returns:**

    A network with NumPy arrays of the types in the file.

    **Raises:**

    - `ValueError`: for a file that is damaged, of another kind, or whose arrays are not the affine
      maps of one network.
    - `FileNotFoundError`: when there is no such file.
    """
    place = _ending("load_network", path)
    return read_network(place.name, place.read_bytes())


def read_network(name: str, data: bytes) -> ReLUNetwork:
    """The network in the bytes of a file of that name."""
    place = _ending("load_network", name)
    arrays = _read(place, data)
    if set(arrays) == {"bits", "steps", "codes"}:
        raise ValueError(
            f"`load_network({place.name!r})` must get a network of floating-point numbers; this "
            "one is packed already. `load_packed` reads it."
        )
    layers: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        number, kind = _role(place, name)
        if kind in layers.setdefault(number, {}):
            raise ValueError(
                f"`load_network({place.name!r})` must find one {kind} per layer; {name!r} is a "
                f"second one for layer {number}."
            )
        if array.dtype not in _FLOATS:
            raise ValueError(
                f"`load_network({place.name!r})` must find numbers of float64, float32, float16 or "
                f"bfloat16; {name!r} holds {array.dtype}."
            )
        if not np.isfinite(array).all():
            raise ValueError(
                f"`load_network({place.name!r})` must find finite floating-point numbers; "
                f"{name!r} holds NaN or infinity."
            )
        layers[number][kind] = array
    alone = [number for number, parts in layers.items() if "weight" not in parts]
    if alone or not layers:
        raise ValueError(
            f"`load_network({place.name!r})` must find a weight for every layer; got "
            f"{sorted(arrays) or 'no arrays'}."
        )
    parts = [layers[number] for number in sorted(layers)]
    weights = [part["weight"] for part in parts]
    if any(w.ndim != 2 for w in weights):
        raise ValueError(
            f"`load_network({place.name!r})` must find matrices; got weights of the shapes "
            f"{[w.shape for w in weights]}. Convolutions are not fully connected layers."
        )
    biases = [
        part.get("bias", np.zeros(len(part["weight"]), part["weight"].dtype)) for part in parts
    ]
    try:
        return ReLUNetwork(weights, biases)
    except ValueError as error:
        raise ValueError(
            f"`load_network({place.name!r})` must find the affine maps of one network, in the "
            f"order of their numbers. {error}"
        ) from None


def _ending(call: str, path: Any) -> pathlib.Path:
    place = file_path(f"{call}(path)", path)
    if place.suffix not in _ENDINGS:
        raise ValueError(
            f"`{call}(path)` must get a name that ends in {' or '.join(_ENDINGS)}; got "
            f"{place.name!r}."
        )
    return place


def _read(place: pathlib.Path, data: bytes) -> dict[str, np.ndarray]:
    read = _read_safetensors if place.suffix == ".safetensors" else _read_npz
    try:
        return read(data)
    except (
        safetensors.SafetensorError,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        RuntimeError,  # zipfile's, for an encrypted archive or a compression that it does not know
        KeyError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        raise ValueError(
            f"`load_network({place.name!r})` must get a whole {place.suffix} file; this one is "
            f"damaged or of another kind. ({error})"
        ) from None


# safetensors.numpy does not read bfloat16.
def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    return {
        name: np.frombuffer(view["data"], _TYPES[view["dtype"]]).reshape(view["shape"])
        for name, view in safetensors.deserialize(data)
    }


def _read_npz(data: bytes) -> dict[str, np.ndarray]:
    if not data.startswith(b"PK"):
        raise ValueError("it is no zip file")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        if len(set(file.files)) < len(file.files):
            raise ValueError("two of its arrays have the same name")
        arrays = {name: file[name] for name in file.files}
    foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise ValueError(f"{foreign[0]!r} in it is no array")
    # Numbers in the order of another machine's bytes are brought to that of this one.
    return {name: a.astype(a.dtype.newbyteorder("="), copy=False) for name, a in arrays.items()}


def _role(place: pathlib.Path, name: str) -> tuple[int, str]:
    """The number of the layer and whether it is a weight or a bias."""
    kinds = re.findall(r"weight|bias", name)
    numbers = re.findall(r"\d+", name)
    if len(kinds) != 1 or len(numbers) != 1:
        raise ValueError(
            f"`load_network({place.name!r})` must find names with one number and one of `weight` "
            f"and `bias`, as `layers.0.weight`; got {name!r}."
        )
    return int(numbers[0]), kinds[0]
