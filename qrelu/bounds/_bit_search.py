"""The search for few bits: what was tried, and lowering bits while the certificate holds."""

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from .._misc import shown
from ..networks import ReLUNetwork
from ._bit_grids import FEWEST, Grids, check_on_grids, grids_of, to_nearest
from ._enclosure import Enclosure
from ._pair import Layers, as_layers
from ._search import BATCH

_SAMPLES = 4096
# A certificate with this many boxes often decides already; it is tried before the full one.
_QUICK = 4 * BATCH
# When the time for the search is over, certificates still get this share of their own time: the
# bits that were found must end in one.
_LEAST = 0.05

Certify = Callable[[ReLUNetwork, int, float], Enclosure]
Rounding = Callable[[ReLUNetwork, Grids], Any]


class Search:
    """Remembers which bits were certified, and how much time is left."""

    def __init__(
        self,
        network: ReLUNetwork,
        layers: Layers,
        box: tuple[Float[np.ndarray, " inputs"], Float[np.ndarray, " inputs"]],
        accuracy: float,
        certify: Certify,
        budget: int,
        seconds: float,
        search_seconds: float,
        rounding: Rounding | None,
        progress: Callable[[int, Enclosure], None] | None,
        channels: bool,
    ):
        self.network = network
        self.points = _points(*box)
        self.values = layers(self.points)
        self.accuracy = accuracy
        self.certify = certify
        self.budget, self.seconds = budget, seconds
        self.deadline = time.perf_counter() + search_seconds
        self.rounding, self.progress = rounding, progress
        self.channels = channels
        self.finished = True
        self.certificates: dict[Any, Enclosure] = {}
        self.quick: dict[Any, Enclosure] = {}
        # With one or two free inputs a certificate is exact at once.
        self.splits = int((box[1] > box[0]).sum()) > 2
        # The longest rounding and the longest exact certificate so far: what is not interrupted.
        self.longest = {"rounding": 0.0, "certificate": 0.0}
        self.digests: dict[Any, bytes] = {}
        self.last: tuple[Any, ReLUNetwork] | None = None
        self.samples: dict[Any, float] = {}
        # The parameters that a channel's bits are spent on: its row and its bias.
        self.counts = [w.shape[1] + 1 for w in network.weights]

    def same(self, bits: int) -> list[np.ndarray]:
        """The same bits everywhere."""
        return [np.full(n, bits) for n in self.network.widths[1:]]

    def total(self, bits: Sequence[np.ndarray]) -> int:
        """Bits of all parameters together."""
        return sum(int(b.sum()) * n for b, n in zip(bits, self.counts, strict=True))

    def grids(self, bits: Sequence[np.ndarray]) -> Grids:
        """The grids of these bits."""
        return grids_of(self.network, bits, self.channels)

    def rounded(self, bits: Sequence[np.ndarray]) -> ReLUNetwork:
        """The network on the grids of these bits, rounded in the better of the ways."""
        key = _key(bits)
        if self.last is not None and self.last[0] == key:
            return self.last[1]
        grids = self.grids(bits)
        network = to_nearest(self.network, grids)
        if self.rounding is not None:
            call = "allocate_bits(rounding=...)"
            with self._timed("rounding"):
                other = self.rounding(self.network, grids)
            other = check_on_grids(call, other, self.network, grids)
            network = min(other, network, key=self._difference)
            self._check_same(key, network)
        self.last = (key, network)
        return network

    # The network that is returned must be the one that was certified; they are not kept all.
    def _check_same(self, key: Any, network: ReLUNetwork) -> None:
        digest = hashlib.sha256()
        for array in (*network.weights, *network.biases):
            digest.update(np.asarray(array).tobytes())
        if self.digests.setdefault(key, digest.digest()) != digest.digest():
            raise ValueError(
                "`allocate_bits(rounding=...)` must round alike every time; got two networks for "
                "the same grids. Fix its key or its seed."
            )

    def sampled(self, bits: Sequence[np.ndarray]) -> float:
        """The largest difference at the points."""
        key = _key(bits)
        if key not in self.samples:
            self.samples[key] = self._difference(self.rounded(bits))
        return self.samples[key]

    def passes_to_nearest(self, bits: Sequence[np.ndarray]) -> bool:
        """Whether rounding to nearest, which takes no time, keeps the accuracy at the points."""
        return self._difference(to_nearest(self.network, self.grids(bits))) <= self.accuracy

    def _difference(self, network: ReLUNetwork) -> float:
        other = as_layers("allocate_bits", network, "exact")
        return float(np.abs(other(self.points) - self.values).max())

    def certificate(self, bits: Sequence[np.ndarray]) -> Enclosure:
        """The best certificate of these bits that the budget allows."""
        key = _key(bits)
        if key not in self.certificates:
            quick = self.quick.get(key)
            found = quick if quick and self.over else self._enclosed(bits, self.budget)
            self.certificates[key] = quick if quick and quick.upper < found.upper else found
        return self.certificates[key]

    def known(self, bits: Sequence[np.ndarray]) -> bool:
        """Whether there is a certificate of these bits already."""
        return _key(bits) in self.certificates or _key(bits) in self.quick

    def holds(self, bits: Sequence[np.ndarray]) -> bool:
        """Whether the accuracy is certified."""
        # Points cannot prove, but they can refute, and cost little.
        if self.sampled(bits) > self.accuracy:
            return False
        key = _key(bits)
        if self.splits and key not in self.certificates and self.budget > _QUICK:
            quick = self.quick[key] = self.quick.get(key) or self._enclosed(bits, _QUICK)
            if not quick.lower <= self.accuracy < quick.upper:
                return quick.upper <= self.accuracy
        return self.certificate(bits).upper <= self.accuracy

    @property
    def over(self) -> bool:
        """Whether there is no time for another trial: none is begun that would end too late."""
        return time.perf_counter() + sum(self.longest.values()) > self.deadline

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.longest[what] = max(self.longest[what], time.perf_counter() - begin)

    # Half of an exact certificate proves next to nothing, so it is not interrupted.
    def _enclosed(self, bits: Sequence[np.ndarray], budget: int) -> Enclosure:
        network = self.rounded(bits)
        if not self.splits:
            with self._timed("certificate"):
                found = self.certify(network, budget, math.inf)
        else:
            left = self.deadline - time.perf_counter()
            seconds = min(self.seconds, max(left, _LEAST * self.seconds))
            found = self.certify(network, budget, seconds)
            if seconds < self.seconds and not found.complete:
                self.finished = False
        if self.progress is not None:
            self.progress(self.total(bits), found)
        return found


# Rounding to nearest takes no time, so bits are tried from the fewest on. Another rounding may take
# much: the first trial is then where to nearest would do, so that there soon is an answer, and
# fewer bits are tried while there is time.
def fewest_everywhere(search: Search, most: int) -> int:
    """The smallest number of bits that is certified when all parameters have the same."""
    numbers = range(FEWEST, most + 1)
    if search.rounding is None:
        found = next((b for b in numbers if search.holds(search.same(b))), None)
    else:
        first = next((b for b in numbers if search.passes_to_nearest(search.same(b))), FEWEST)
        found = next((b for b in numbers[first - FEWEST :] if search.holds(search.same(b))), None)
        for b in range(first - 1, FEWEST - 1, -1):
            if found is not None and search.over:
                search.finished = False
                break
            if search.holds(search.same(b)):
                found = b
    if found is None:
        raise _out_of_reach(search, most)
    return found


def _out_of_reach(search: Search, most: int) -> ValueError:
    """Which error is the best, and what would help."""
    bits, best = most, search.certificate(search.same(most))
    for b in range(most - 1, FEWEST - 1, -1):
        if search.sampled(search.same(b)) < best.upper and not search.over:
            other = search.certificate(search.same(b))
            bits, best = (b, other) if other.upper < best.upper else (bits, best)
    cures = ["Ask for that much" if math.isfinite(best.upper) else "Take a smaller box"]
    if set(best.evaluation) != {"exact"}:
        cures.append('pass `evaluation="exact"` to leave out rounding errors of evaluations')
    if most < np.finfo(np.float64).nmant + 1:
        cures.append("use float64 parameters")
    words = ", ".join(cures[:-1]) + (", or " if cures[1:] else "") + cures[-1]
    hurry = search.finished and best.complete
    return ValueError(
        f"`allocate_bits(accuracy={search.accuracy:.6g})` is out of reach: the best certified "
        f"error, with {bits} bits of the {most} that the parameters' type holds, is "
        f"{shown(best.upper, 6, above=True)}. {words}."
        + ("" if hurry else " The time or the budget ran out: allow more.")
    )


def by_layer(search: Search, uniform: int, most: int) -> list[np.ndarray]:
    """Lowered layer by layer from equal bits, and from up to two more, the least total."""
    groups = [(k, slice(None)) for k in range(len(search.counts))]
    found = [search.same(uniform)]
    for b in range(uniform, min(uniform + 2, most) + 1):
        bits = search.same(b)
        if search.over:
            search.finished = False
            break
        if search.holds(bits):  # more bits may do worse by chance
            found.append(lowered(search, bits, groups))
    return min(found, key=search.total)


def lowered(
    search: Search, bits: list[np.ndarray], groups: list[tuple[int, Any]]
) -> list[np.ndarray]:
    """Each group as far down as the certificate holds, by bisection, until none can be lowered."""
    order = sorted(groups, key=lambda g: -search.counts[g[0]] * np.size(bits[g[0]][g[1]]))
    changed = True
    while changed:
        changed = False
        for layer, part in order:
            above, below = int(np.max(bits[layer][part])), FEWEST - 1
            # The first trial is one bit less: most groups stay where they are.
            trial = above - 1
            while above - below > 1:
                if search.over:
                    search.finished = False
                    return bits
                fewer = [b.copy() for b in bits]
                fewer[layer][part] = trial
                if search.holds(fewer):
                    bits, above, changed = fewer, trial, True
                else:
                    below = trial
                trial = (above + below) // 2
    return bits


def _points(
    lower: Float[np.ndarray, " inputs"], upper: Float[np.ndarray, " inputs"]
) -> Float[np.ndarray, "points inputs"]:
    rng = np.random.default_rng(0)
    inside = rng.uniform(size=(_SAMPLES, len(lower)))
    corners = rng.integers(0, 2, (64, len(lower)))
    return lower + (upper - lower) * np.concatenate([inside, corners])


def _key(bits: Sequence[np.ndarray]) -> tuple:
    return tuple(tuple(b.tolist()) for b in bits)
