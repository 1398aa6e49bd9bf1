"""Networks that a proof writes down, each with its certificate and its counts."""

from ._construction import Certificate as Certificate
from ._construction import Construction as Construction
from ._construction import Counts as Counts
from ._construction import alphabet as alphabet
from ._construction import count as count
from ._construction import topology as topology
