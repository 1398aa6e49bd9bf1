"""Functions to be approximated, on an interval or a box: built in, a user's own, or data.

Each comes with its domain, its difficult points, local bounds on its second derivative, the rate
that theory gives for a family in a norm, and the limit that an error is held against.
"""

from ._abstract import AbstractTarget as AbstractTarget
from ._besov_class import Besov as Besov
from ._builtin import Builtin as Builtin
from ._builtin import Facts as Facts
from ._data import Data as Data
from ._files import read_data as read_data
from ._function import Function as Function
from ._function import load as load
from ._limits import Limit as Limit
from ._multivariate import Multivariate as Multivariate
from ._rates import KnownRate as KnownRate
from ._registry import Description as Description
from ._registry import describe as describe
from ._registry import get as get
from ._registry import names as names
