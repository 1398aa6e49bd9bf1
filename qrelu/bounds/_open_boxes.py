"""The boxes that a search has not settled, and which input of them to halve."""

import numpy as np

# How many open boxes there are for one that is split in the same step.
_SHARE = 8


class OpenBoxes:
    """Centers and radii (boxes, inputs) with the bounds (boxes,) that are known."""

    def __init__(self, center: np.ndarray, radius: np.ndarray, bound: float, least: float):
        self.least = least
        self.centers, self.radii = center[None], radius[None]
        self.bounds = np.array([bound])
        # What halving an input took off the bound, for its radius: the widest input comes first
        # until it was measured.
        self.gains = np.ones(len(center))
        self.rng = np.random.default_rng(0)

    @property
    def largest(self) -> float:
        """The largest bound, or zero."""
        return float(self.bounds.max(initial=0.0))

    # Which input is best to halve differs little from box to box: the gain per radius, measured on
    # a few boxes for every input, foretells it better than the slack or the gradient of a box does.
    def samples(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Halves of some boxes in every input, (2 count inputs) of them, and the boxes' rows."""
        inputs = self.centers.shape[1]
        rows = self.rng.choice(len(self.bounds), min(count, len(self.bounds)), replace=False)
        centers = np.broadcast_to(self.centers[rows, None, None], (len(rows), inputs, 2, inputs))
        radii = np.broadcast_to(self.radii[rows, None, None], centers.shape).copy()
        every = np.arange(inputs)
        radii[:, every, :, every] /= 2
        centers = centers.copy()
        for side, sign in enumerate((-1, 1)):
            centers[:, every, side, every] += sign * radii[:, every, side, every]
        return centers.reshape(-1, inputs), radii.reshape(-1, inputs), rows

    def learn(self, rows: np.ndarray, bounds: np.ndarray) -> None:
        """Take the gains from the bounds of the halves that `samples` gave."""
        after = bounds.reshape(len(rows), -1, 2).mean(-1)
        with np.errstate(invalid="ignore"):
            gains = np.maximum(self.bounds[rows, None] - after, 0.0).sum(0)
        width = self.radii[rows].sum(0)
        gains = np.where(width > 0, gains / np.where(width > 0, width, 1.0), 0.0)
        if np.isfinite(gains).all() and gains.max() > 0:
            # Every input is halved at some time, whatever was measured.
            self.gains = np.maximum(gains, gains.max() / 8)

    def take(self, least: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Halves of the boxes with the largest bounds, and these bounds.

        There are `most` at most. One round of halving is enough for `least`, or all are halved
        again until there are nearly so many.
        """
        count = min(len(self.bounds), max(least, len(self.bounds) // _SHARE), most // 2)
        order = np.argpartition(-self.bounds, count - 1)
        best, rest = order[:count], order[count:]
        # The worst first, if time should run out.
        best = best[np.argsort(-self.bounds[best])]
        centers, radii, bounds = self.centers[best], self.radii[best], self.bounds[best]
        self._keep(rest)
        while True:
            rows = np.arange(len(centers))
            axis = np.where(radii > self.least, self.gains * radii, -1.0).argmax(1)
            radii = radii.copy()
            radii[rows, axis] /= 2
            centers = np.repeat(centers, 2, 0)
            centers[2 * rows, axis] -= radii[rows, axis]
            centers[2 * rows + 1, axis] += radii[rows, axis]
            radii, bounds = np.repeat(radii, 2, 0), np.repeat(bounds, 2)
            if 2 * len(centers) > min(least, most):
                return centers, radii, bounds

    def put(self, centers: np.ndarray, radii: np.ndarray, bounds: np.ndarray) -> None:
        """Boxes that are still open."""
        self.centers = np.concatenate([self.centers, centers])
        self.radii = np.concatenate([self.radii, radii])
        self.bounds = np.concatenate([self.bounds, bounds])

    def drop(self, goal: float) -> float:
        """Leave out boxes whose bounds are at most the goal; the largest of these bounds."""
        done = self.bounds <= goal
        largest = float(self.bounds[done].max(initial=0.0))
        self._keep(np.flatnonzero(~done))
        return largest

    def _keep(self, rows: np.ndarray) -> None:
        self.centers, self.radii = self.centers[rows], self.radii[rows]
        self.bounds = self.bounds[rows]
