"""Which points each step sees."""

from typing import Any

import jax
import numpy as np


def rows_of(key: Any, count: int, batch: int | None, first: int, steps: int) -> np.ndarray:
    """Rows of the data for `steps` steps from step `first` on, of shape (steps, batch).

    Every epoch has an order of its own, made from the key and the number of the epoch, so that a
    run that goes on from any step sees the same points. Without a batch the shape is (steps, 0).
    """
    if batch is None:
        return np.zeros((steps, 0), np.int32)
    words = np.asarray(jax.random.key_data(key)).ravel().tolist()
    per_epoch = count // batch
    orders = {
        epoch: np.random.default_rng([*words, epoch]).permutation(count)
        for epoch in range(first // per_epoch, (first + steps - 1) // per_epoch + 1)
    }
    parts = []
    for step in range(first, first + steps):
        epoch, place = divmod(step, per_epoch)
        parts.append(orders[epoch][place * batch : (place + 1) * batch])
    return np.stack(parts).astype(np.int32)
