"""ReLU networks as pytrees: realization, counts, normal form, random draws, exact pieces."""

from ._network import ReLUNetwork as ReLUNetwork
from ._normalize import normalize as normalize
from ._pieces import Pieces as Pieces
from ._pieces import pieces as pieces
from ._random import he_normal as he_normal
from ._realize import realize as realize
