"""Rounding parameters together: the error of each rounded one is absorbed by those still free.

`feedback` rounds a whole network on given points; `nearest_plane` rounds one matrix against a Gram
matrix, and `descent` improves a rounded matrix one entry at a time. `explain` says which layers and
weights cause the error of a rounded network.
"""

from ._descent import descent as descent
from ._explain import explain as explain
from ._explanation import Explanation as Explanation
from ._feedback import feedback as feedback
from ._nearest_plane import nearest_plane as nearest_plane
