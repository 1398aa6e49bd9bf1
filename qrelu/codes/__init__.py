"""Approximants in files of few bits, and error against bits.

`shortest` finds the fewest bits of a family for a target and an accuracy, `curve` does so for
several accuracies, `encode` takes an approximant as it is. `Code.save` writes a file, `load` and
`decode` get the same function back, bit for bit. `lipschitz_path` reaches the entropy of its class.
"""

from ._code import Code as Code
from ._code import load as load
from ._codec import decode as decode
from ._codec import encode as encode
from ._figure import figure as figure
from ._path import lipschitz_path as lipschitz_path
from ._shortest import Curve as Curve
from ._shortest import Encoded as Encoded
from ._shortest import curve as curve
from ._shortest import shortest as shortest
