"""The fewest bits whose certificate meets an accuracy, and the certificate of given bits."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from ..networks import ReLUNetwork
from ..quantizers import AbstractQuantizer
from ._apriori import apriori_errors
from ._bit_grids import FEWEST, Grids, as_dense, check_bits, most_bits
from ._bit_search import Rounding, Search, by_layer, fewest_everywhere, lowered
from ._checks import as_number, as_positive, is_one_of
from ._curve import BitsCurve, bits_curve
from ._enclose import enclose
from ._enclosure import Enclosure
from ._outward import Number
from ._pair import as_box, as_layers, as_network, check_evaluation

_PER = ("network", "layer", "channel")


class Allocation(NamedTuple):
    r"""Bits for the parameters of a network, with the rounded network and its certificate.

    **Attributes:**

    - `network`: the network with every parameter on its grid.
    - `certificate`: the `Enclosure` of the largest change; `certificate.upper` is at most the
        accuracy that was asked for.
    - `bits`: per layer one number, or per layer one for each channel, of shape $(N_l,)$.
    - `total`: bits of all parameters together, zeros included, without the steps of the grids.
    - `goal`: the error that `uniform` and `apriori` are for: the accuracy that was asked for, or,
        from `certify_bits`, what the certificate proves.
    - `uniform`: the fewest bits per parameter that are certified if all parameters have the same.
    - `apriori`: the fewest bits per parameter for which `apriori_bound` meets the goal; None if no
        bits of the parameters' type do.
    - `curve`: certified, sampled and a-priori error against the bits per parameter, if asked for;
        what `search_seconds` left out is NaN.
    - `grids`: per layer the grids (quantizers) of the matrix and of the bias.
    - `finished`: whether the search for these bits came to its end; if not, `search_seconds` cut it
        short, and fewer bits may do. Bits that were given are not searched for: True.
    """

    network: ReLUNetwork
    certificate: Enclosure
    bits: tuple[Int[np.ndarray, " channels"], ...]
    total: int
    goal: float
    uniform: int
    apriori: int | None
    curve: BitsCurve | None
    grids: tuple[tuple[AbstractQuantizer, AbstractQuantizer], ...]
    finished: bool


def allocate_bits(
    network: Any,
    accuracy: Number,
    box: Any,
    *,
    per: Literal["network", "layer", "channel"] = "network",
    rounding: Callable[[ReLUNetwork, Grids], Any] | None = None,
    evaluation: Any = None,
    budget: int = 100_000,
    seconds: Number = 10.0,
    search_seconds: Number = math.inf,
    curve: bool = True,
    progress: Callable[[int, Enclosure], None] | None = None,
) -> Allocation:
    r"""The fewest bits for which a network provably changes by at most `accuracy` on a box.

    Each matrix and each bias (per channel: each row of a matrix) has the symmetric grid of its own
    largest parameter and of the bits of its layer or channel, as `AbsMax` chooses it. One number
    for all parameters is the smallest one that is certified by `enclose`. For layers and channels
    the bits are lowered one by one, those of many parameters first, while the certificate holds;
    the sum is then no larger than with one number, and locally smallest.

    **Arguments:**

    - `network`: a `ReLUNetwork` or `equinox.nn.MLP`.
    - `accuracy`: the largest change of an output that is allowed, positive.
    - `box`: the ends (lower, upper) of the inputs' box, numbers or arrays of shape $(N_0,)$.
    - `per`: what has bits of its own: "network", "layer" or "channel" (a neuron).
    - `rounding`: how the network is put on grids, `rounding(network, grids)`, the same every time;
        to nearest without it, and wherever that does better at random points of the box. For
        example `lambda net, grids: rounding.feedback(net, grids, points)`.
    - `evaluation`, `budget`, `seconds`: as in `enclose`, for each certificate. With one or two free
        inputs only the budget limits it: half of an exact certificate proves next to nothing.
    - `search_seconds`: most seconds for the search as a whole, once some bits are certified: no
        trial is begun that would end later. The bits are then what was found so far, and points of
        the curve that are missing are NaN.
    - `curve`: whether to certify every number of bits for the curve.
    - `progress`: called with the total of bits and the `Enclosure` after each certificate.

    **Returns:**

    An `Allocation`.

    **Raises:**

    - `ValueError`: for an accuracy that is not positive and finite, or one that no bits of the
        parameters' type reach; the message says which is the best.

    **Reference:** derived: every step is certified by `enclose`.
    """
    call = "allocate_bits"
    goal = as_number(f"{call}(accuracy=...)", accuracy)
    if not (math.isfinite(goal) and goal > 0):
        raise ValueError(
            f"`{call}(accuracy=...)` must be positive and finite; got {accuracy}. No rounding "
            "leaves every network as it is."
        )
    make, dense, box = _prepared(
        call, network, box, per, rounding, evaluation, budget, seconds, search_seconds, progress
    )
    most = most_bits(dense)
    search = make(goal, False)
    uniform = fewest_everywhere(search, most)
    found, bits = search, search.same(uniform)
    if per == "layer":
        bits = by_layer(search, uniform, most)
    elif per == "channel":
        found = make(goal, True)
        found.deadline = search.deadline
        bits = by_layer(found, fewest_everywhere(found, most), most)
        channels = [(k, i) for k, b in enumerate(bits) for i in range(len(b))]
        bits = lowered(found, bits, channels)
    return _allocation(found, search, bits, uniform, goal, box, curve)


def certify_bits(
    network: Any,
    bits: int,
    box: Any,
    *,
    per: Literal["network", "layer", "channel"] = "network",
    rounding: Callable[[ReLUNetwork, Grids], Any] | None = None,
    evaluation: Any = None,
    budget: int = 100_000,
    seconds: Number = 10.0,
    search_seconds: Number = math.inf,
    curve: bool = True,
    progress: Callable[[int, Enclosure], None] | None = None,
) -> Allocation:
    r"""How much a network changes on a box when all its parameters get the same number of bits.

    **Arguments:**

    - `network`, `box`: as in `allocate_bits`.
    - `bits`: bits per parameter, at least 2 and at most what the parameters' type holds.
    - `per`: "network" and "layer" give each array the grid of its largest parameter, "channel"
        gives one to each row of a matrix.
    - `rounding`, `evaluation`, `budget`, `seconds`, `search_seconds`, `curve`, `progress`: as in
        `allocate_bits`.

    **Returns:**

    An `Allocation`. Its `uniform` is `bits`, and its `apriori` the bits for which theory alone
    guarantees what the certificate proves.

    **Raises:**

    - `ValueError`: for bits out of range.
    - `TypeError`: for bits that are no whole number.

    **Reference:** derived: certified by `enclose`.
    """
    call = "certify_bits"
    make, dense, box = _prepared(
        call, network, box, per, rounding, evaluation, budget, seconds, search_seconds, progress
    )
    bits = check_bits(call, bits, dense)
    search = make(math.inf, per == "channel")
    everywhere = search.same(bits)
    proven = search.certificate(everywhere).upper
    found = _allocation(search, search, everywhere, bits, proven, box, curve)
    return found._replace(finished=True)


def _prepared(
    call: str,
    network: Any,
    box: Any,
    per: str,
    rounding: Rounding | None,
    evaluation: Any,
    budget: int,
    seconds: Number,
    search_seconds: Number,
    progress: Callable[[int, Enclosure], None] | None,
) -> tuple[Callable[[float, bool], Search], ReLUNetwork, tuple[np.ndarray, np.ndarray]]:
    """What makes a search for an accuracy; the network with NumPy matrices; the box."""
    net = as_network(f"{call}(network, ...)", network)
    layers = as_layers(f"{call}(network, ...)", net, "exact")
    lower, upper = as_box(call, box, layers.inputs)
    if not is_one_of(per, _PER):
        raise ValueError(f'`{call}(per=...)` must be "network", "layer" or "channel"; got {per!r}.')
    for name, value in (("seconds", seconds), ("search_seconds", search_seconds)):
        as_positive(f"{call}({name}=...)", value, infinite=True)
    as_positive(f"{call}(budget=...)", budget)
    for name, function in (("rounding", rounding), ("progress", progress)):
        if not (function is None or callable(function)):
            raise TypeError(f"`{call}({name}=...)` must be a function or None; got {function!r}.")
    check_evaluation(call, evaluation)
    dense = as_dense(net)

    def certify(other: ReLUNetwork, budget: int, seconds: float) -> Enclosure:
        return enclose(
            dense,
            other,
            (lower, upper),
            gap=0.05,
            budget=budget,
            seconds=seconds,
            evaluation=evaluation,
        )

    def make(accuracy: float, channels: bool) -> Search:
        return Search(
            dense,
            layers,
            (lower, upper),
            accuracy,
            certify,
            budget,
            float(seconds),
            float(search_seconds),
            rounding,
            progress,
            channels,
        )

    return make, dense, (lower, upper)


def _allocation(
    found: Search,
    search: Search,
    bits: list[np.ndarray],
    uniform: int,
    goal: float,
    box: tuple[np.ndarray, np.ndarray],
    curve: bool,
) -> Allocation:
    """The record; `search` has one grid per array, or those of `found`, for the curve."""
    certificate, network = found.certificate(bits), found.rounded(bits)
    finished = found.finished and search.finished
    most = most_bits(search.network)
    numbers = range(FEWEST, most + 1)
    errors = apriori_errors(search.network, box, numbers)
    enough = next((b for b, e in zip(numbers, errors, strict=True) if e <= goal), None)
    shown = range(FEWEST, min(most, max(uniform + 2, enough or 0)) + 1)

    def errors_of(b: int) -> tuple[float, float]:
        same = search.same(b)
        if search.over and not search.known(same):
            return math.nan, math.nan
        return search.certificate(same).upper, search.sampled(same)

    drawn = bits_curve(shown, errors_of, errors[: len(shown)]) if curve else None
    return Allocation(
        network,
        certificate,
        tuple(bits),
        found.total(bits),
        goal,
        uniform,
        enough,
        drawn,
        found.grids(bits),
        finished,
    )
