"""From sizes and errors to a rate: gamma with an interval, the model, the floor and a verdict."""

from ._fit import fit_rate as fit_rate
from ._record import RateFit as RateFit
from ._slope import slope as slope
