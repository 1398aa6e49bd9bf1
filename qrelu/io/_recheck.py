"""What a certificate says beside its bound, computed anew from the original network."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..bounds import BitsCurve, Enclosure, apriori_bound, certify_bits
from ..networks import ReLUNetwork
from ._certificate import FileCertificate

# Another machine may add floats in another order.
_DIGITS = 1e-9
# Boxes of one certificate: few often decide already, and at least twice as many as
# `allocate_bits` takes by itself.
_QUICK, _BUDGET = 8192, 200_000


class Recheck(NamedTuple):
    """Entries that were proven anew, those that rest on the checksum, and what is wrong."""

    proven: list[str]
    trusted: list[str]
    problem: str


class _Case(NamedTuple):
    """A certificate, its network, the enclosure computed anew, and what is known of entries."""

    certificate: FileCertificate
    net: ReLUNetwork
    again: Enclosure
    curve: bool | None
    proven: list[str]
    trusted: list[str]


def recheck(
    certificate: FileCertificate, net: ReLUNetwork, again: Enclosure, curve: bool | None
) -> Recheck:
    """The a-priori errors, the knee, the uniform bits, and the certified errors if asked for."""
    case = _Case(certificate, net, again, curve, [], [])
    for check in (_apriori, _uniform, _curve):
        try:
            problem = check(case)
        except (KeyError, TypeError, ValueError) as error:
            problem = f"an entry has no such value as it should have ({error})"
        if problem:
            return Recheck(case.proven, case.trusted, problem)
    case.trusted.extend(["rounding", "per", "finished", "made_with"])
    return Recheck(case.proven, case.trusted, "")


def _apriori(case: _Case) -> str:
    certificate, net = case.certificate, case.net
    box, goal = certificate.enclosure.box, certificate.goal
    most = min(int(jnp.finfo(p.dtype).nmant) + 1 for p in (*net.weights, *net.biases))
    bits = certificate.bits["apriori"]

    def bound(b: int) -> float:
        return apriori_bound(net, b, box)

    if bits is None:
        right = bound(most) >= goal * (1 - _DIGITS)
    else:
        right = bound(bits) <= goal * (1 + _DIGITS)
        right &= bits == 2 or bound(bits - 1) >= goal * (1 - _DIGITS)
    if not right:
        return f"theory alone does not ask for {bits} bits for an error of {goal:.9g}"
    case.proven.append("bits.apriori")
    if certificate.curve is not None:
        record = certificate.curve
        for b, claimed in zip(record["bits"], record["apriori"], strict=True):
            value = bound(b)
            claimed = math.inf if claimed is None else claimed
            if not (claimed == value or math.isclose(claimed, value, rel_tol=_DIGITS)):
                return f"theory alone gives {value:.9g} for {b} bits, not {claimed:.9g}"
        case.proven.append("curve.apriori")
    return ""


# Rounding of another kind than to nearest cannot be done again from the files alone; where to
# nearest does as well the claim is proven all the same.
def _uniform(case: _Case) -> str:
    certificate, again = case.certificate, case.again
    bits, goal = certificate.bits["uniform"], certificate.goal
    arrays = [layer[name]["bits"] for layer in certificate.layers for name in ("weight", "bias")]
    itself = all(set(np.ravel(b).tolist()) == {bits} for b in arrays)
    if (itself and again.upper <= goal * (1 + _DIGITS)) or _holds(
        certificate, case.net, bits, goal
    ):
        case.proven.append("bits.uniform")
    elif certificate.rounding == "nearest":
        return f"{bits} bits for all parameters do not keep the error {goal:.9g}"
    else:
        case.trusted.append("bits.uniform")
    return ""


def _curve(case: _Case) -> str:
    certificate = case.certificate
    record = certificate.curve
    if record is None:
        return ""
    numbers = record["bits"]
    certified, sampled, apriori = (
        np.array([math.nan if e is None else e for e in record[name]], np.float64)
        for name in ("certified", "sampled", "apriori")
    )
    knee = BitsCurve(np.array(numbers), certified, sampled, apriori).knee
    if knee != record["knee"]:
        return f"the knee of its curve is {knee}, not {record['knee']}"
    case.proven.append("curve.knee")
    if (sampled > certified * (1 + _DIGITS)).any():
        return "a sampled error of its curve exceeds the certified one"
    case.trusted.append("curve.sampled")
    free = int((certificate.enclosure.box[1] > certificate.enclosure.box[0]).sum())
    if case.curve is False or (case.curve is None and free > 2):
        case.trusted.append("curve.certified")
        return ""
    open_bits = []
    for b, claimed in zip(numbers, certified.tolist(), strict=True):
        if math.isnan(claimed) or _holds(certificate, case.net, b, claimed):
            continue
        if certificate.rounding == "nearest":
            return f"the error of its curve for {b} bits, {claimed:.9g}, is too small"
        open_bits.append(b)
    if len(open_bits) < len(numbers):
        case.proven.append("curve.certified")
    if open_bits:
        case.trusted.append(f"curve.certified for {', '.join(map(str, open_bits))} bits")
    return ""


def _holds(certificate: FileCertificate, net: ReLUNetwork, bits: Any, claimed: float) -> bool:
    """Whether so many bits everywhere, rounded to nearest, keep the error."""
    claim = certificate.enclosure
    most = max(_BUDGET, 4 * claim.boxes)
    budgets = (_QUICK, most, 8 * most) if claim.method == "branch and bound" else (most,)
    pers: list[Any] = ["network", "channel"] if certificate.per == "channel" else ["network"]
    for per in pers:
        for budget in budgets:
            again = certify_bits(
                net,
                bits,
                claim.box,
                per=per,
                evaluation=claim.evaluation[0],
                budget=budget,
                seconds=math.inf,
                curve=False,
            ).certificate
            if again.upper <= claimed + slack(claimed, again):
                return True
            if again.lower > claimed or again.complete:
                break
    return False


# Another machine may add floats in another order. What that changes is far below what the bounds
# leave for rounding errors in float64; in the other types those are of another size. It is read
# off the bounds computed anew: those of the certificate are what is to be checked.
def slack(claimed: float, again: Enclosure) -> float:
    """By how much a bound that is computed anew may exceed the claim."""
    width = again.upper - again.lower if math.isfinite(again.upper) else 0.0
    double = set(again.evaluation) <= {"exact", "float64"} and again.method != "branch and bound"
    return _DIGITS * claimed + (width if double else 1e-6 * width)
