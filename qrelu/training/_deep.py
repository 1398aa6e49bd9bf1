"""Deep networks from random starts: local fits inside basin hopping, grown in width."""

import numbers
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from ..networks import ReLUNetwork
from ..norms import L2
from ..targets import AbstractTarget
from ._checks import check_key, check_target, check_whole, generator
from ._deep_descent import descended
from ._deep_layers import (
    Layers,
    count_of,
    embedded,
    from_network,
    join,
    split,
    to_network,
)
from ._deep_moves import moved
from ._deep_points import TENSOR, Points, points_of
from ._deep_starts import best_starts
from ._deep_steps import marquardt
from ._found import SearchResult
from ._record import settings_of

# Starts of a round, their steps of a local fit, and the further steps of the best of them. Against
# 32 starts with 20 steps each, which cost the same, the ratio to the shallow error ends at .51
# instead of .83 (exp(3x), width 5) and at .75 instead of .83 (Runge, width 6).
_BATCH, _FEW, _STEPS = 64, 6, 8
# Members of the pool, and networks that are fitted at once.
_POOL = 16
# Rounds of random starts, or of embeddings of narrower networks.
_FIRST = 3
# A pool hardly improves after 20 rounds, and where it ends depends on luck, so several pools begin
# anew; what they found meets in one for the last fifth of the rounds. Against one pool for all of
# 100 rounds, the ratio to the shallow error ends at .63 to .72 instead of .83 to 1.02 (Runge, width
# 6, three and two seeds).
_ALONE, _TOGETHER = 20, 5
# Two networks whose squared errors differ by less are one: the pool stays diverse. In a round,
# before the errors have settled, less is enough.
_SAME, _EQUAL = 0.03, 1e-3
# Parents are drawn with probabilities that fall by e in as many places of the pool.
_PLACES = 4.0
# The least points of a fit, in one variable, up to three and more, and how many for a parameter.
_POINTS, _PER_PARAMETER = (256, 1024, 4096), 2.4
# The best networks of a round, their quasi-Newton steps, how often the best take them at the end,
# and at how many times more points: what is fitted to few points is up to 15 % worse between them.
# Against more rounds without these steps, for as long a time, the ratio to the shallow error ends
# at .28 to .43 instead of .56 (exp(3x), width 5) and at .75 to .95 instead of 1.4 to 1.7 (Runge,
# width 6, two seeds, half a minute).
_CHOSEN, _DOWN, _END = 8, 600, 2
_FINER = (8, 2)  # in one variable and in several, where points cost more
# A network grows from narrower ones that have at least so many neurons in each layer.
_NARROWEST = 3


def fit_deep(
    target: Any,
    widths: tuple[int, ...],
    *,
    key: Any,
    rounds: int = 100,
    seconds: float | None = None,
    start: Any = None,
    grow: int = 2,
    searches: int = 1,
) -> SearchResult:
    r"""A deep network near the best of its widths in L^2, from random starts, in float64.

    ```python
    result = training.fit_deep(targets.get("exp"), (1, 5, 5, 5, 1), key=jax.random.key(0))
    result.error, result.network
    ```

    Plain training ends in one of very many local optima. Here a pool of the best different networks
    is kept; in each round 64 neighbors of its members (noise, one neuron renewed, layers of two
    members combined) are fitted by a few steps of Levenberg-Marquardt in one compiled program, the
    best 16 by more, the best 8 of these by BFGS at finer points (`_deep_descent.py` says why), and
    they enter the pool where they are better. From 50 rounds on several pools begin anew and meet
    in the last rounds. The search begins with narrower networks and grows them, and at every width
    it draws many random and folding networks, of which those are tried that do most with the best
    last layer.

    **Arguments:**

    - `target`: what is approximated, on its domain, in one variable or several.
    - `widths`: (d, N_1, ..., 1).
    - `key`: decides everything that is random; the same key gives the same network.
    - `rounds`: for each width: the last one, and before it the narrower ones.
    - `seconds`: the search stops after the round in which they are over, so that the result
        depends on the machine; None for no such end.
    - `start`: what to grow instead of random narrower networks: a network, or the result of a
        search, of at most these widths and the same depth.
    - `grow`: how many narrower widths are searched before, unless there is a `start`; each takes
        a neuron more in every hidden layer.
    - `searches`: independent searches at the same time, in threads; the best networks of all are
        kept. One search keeps one core busy.

    **Returns:**

    A `SearchResult`.

    **Raises:**

    - `TypeError`: for what is no target, or another `start`.
    - `ValueError`: for widths that do not begin with the target's number of variables, end with
        1 and have a hidden layer, numbers that are not positive, and a `start` that does not fit.

    **Reference:** [wales1997] for basin hopping; the moves are derived.
    """
    begun = time.perf_counter()
    check_target("fit_deep", target)
    check_whole("fit_deep", "rounds", rounds)
    check_whole("fit_deep", "grow", grow, 0)
    check_whole("fit_deep", "searches", searches)
    widths = _checked(widths, target.dimension)
    if seconds is not None and not (isinstance(seconds, numbers.Real) and seconds > 0):
        raise ValueError(f"`fit_deep(seconds=...)` must be positive; got {seconds!r}.")
    end = begun + (seconds or np.inf)
    keys = [check_key("fit_deep", key), *(jax.random.fold_in(key, i) for i in range(1, searches))]
    found = [_Search(target, widths, generator("fit_deep", key), end) for key in keys]

    def run(search: _Search) -> Any:
        return _run(search, widths, rounds, start, grow)

    if searches == 1:
        ended = [run(found[0])]
    else:
        with ThreadPoolExecutor(searches) as threads:
            ended = list(threads.map(run, found))
    pairs = [pair for pairs in ended for pair in pairs]
    pairs = sorted(pairs, key=lambda pair: float(pair[1]))[:_POOL]
    networks, distances = zip(*pairs, strict=True)
    best = found[int(np.argmin([float(one[0][1]) for one in ended]))]
    return SearchResult(
        networks[0],
        distances[0],
        networks,
        np.array([float(distance) for distance in distances]),
        np.array(best.history),
        "out of time" if any(search.late for search in found) else "all rounds",
        time.perf_counter() - begun,
        settings_of(
            "float64",
            widths=widths,
            rounds=rounds,
            searches=searches,
            batch=_BATCH,
            steps=(_FEW, _STEPS, _DOWN, _END),
        ),
    )


def _run(
    search: "_Search", widths: tuple[int, ...], rounds: int, start: Any, grow: int
) -> list[tuple[ReLUNetwork, Any]]:
    """Networks with their distances to the target, the best first."""
    if start is None:
        for less in range(grow, 0, -1):
            narrow = (widths[0], *(n - less for n in widths[1:-1]), 1)
            if min(narrow[1:-1]) >= _NARROWEST:
                search.run(narrow, rounds)
    else:
        search.take(_networks_of(start), widths)
    search.run(widths, rounds)
    return search.finish()


class _Search:
    """The pool of a search: pairs of a squared error and a vector, the best first."""

    def __init__(
        self, target: AbstractTarget, widths: tuple[int, ...], rng: np.random.Generator, end: float
    ):
        self.target, self.rng, self.end = target, rng, end
        lower, upper = (np.atleast_1d(np.asarray(edge, np.float64)) for edge in target.domain)
        self.box = (lower, upper)
        least = _POINTS[(target.dimension > 1) + (target.dimension > TENSOR)]
        self.needed = max(least, int(_PER_PARAMETER * count_of(widths)))
        finer = _FINER[target.dimension > 1] * self.needed
        raw, fine = points_of(target, self.needed), points_of(target, finer)
        self.mean = float(raw.y @ raw.root**2)
        self.unit = float(np.sqrt((raw.y - self.mean) ** 2 @ raw.root**2)) or 1.0
        self.points, self.finer = self._scaled(raw), self._scaled(fine)
        self.widths = widths
        self.pool: list[tuple[float, np.ndarray]] = []
        self.history: list[float] = []
        self.late = False
        self.same = _SAME

    def _scaled(self, raw: Points) -> Points:
        return raw._replace(y=(raw.y - self.mean) / self.unit)

    def take(self, networks: list[ReLUNetwork], widths: tuple[int, ...]) -> None:
        """Networks of a search before, which `run` will embed."""
        narrow = networks[0].widths
        if len(narrow) != len(widths) or any(a > b for a, b in zip(narrow, widths, strict=True)):
            raise ValueError(
                f"`fit_deep(widths, start=...)` must start from at most the widths {widths} and "
                f"the same depth; got {narrow}. `networks.deepen` makes a network deeper."
            )
        self.widths = narrow
        for network in networks:
            layers = from_network(network, self.box, self.mean, self.unit)
            self.pool.append((np.inf, join(layers)))

    def run(self, widths: tuple[int, ...], rounds: int) -> None:
        """Some rounds at these widths, from the pool of narrower ones or from random networks."""
        before = [split(vector, self.widths) for _, vector in self.pool]
        self.widths, self.late = widths, False
        pools = max(1, rounds // (_ALONE + _TOGETHER))
        alone = _ALONE if pools > 1 else rounds
        met: list[tuple[float, np.ndarray]] = []
        for _ in range(pools):
            if self.late:
                break
            self.pool = []
            self._begun(before, min(alone, _FIRST))
            self._improved(alone - _FIRST)
            met += self.pool
        self.pool = []
        self._enter(met)
        self._improved(rounds - pools * alone)

    def _begun(self, before: list[Layers], rounds: int) -> None:
        """Rounds of random networks, half of them embeddings of narrower ones if there are any."""
        fresh = _BATCH // 2 if before else _BATCH
        drawn = best_starts(self.widths, self.points, rounds * fresh, self.rng)
        for turn in range(rounds):
            parents = [before[i] for i in self._drawn(len(before))] if before else []
            starts = [
                embedded(layers, self.widths, self.points.x, self.rng) for layers in parents[fresh:]
            ]
            self._round(starts + drawn[turn * fresh : (turn + 1) * fresh])

    def _improved(self, rounds: int) -> None:
        """Rounds of neighbors of the pool."""
        for _ in range(rounds):
            if not self.late:
                self._round(self._moved())

    def _round(self, starts: list[Layers]) -> None:
        if self.late:
            return
        vectors = self._promising([join(layers) for layers in starts])
        fitted = sorted(self._moved_down(vectors, _STEPS), key=lambda pair: pair[0])[:_CHOSEN]
        vectors = [vector for _, vector in fitted]
        self._enter(self._descended(vectors, _DOWN))
        self.history.append(self.unit * self._scale() * self.pool[0][0] ** 0.5)
        self.late = time.perf_counter() > self.end

    def _moved(self) -> list[Layers]:
        count, (x, y, _) = len(self.pool), self.points
        parents, others = self._drawn(count), self.rng.integers(count, size=_BATCH).tolist()
        return [
            moved(self._layers(i), self._layers(j), x, y, self.rng)
            for i, j in zip(parents, others, strict=True)
        ]

    def _layers(self, i: int) -> Layers:
        return split(self.pool[i][1], self.widths)

    def _drawn(self, count: int) -> list[int]:
        drawn = self.rng.exponential(_PLACES, size=_BATCH).astype(np.intp)
        return np.minimum(drawn, count - 1).tolist()

    def _promising(self, vectors: list[np.ndarray]) -> list[np.ndarray]:
        """The best different vectors after a few steps, `_POOL` of them."""
        tried = [
            found
            for i in range(0, len(vectors), _POOL)
            for found in self._moved_down(vectors[i : i + _POOL], _FEW)
        ]
        tried.sort(key=lambda pair: pair[0])
        kept: list[tuple[float, np.ndarray]] = []
        for loss, vector in tried:
            if not kept or abs(loss - kept[-1][0]) > _EQUAL * loss:
                kept.append((loss, vector))
        # Where too few differ, the best are fitted more than once.
        return [kept[i % len(kept)][1] for i in range(_POOL)]

    def _moved_down(self, vectors: list[np.ndarray], steps: int) -> list[tuple[float, np.ndarray]]:
        """Pairs of a loss and a vector after local fits; what is not finite is infinitely bad."""
        with jax.enable_x64(True):
            return _pairs(*marquardt(np.stack(vectors), *self.points, self.widths, steps))

    def _descended(self, vectors: list[np.ndarray], steps: int) -> list[tuple[float, np.ndarray]]:
        """The same at more points, by quasi-Newton steps in the end."""
        found = []
        for i in range(0, len(vectors), _CHOSEN):
            part = vectors[i : i + _CHOSEN]
            # As many every time, so that one compiled program serves all.
            padded = np.stack(part + part[:1] * (_CHOSEN - len(part)))
            with jax.enable_x64(True):
                moved, _ = marquardt(padded, *self.finer, self.widths, _FEW)
                found += _pairs(*descended(moved, *self.finer, self.widths, steps))[: len(part)]
        return found

    def _enter(self, found: list[tuple[float, np.ndarray]]) -> None:
        """The pool with what was found, where it is better or different."""
        for loss, vector in found:
            if not np.isfinite(loss):
                continue
            same = [i for i, (v, _) in enumerate(self.pool) if abs(v - loss) <= self.same * loss]
            if not same:
                self.pool.append((loss, vector))
            elif loss < self.pool[same[0]][0]:
                self.pool[same[0]] = (loss, vector)
        self.pool.sort(key=lambda member: member[0])
        del self.pool[_POOL:]

    def _scale(self) -> float:
        return float(np.prod(self.box[1] - self.box[0])) ** 0.5

    def finish(self) -> list[tuple[ReLUNetwork, Any]]:
        """The pool after fits at more points, in the order of the distances to the target."""
        for _ in range(_END):
            self._enter(self._descended([vector for _, vector in self.pool[:_CHOSEN]], _DOWN))
        vectors = [vector for _, vector in self.pool]
        norm = L2()
        networks = [
            to_network(split(vector, self.widths), self.box, self.mean, self.unit)
            for vector in vectors
        ]
        distances = [norm.distance(network, self.target) for network in networks]
        pairs = zip(networks, distances, strict=True)
        return sorted(pairs, key=lambda pair: float(pair[1]))


def _pairs(moved: Any, losses: Any) -> list[tuple[float, np.ndarray]]:
    moved, losses = np.asarray(moved), np.asarray(losses)
    finite = np.isfinite(losses) & np.isfinite(moved).all(axis=1)
    return list(zip(np.where(finite, losses, np.inf).tolist(), moved, strict=True))


def _checked(widths: Any, inputs: int) -> tuple[int, ...]:
    given = tuple(widths) if np.iterable(widths) else (widths,)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in given)
    if len(given) < 3 or not whole or min(given) < 1 or given[0] != inputs or given[-1] != 1:
        raise ValueError(
            f"`fit_deep(target, widths)` must be whole numbers ({inputs}, N_1, ..., 1), an input "
            "for each variable of the target, at least one hidden layer and one output; got "
            f"{given}."
        )
    return tuple(int(n) for n in given)


def _networks_of(start: Any) -> list[ReLUNetwork]:
    if isinstance(start, SearchResult):
        return list(start.networks)
    if isinstance(start, ReLUNetwork):
        return [start]
    raise TypeError(
        "`fit_deep(start=...)` must be a network or the result of a search; got "
        f"{type(start).__name__}."
    )
