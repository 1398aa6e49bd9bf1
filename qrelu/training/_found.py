"""What a search from random starts returns."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..networks import ReLUNetwork


class SearchResult(NamedTuple):
    r"""The best network that a search found, and all that it ended with.

    **Attributes:**

    - `network`: the best one, in NumPy float64.
    - `error`: its $L^2$ distance to the target, a `float` with its `uncertainty`: exact pieces in
        one variable, quadrature in several.
    - `networks`: what the search ended with: for `fit_shallow` one for each start, in order; for
        `fit_deep` the pool, the best first.
    - `errors`: their $L^2$ distances.
    - `history`: the least error after every round; of `fit_deep` that of the pool of the round, at
        the points that it fits: it rises where another pool or a wider network begins.
    - `stopped`: why it ended: "all rounds" or "out of time".
    - `seconds`: how long it took, compilation included.
    - `settings`: versions, device and options.
    """

    network: ReLUNetwork
    error: Any
    networks: tuple[ReLUNetwork, ...]
    errors: Float[np.ndarray, " networks"]
    history: Float[np.ndarray, " rounds"]
    stopped: str
    seconds: float
    settings: dict[str, Any]

    def __str__(self) -> str:
        return (
            f"{self.stopped} ({len(self.history)}) in {self.seconds:.1f} s\n"
            f"  widths {self.network.widths}, connectivity {self.network.connectivity}\n"
            f"  L2 error {float(self.error):.6g}, uncertain by {self.error.uncertainty:.1g}"
        )
