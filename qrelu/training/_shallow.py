"""One hidden layer from random starts to the best error that is known."""

import time
from typing import Any

import equinox as eqx
import numpy as np

from ..families._equidistribution import density_power, spread
from ..families._fitted import Fitted
from ..families._knot_moves import move_many_knots, move_single_knots
from ..families._least_squares import least_squares
from ..families._newton import newton
from ..families._quadrature import Quadrature, quadrature
from ..families._spline import Spline, network_from_spline, parted
from ..norms import L2
from ._both_sides import with_one_more_piece
from ._checks import check_target, check_whole, generator
from ._found import SearchResult
from ._record import settings_of

# Equidistribution leads all starts to the same few pieces, where others may be far better: with no
# more pieces than this three of four starts keep their random knots.
_FEW_PIECES = 12
# More knots are moved a share at a time: single moves would take the square of their number.
_FEW = 64


def fit_shallow(
    target: Any, neurons: int, *, key: Any, starts: int = 8, rounds: int = 12
) -> SearchResult:
    r"""The best network of one hidden layer in L^2, from random knots.

    ```python
    result = training.fit_shallow(targets.get("exp"), 32, key=jax.random.key(0))
    result.error, result.errors        # the best start, and all of them
    ```

    Gradient methods end far above what the network can do: they hardly move knots. Here the knots
    are moved by what is known about the best ones. Every start goes through

    1. `rounds` of equidistribution: the best values on the knots, then new knots that share
       $\int r^2$ of the current residual r equally; with up to 12 neurons three of four starts do
       without;
    2. Newton's method on knots and values together, a banded system;
    3. knots removed where that costs least and inserted where the residual is largest, as long as
       that helps;
    4. the same with one piece more, under the condition that neurons which look to both sides
       bring (`qrelu/training/_both_sides.py`), and the better of the two.

    **Arguments:**

    - `target`: what is approximated, on its domain.
    - `neurons`: of the hidden layer; as many linear pieces, or one more.
    - `key`: of the random knots, uniform on the domain.
    - `starts`: how many random starts.
    - `rounds`: of equidistribution.

    **Returns:**

    A `SearchResult`; `history` has the best error of all starts after every round of
    equidistribution, after Newton's method and at the end.

    **Raises:**

    - `TypeError`: for what is no target.
    - `ValueError`: for numbers that are not positive, and targets that are not finite or have
        several variables.

    **Reference:** [deboor1973] for equidistribution; the Newton system is derived in
    `qrelu/families/_newton.py`.
    """
    begun = time.perf_counter()
    check_target("fit_shallow", target)
    if target.dimension != 1:
        raise ValueError(
            f"`fit_shallow(target, neurons)` must get a target of one variable; {target.name} has "
            f"{target.dimension}. `fit_deep(target, ({target.dimension}, neurons, 1))` and "
            "`orthogonal_greedy` take several."
        )
    check_whole("fit_shallow", "neurons", neurons)
    check_whole("fit_shallow", "starts", starts)
    check_whole("fit_shallow", "rounds", rounds, 0)
    grid = quadrature(target)
    unit, grid = grid.unit, grid.in_units()
    rng = generator("fit_shallow", key)
    splines, history = _splines(grid, rng, starts, neurons, rounds)
    wider, _ = _splines(grid, rng, starts, neurons + 1, rounds)
    networks = tuple(_networks(grid, splines, wider))
    networks = tuple(eqx.tree_at(_outer, n, replace_fn=lambda p: unit * p) for n in networks)
    norm = L2()
    distances = [norm.distance(network, target) for network in networks]
    errors = np.array([float(distance) for distance in distances])
    best = int(np.argmin(errors))
    return SearchResult(
        networks[best],
        distances[best],
        networks,
        errors,
        np.append(unit * np.sqrt(history), errors[best]),
        "all rounds",
        time.perf_counter() - begun,
        settings_of("float64", neurons=neurons, starts=starts, rounds=rounds),
    )


def _splines(grid: Quadrature, rng, starts: int, pieces: int, rounds: int):
    """A spline of so many pieces for each start, and the least error after every step."""
    knots = np.sort(rng.uniform(grid.lower, grid.upper, (starts, pieces + 1)), axis=1)
    knots[:, 0], knots[:, -1] = grid.lower, grid.upper
    knots = np.stack([parted(row) for row in knots])
    fitted = least_squares(grid, knots)
    history = [np.min(fitted.error)]
    for _ in range(rounds):
        fitted = least_squares(grid, _equidistributed(fitted))
        history.append(np.min(fitted.error))
    random = (np.arange(starts) % 4 > 0) & (pieces <= _FEW_PIECES)
    fitted = newton(least_squares, grid, np.where(random[:, None], knots, fitted.knots))
    history.append(np.min(fitted.error))
    move = move_single_knots if pieces <= _FEW else move_many_knots
    rows = [fitted.rows(np.array([row])) for row in range(starts)]
    return [move(least_squares, grid, row) for row in rows], history


def _networks(grid: Quadrature, splines: list[Fitted], wider: list[Fitted]):
    """For each start the better of its spline and of the network with one more piece."""
    known: dict[str, tuple] = {}
    for spline, one_more in zip(splines, wider, strict=True):
        # Most starts end at the same splines.
        both = f"{spline.error[0]:.6e} {one_more.error[0]:.6e}"
        if both not in known:
            known[both] = with_one_more_piece(grid, one_more, spline.error[0])
        network, _ = known[both]
        if network is None:
            network = network_from_spline(Spline(spline.knots[0], spline.values[0]))
        yield network


def _outer(network):
    """What scales with the target."""
    return network.weights[1], network.biases[1]


def _equidistributed(fitted) -> np.ndarray:
    """Knots between which the residual has equal parts, if it was as dense on a piece as before.

    A piece of length h has the error C h (h^2 f'')^2, so |f''|^(2/5) h is the fifth root of it.
    """
    power = density_power(2.0) / 2
    pieces = np.maximum(fitted.pieces, 0.0)
    count = pieces.shape[1]
    return np.stack(
        [parted(spread(k, e**power, count)) for k, e in zip(fitted.knots, pieces, strict=True)]
    )
