from . import bounds as bounds
from . import codes as codes
from . import constructions as constructions
from . import families as families
from . import io as io
from . import networks as networks
from . import norms as norms
from . import quantizers as quantizers
from . import rates as rates
from . import rounding as rounding
from . import studies as studies
from . import targets as targets
from . import training as training
from .networks import ReLUNetwork as ReLUNetwork
from .networks import realize as realize
from .quantizers import quantize as quantize
from .rates import fit_rate as fit_rate
from .rounding import explain as explain

__all__ = [
    "ReLUNetwork",
    "bounds",
    "codes",
    "constructions",
    "explain",
    "families",
    "fit_rate",
    "io",
    "networks",
    "norms",
    "quantize",
    "quantizers",
    "rates",
    "realize",
    "rounding",
    "studies",
    "targets",
    "training",
]
__version__: str
