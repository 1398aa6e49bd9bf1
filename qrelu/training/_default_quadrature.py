"""What a target is trained on where the user names no quadrature."""

from ..norms import AbstractQuadrature, GaussLegendre, QuasiMonteCarlo
from ..targets import AbstractTarget

# Cells and Gauss nodes in each axis for 1, 2 and 3 variables; Sobol points for more.
_RULES = {1: (512, 4), 2: (48, 2), 3: (11, 2)}
_POINTS = 2**13


def rule_of(target: AbstractTarget) -> AbstractQuadrature:
    """A quadrature on the domain of a target of any number of variables."""
    d = target.dimension
    if d not in _RULES:
        return QuasiMonteCarlo(target.domain, _POINTS)
    cells, points = _RULES[d]
    return GaussLegendre(target.domain, [cells] * d, [points] * d)
