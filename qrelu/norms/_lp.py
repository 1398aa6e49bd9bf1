"""The distances that are integrals."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from .._misc import plain
from ._abstract import AbstractNorm, check_settings
from ._difference import difference
from ._knots import integrals, interpolates
from ._measured import Local, Measured
from ._quadrature import Integrals, integrate
from ._units import LEAST, from_units, scaled


class L1(AbstractNorm):
    r"""The L^1 distance: the integral of |approximant - target| over the target's domain.

    Not divided by the length of the domain. `accuracy` is the relative accuracy asked for;
    `points` bounds the values of the target spent on refinement (and 60 for every piece).

    A target that declares no bound on its second derivative is looked at in about 2,000 places at
    least, no two neighbors further apart than 1/1200 of the domain: a jump, a pulse or a bump that
    is 1/1000 of it wide is found wherever it lies. What is narrower and lies between two of these
    places is not found, and the uncertainty does not cover it: name its ends in the `breakpoints`
    of the target, or declare a bound on its `curvature`.
    """

    accuracy: float = eqx.field(converter=plain, default=1e-12)
    points: int = eqx.field(converter=plain, default=2**17)
    p: ClassVar[float] = 1.0
    name: ClassVar[str] = "L1"

    def __check_init__(self):
        check_settings(self)

    def _between(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Measured:
        return _norm(self, _integrals(self, breakpoints, values, target), target)

    def _piecewise(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Local:
        parts = _integrals(self, breakpoints, values, target)
        return _local(self, parts, parts.errors + parts.noise)


class L2(AbstractNorm):
    r"""The L^2 distance: (integral of |approximant - target|^2)^(1/2) over the target's domain.

    Not divided by the length of the domain. `accuracy` is the relative accuracy asked for;
    `points` bounds the values of the target spent on refinement (and 60 for every piece).

    A target that declares no bound on its second derivative is looked at in about 2,000 places at
    least, no two neighbors further apart than 1/1200 of the domain: a jump, a pulse or a bump that
    is 1/1000 of it wide is found wherever it lies. What is narrower and lies between two of these
    places is not found, and the uncertainty does not cover it: name its ends in the `breakpoints`
    of the target, or declare a bound on its `curvature`.
    """

    accuracy: float = eqx.field(converter=plain, default=1e-12)
    points: int = eqx.field(converter=plain, default=2**17)
    p: ClassVar[float] = 2.0
    name: ClassVar[str] = "L2"

    def __check_init__(self):
        check_settings(self)

    def _between(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Measured:
        return _norm(self, _integrals(self, breakpoints, values, target), target)

    def _piecewise(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Local:
        parts = _integrals(self, breakpoints, values, target)
        # Of the integral of (d + eta)^2: 2 ||d|| ||eta|| + ||eta||^2.
        noise = 2 * np.sqrt(parts.values * parts.noise) + parts.noise
        return _local(self, parts, parts.errors + noise)


def _integrals(norm: L1 | L2, t: np.ndarray, p: np.ndarray, target: Any) -> Integrals:
    if interpolates(target) and p.ndim == 1:
        return integrals(t, p, target, int(norm.p))
    return integrate(difference(t, p, target), int(norm.p), norm.accuracy, norm.points)


# With I the sum of the pieces, |I - true| <= e and noise eta: the norm is I^(1/p) up to the larger
# one-sided change of the root, and by the triangle inequality up to (integral of eta^p)^(1/p).
def _norm(norm: L1 | L2, parts: Integrals, target: Any) -> Measured:
    total, error, noise = (float(np.sum(part)) for part in parts[:3])
    root = 1 / norm.p
    value = total**root
    gap = max(value - max(total - error, 0.0) ** root, (total + error) ** root - value)
    assumption = "" if interpolates(target) else "smooth between breakpoints"
    call = f"{norm.name}().distance"
    value = from_units(call, value, parts.exponent)
    gap = _uncertainty(gap + noise**root, parts.exponent)
    return Measured(float(value), float(gap), assumption=assumption)


def _local(norm: L1 | L2, parts: Integrals, uncertainty: np.ndarray) -> Local:
    call, e = f"{norm.name}().piecewise", int(norm.p) * parts.exponent
    values = from_units(call, parts.values, e)
    return Local(values, _uncertainty(uncertainty, e), np.full_like(values, np.nan))


def _uncertainty(uncertainty: Any, e: int) -> Any:
    return scaled(uncertainty, e) + (LEAST if e else 0.0)
