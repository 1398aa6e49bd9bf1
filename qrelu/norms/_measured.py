"""What a measurement returns: a number that knows how far it can be trusted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Measured(float):
    """A measured distance: a float with its uncertainty.

    `uncertainty` is absolute: the distance lies within it of the value. It covers the quadrature or
    the search and the rounding of float64 in the two functions, under what `assumption` says.
    `location` is where the supremum is reached (None for the integral norms), a tuple of
    coordinates in several variables.

    `assumption` is "" for closed forms, "smooth between breakpoints" for quadrature,
    "declared curvature" where the target's own bound on its second derivative was used and
    "estimated curvature" where second differences took its place. On a box it is "cells of two
    sizes", "independent scramblings" (the uncertainty is then half a 99 % interval) or "found by
    search" for a supremum, which may be missed.
    """

    uncertainty: float
    location: float | tuple[float, ...] | None
    assumption: str

    def __new__(
        cls,
        value: float,
        uncertainty: float = 0.0,
        location: float | tuple[float, ...] | None = None,
        assumption: str = "",
    ) -> "Measured":
        self = super().__new__(cls, value)
        self.uncertainty = float(uncertainty)
        if isinstance(location, tuple):
            self.location = tuple(map(float, location))
        else:
            self.location = None if location is None else float(location)
        self.assumption = assumption
        return self

    def __getnewargs__(self):
        return (float(self), self.uncertainty, self.location, self.assumption)

    def __repr__(self) -> str:
        place = ""
        if isinstance(self.location, tuple):
            place = f" at x = ({', '.join(f'{x:.6g}' for x in self.location)})"
        elif self.location is not None:
            place = f" at x = {self.location:.6g}"
        return f"{float(self):.6g} +- {self.uncertainty:.2g}{place}"

    __str__ = float.__repr__


class Local(NamedTuple):
    """The error on every linear piece of an approximant.

    `errors` (K,): the integral of |difference|^p over the piece, or its supremum there.
    `uncertainty` (K,): absolute, of each error. `locations` (K,): where each supremum is reached
    (NaN for the integral norms).
    """

    errors: Float[np.ndarray, " pieces"]
    uncertainty: Float[np.ndarray, " pieces"]
    locations: Float[np.ndarray, " pieces"]
