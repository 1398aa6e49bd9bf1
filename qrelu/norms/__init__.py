"""Measured distances between an approximant and a target.

Networks, their linear pieces, and the formulas of other families. On an interval: integrals over
merged breakpoints and suprema by refinement, never values on a grid. On a box of several variables:
tensor products of Gauss cells, quasi-Monte-Carlo in many dimensions, suprema by search. In NumPy
float64 whatever JAX is set to, and every distance is a float that carries its own uncertainty.
"""

from ._abstract import AbstractNorm as AbstractNorm
from ._get import get as get
from ._lp import L1 as L1
from ._lp import L2 as L2
from ._measured import Local as Local
from ._measured import Measured as Measured
from ._rules import AbstractQuadrature as AbstractQuadrature
from ._rules import GaussLegendre as GaussLegendre
from ._rules import QuasiMonteCarlo as QuasiMonteCarlo
from ._sup import Sup as Sup
