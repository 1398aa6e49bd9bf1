"""Random sequences and polygons with structure at all scales, on a dyadic number of cells."""

import numpy as np


def telegraph(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Signs that stay for a random time, all scales of times from one cell to half of all alike."""
    lengths: list[int] = []
    total = 0
    while total < cells:
        lengths.append(int(np.exp(rng.uniform(0.0, np.log(cells / 2)))) or 1)
        total += lengths[-1]
    signs = np.where(np.arange(len(lengths)) % 2 == 0, 1.0, -1.0)
    return rng.choice([-1.0, 1.0]) * np.repeat(signs, lengths)[:cells]


def cascade(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Positive weights of mean 1: at every halving one half gets three times the other's share."""
    weights = np.ones(1)
    while weights.size < cells:
        share = rng.choice([0.5, 1.5], weights.size)
        weights = np.stack([weights * share, weights * (2 - share)], axis=1).ravel()
    return weights


def displaced(rng: np.random.Generator, cells: int, exponent: float) -> np.ndarray:
    r"""Values at `cells + 1` points: every midpoint is moved by $\pm 2^{-ja}$ from its chord.

    The coefficients in the hierarchical basis of hat functions, all of the largest size that a
    Hoelder function of exponent a can have, with random signs.
    """
    values = rng.choice([-1.0, 1.0], 2)
    level = 0
    while values.size <= cells:
        level += 1
        moves = rng.choice([-1.0, 1.0], values.size - 1) * 2.0 ** (-exponent * level)
        middles = (values[:-1] + values[1:]) / 2 + moves
        whole = np.empty(2 * values.size - 1)
        whole[::2], whole[1::2] = values, middles
        values = whole
    return values


def weierstrass(rng: np.random.Generator, cells: int, exponent: float) -> np.ndarray:
    r"""$\sum_j 2^{-ja} \cos(2 \pi (2^j x + \theta_j))$ at `cells + 1` points, random phases."""
    x = np.linspace(0.0, 1.0, cells + 1)
    values = np.zeros(cells + 1)
    for level in range(int(np.log2(cells)) - 1):
        phase = rng.uniform()
        values += 2.0 ** (-exponent * level) * np.cos(2 * np.pi * (2.0**level * x + phase))
    return values


def signs(rng: np.random.Generator, count: int, alternating: bool) -> np.ndarray:
    """Signs that alternate, either one first, or random ones, not all equal."""
    if alternating:
        return rng.choice([-1.0, 1.0]) * np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    found = rng.choice([-1.0, 1.0], count)
    place = int(rng.integers(count - 1))
    found[place] = -found[place + 1]
    return found


def centered(values: np.ndarray) -> np.ndarray:
    """Shifted so that the largest and the smallest value are opposite."""
    return values - (values.max() + values.min()) / 2
