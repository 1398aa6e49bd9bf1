"""The distance that is a supremum."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from .._misc import plain
from ._abstract import AbstractNorm, check_settings
from ._difference import EPS, difference
from ._knots import interpolates, suprema
from ._measured import Local, Measured
from ._search import Found, search


class Sup(AbstractNorm):
    r"""The sup distance: the largest |approximant - target| on the target's domain.

    Branch and bound with the target's bound on its second derivative; the bound is refined until it
    is within a relative `accuracy` of a value that is reached. The value itself, polished where it
    is reached, is usually much closer than that. `points` bounds the values of the target spent on
    refinement. A target without such a bound has its curvature estimated from second differences,
    and the result says so in `assumption`: then what is narrower than 1/1000 of the domain and not
    among the target's `breakpoints` may be missed.
    """

    accuracy: float = eqx.field(converter=plain, default=1e-6)
    points: int = eqx.field(converter=plain, default=2**17)
    p: ClassVar[float] = float("inf")
    name: ClassVar[str] = "Sup"

    def __check_init__(self):
        check_settings(self)

    def _between(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Measured:
        found = _found(self, breakpoints, values, target, grouped=False)
        value, place = float(found.values[0]), float(found.locations[0])
        return Measured(value, float(_uncertainty(found)[0]), place, found.assumption)

    def _piecewise(self, breakpoints: np.ndarray, values: np.ndarray, target: Any) -> Local:
        found = _found(self, breakpoints, values, target, grouped=True)
        return Local(found.values, _uncertainty(found), found.locations)


def _found(norm: Sup, t: np.ndarray, p: np.ndarray, target: Any, *, grouped: bool) -> Found:
    if interpolates(target) and p.ndim == 1:
        return Found(*suprema(t, p, target, grouped), "")
    return search(difference(t, p, target), norm.accuracy, norm.points, grouped)


def _uncertainty(found: Found) -> np.ndarray:
    return np.maximum(found.ceilings - found.values, 2 * EPS * found.values)
