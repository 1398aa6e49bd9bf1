"""ReLU networks as pytrees: realize, counts, calculus, normal form, ensembles, draws, pieces."""

from ._affine import affine_after as affine_after
from ._affine import affine_before as affine_before
from ._affine import scale as scale
from ._compose import compose as compose
from ._ensemble import mask as mask
from ._ensemble import pad as pad
from ._ensemble import stack as stack
from ._ensemble import unstack as unstack
from ._exact_values import realize_exact as realize_exact
from ._identity import deepen as deepen
from ._identity import identity as identity
from ._mlp import from_mlp as from_mlp
from ._mlp import to_mlp as to_mlp
from ._network import ReLUNetwork as ReLUNetwork
from ._normalize import normalize as normalize
from ._parallel import add as add
from ._parallel import linear_combination as linear_combination
from ._parallel import parallel as parallel
from ._pieces import Pieces as Pieces
from ._pieces import pieces as pieces
from ._random import he_normal as he_normal
from ._realize import realize as realize
from ._sparse import SparseMatrix as SparseMatrix
from ._sparsify import densify as densify
from ._sparsify import sparsify as sparsify
