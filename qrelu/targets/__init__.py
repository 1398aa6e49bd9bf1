"""Functions to be approximated, on an interval or a box: built in, a user's own, or data.

Each comes with its domain, its difficult points, local bounds on its second derivative, the rate
that theory gives for a family in a norm, and the limit that an error is held against.

Classes of functions (`Lipschitz`, `Hoelder`, `Sobolev`, `Besov`, `BoundedVariation`,
`PiecewiseSmooth`) say whether a function belongs to them and draw functions that are hard.
"""

from ._abstract import AbstractTarget as AbstractTarget
from ._besov_class import Besov as Besov
from ._builtin import Builtin as Builtin
from ._builtin import Facts as Facts
from ._cartoon import cartoon as cartoon
from ._class_names import class_names as class_names
from ._class_names import get_class as get_class
from ._data import Data as Data
from ._files import read_data as read_data
from ._function import Function as Function
from ._function import load as load
from ._function_class import AbstractFunctionClass as AbstractFunctionClass
from ._function_class import Membership as Membership
from ._hoelder_class import Hoelder as Hoelder
from ._hoelder_class import Lipschitz as Lipschitz
from ._jump_classes import BoundedVariation as BoundedVariation
from ._jump_classes import Cartoon as Cartoon
from ._jump_classes import PiecewiseSmooth as PiecewiseSmooth
from ._limits import Limit as Limit
from ._multivariate import Multivariate as Multivariate
from ._piecewise_polynomial import PiecewisePolynomial as PiecewisePolynomial
from ._rates import KnownRate as KnownRate
from ._registry import Description as Description
from ._registry import describe as describe
from ._registry import get as get
from ._registry import names as names
from ._sobolev_class import Sobolev as Sobolev
