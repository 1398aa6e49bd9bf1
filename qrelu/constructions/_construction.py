"""What every construction returns: a network, what is proven about it, what it takes."""

import hashlib
import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float

from ..networks import ReLUNetwork, SparseMatrix

_FORMAT = "qrelu construction certificate, version 1"


class Certificate(NamedTuple):
    r"""What is proven about a construction.

    $\|R(\text{network}) - f\| \le$ `bound` on the domain, in real arithmetic: the parameters are
    the exact values of their floats.

    **Attributes:**

    - `bound`: the proven error.
    - `target`: the function $f$ in words, for example "x^2".
    - `domain`: the ends (lower, upper) of the box on which it holds, one number per input.
    - `norm`: the norm of the error, "sup" or "L1", "L2", ...
    - `exact`: whether the error equals the bound.
    - `assumptions`: what the target must fulfil, in words; empty if nothing.
    - `source`: paper and theorem with what was changed, or "derived".
    """

    bound: float
    target: str
    domain: tuple[tuple[float, ...], tuple[float, ...]]
    norm: str = "sup"
    exact: bool = False
    assumptions: str = ""
    source: str = "derived"

    def to_dict(self) -> dict[str, Any]:
        """The certificate in plain numbers, strings and lists, as JSON can hold them.

        JSON has no infinity: an infinite end or bound is the string "inf" or "-inf", from which
        `float` makes the number again.
        """
        return {
            "format": _FORMAT,
            **self._asdict(),
            "bound": _plain(self.bound),
            "domain": [[_plain(x) for x in end] for end in self.domain],
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Certificate":
        """The certificate that `to_dict` wrote.

        **Arguments:**

        - `record`: what `to_dict` returned, also after JSON has written and read it.

        **Returns:**

        The `Certificate`.

        **Raises:**

        - `ValueError`: for a record of another format, or without some of its entries.
        """
        found = dict(record)
        if found.pop("format", None) != _FORMAT or set(found) != set(cls._fields):
            raise ValueError(
                "`Certificate.from_dict(record)` must get what `to_dict` returned, with the "
                f'format "{_FORMAT}" and the entries {", ".join(cls._fields)}; got the entries '
                f"{', '.join(map(str, record)) or 'of an empty record'}."
            )
        try:
            low, high = (tuple(float(x) for x in end) for end in found["domain"])
            bound = float(found["bound"])
        except (TypeError, ValueError):
            raise ValueError(
                "`Certificate.from_dict(record)` must have numbers for `bound` and `domain`; got "
                f"{found['bound']!r} and {found['domain']!r}."
            ) from None
        return cls(**{**found, "bound": bound, "domain": (low, high)})

    def __str__(self) -> str:
        relation = "=" if self.exact else "<="
        box = " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(*self.domain, strict=True))
        lines = [f"{self.norm} error {relation} {self.bound:.6g} for {self.target} on {box}"]
        lines += [f"  if {self.assumptions}"] if self.assumptions else []
        return "\n".join([*lines, f"  {self.source}"])


class Counts(NamedTuple):
    r"""What a network takes.

    **Attributes:**

    - `widths`: $(N_0, \ldots, N_L)$, input and output included.
    - `connectivity`: the number $M$ of nonzero weights and biases.
    - `values`: how many distinct nonzero values they have, the papers' $\lambda$.
    - `magnitude`: the largest absolute value among them.
    """

    widths: tuple[int, ...]
    connectivity: int
    values: int
    magnitude: float

    @property
    def depth(self) -> int:
        """The number of affine maps: hidden layers plus one."""
        return len(self.widths) - 1

    @property
    def width(self) -> int:
        """The largest of all widths, input and output included."""
        return max(self.widths)

    @property
    def bits(self) -> float:
        r"""Bits for one parameter: $\log_2$ of the number of distinct nonzero values."""
        return math.log2(max(self.values, 1))

    @property
    def memory(self) -> float:
        """Bits for all parameters; the codebook and the topology are not counted."""
        return self.connectivity * self.bits

    def __str__(self) -> str:
        return (
            f"depth {self.depth}, width {self.width}, connectivity {self.connectivity:,}; "
            f"{self.values:,} distinct values up to {self.magnitude:g}: {self.memory:,.0f} bits"
        )


class Construction(NamedTuple):
    """A network written down by proof.

    **Attributes:**

    - `network`: the `ReLUNetwork`; sparse where that is smaller.
    - `certificate`: what is proven about it.
    - `counts`: depth, widths, connectivity, distinct values, bits.
    """

    network: ReLUNetwork
    certificate: Certificate
    counts: Counts

    def __str__(self) -> str:
        return f"{self.certificate}\n  {self.counts}"


def count(network: ReLUNetwork | Construction) -> Counts:
    """What a network takes, counted on the network as it is.

    **Arguments:**

    - `network`: one network, or a construction.

    **Returns:**

    Its `Counts`.
    """
    network = network_of("count", network)
    values = alphabet(network)
    return Counts(network.widths, network.connectivity, len(values), network.magnitude)


def alphabet(network: ReLUNetwork | Construction) -> Float[np.ndarray, " values"]:
    """The distinct nonzero parameters of a network, ascending.

    **Arguments:**

    - `network`: one network, or a construction.

    **Returns:**

    The values in float64.
    """
    values = [np.unique(v) for _, _, v in _entries(network_of("alphabet", network))]
    every = np.unique(np.concatenate(values)) if values else np.zeros(0)
    return every[every != 0].astype(np.float64)


def topology(network: ReLUNetwork | Construction) -> str:
    """A hash of the places of the nonzero parameters: equal for networks that differ in values.

    **Arguments:**

    - `network`: one network, or a construction.

    **Returns:**

    64 hexadecimal digits.
    """
    network = network_of("topology", network)
    digest = hashlib.sha256(str(network.widths).encode())
    for rows, columns, _ in _entries(network):
        order = np.lexsort((columns, rows))
        digest.update(np.stack([rows[order], columns[order]]).astype(np.int64).tobytes() + b"|")
    return digest.hexdigest()


def network_of(call: str, network: Any) -> ReLUNetwork:
    """The one network that is given, alone or in a construction."""
    found = network.network if isinstance(network, Construction) else network
    if not isinstance(found, ReLUNetwork):
        raise TypeError(
            f"`{call}(network)` must be a `ReLUNetwork` or a `Construction`; got "
            f"{type(found).__name__}."
        )
    if found.weights[0].ndim != 2:
        raise ValueError(
            f"`{call}(network)` is for one network; `networks.unstack` takes a stack apart."
        )
    return found


def passed_on(network: Any, how: str, low: float) -> Certificate:
    """The certificate of a network equal to the given one where inputs are at least `low`."""
    if isinstance(network, Construction):
        known = network.certificate
        return known._replace(source=f"{known.source}; {how}")
    inputs = network.widths[0]
    return Certificate(
        0.0, "the given network", ((low,) * inputs, (math.inf,) * inputs), exact=True, source=how
    )


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _entries(network: ReLUNetwork):
    """Rows, columns and values of the nonzero entries of every matrix and bias, in order."""
    for w, b in zip(network.weights, network.biases, strict=True):
        matrix = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
        yield scipy.sparse.find(matrix)
        bias = np.asarray(b)
        (rows,) = np.nonzero(bias)
        yield rows, np.zeros_like(rows), bias[rows]
