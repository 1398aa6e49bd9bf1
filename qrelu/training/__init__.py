"""Fitting networks: by gradients, in float or through a quantizer, and greedily.

- `fit` and `fit_ensemble` train networks and Equinox models with any optax optimizer.
- `fit_least_squares` and `fit_least_squares_ensemble` use all first derivatives at once.
- `fit_shallow` finds the best networks of one hidden layer from random knots, and `fit_deep`
  searches for deep ones that are better.
- `alternate` rounds small trained networks best: by turns of rounding and least squares, code by
  code. `freeze_gradually` rounds any trained model in parts, training what is still free.
- `orthogonal_greedy` builds networks of one hidden layer neuron by neuron.
- `Trained` makes a family for studies of any of these ways to train.
"""

from ._alternating import alternate as alternate
from ._deep import fit_deep as fit_deep
from ._dictionary import AbstractDictionary as AbstractDictionary
from ._dictionary import RandomReLUDictionary as RandomReLUDictionary
from ._dictionary import ReLUDictionary as ReLUDictionary
from ._fit import fit as fit
from ._fit import fit_ensemble as fit_ensemble
from ._found import SearchResult as SearchResult
from ._freezing import freeze_gradually as freeze_gradually
from ._greedy import GreedyResult as GreedyResult
from ._greedy import orthogonal_greedy as orthogonal_greedy
from ._marquardt import Marquardt as Marquardt
from ._record import FitResult as FitResult
from ._second_order import fit_least_squares as fit_least_squares
from ._second_order import fit_least_squares_ensemble as fit_least_squares_ensemble
from ._shallow import fit_shallow as fit_shallow
from ._trained import Trained as Trained
from ._trained_widths import AbstractWidths as AbstractWidths
from ._trained_widths import EqualWidths as EqualWidths
