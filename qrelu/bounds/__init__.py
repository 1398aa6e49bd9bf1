"""Proven numbers: Lipschitz constants of parameters to function, steps and bits.

What is returned here always holds, in floating point too: constants are rounded upwards and steps
downwards. Measured distances live in `norms`.
"""

from ._enclose import enclose as enclose
from ._enclosure import Enclosure as Enclosure
from ._lipschitz import coarse_lipschitz as coarse_lipschitz
from ._lipschitz import parameter_lipschitz as parameter_lipschitz
from ._steps import bits_per_weight as bits_per_weight
from ._steps import rate_step as rate_step
