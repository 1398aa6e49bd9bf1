"""Fourier coefficients of functions that are smooth but for a few points."""

import math

import numpy as np

from ._quadrature import CELLS, Quadrature
from ._waves import Waves, circled

# Gauss points of a cell of half a period of the highest wave: integrated to 1e-15.
_ORDER = 12
# Points at once, in the cells that are cut.
_BLOCK = 2**13


def fourier_coefficients(quadrature: Quadrature, highest: int) -> tuple[np.ndarray, float]:
    r"""$\int f w_k$ over [0, 1] for the real waves 0, ..., 2 `highest`, f on its domain as [0, 1].

    On equal cells the Gauss rule is a sum of discrete Fourier transforms, one for each node:
    $\int = \sum_j w_j e^{-2 \pi i k t_j / C} \sum_m f((m + t_j)/C) e^{-2 \pi i k m/C} / C$.
    Cells that hold points of the target's own mesh (which halves towards singular points) are cut
    there and summed directly.

    **Returns:**

    The coefficients, and a number that no coefficient of a higher wave exceeds, as measured by the
    same rule.
    """
    a, b = quadrature.lower, quadrature.upper
    # Whole numbers of cells in those of the target's mesh.
    cells = CELLS * -(-2 * max(highest, 1) // CELLS)
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    nodes, weights = (nodes + 1) / 2, weights / 2
    mesh = (quadrature.mesh - a) / (b - a)
    ends = np.arange(cells + 1) / cells
    # A mesh point that is not an end of a cell cuts its cell.
    nearest = np.rint(mesh * cells) / cells
    mesh = mesh[np.abs(mesh - nearest) > 4 * np.finfo(float).eps]
    cut = np.unique(np.clip((mesh * cells).astype(np.intp), 0, cells - 1))
    k = np.arange(highest + 1)
    values = np.empty((_ORDER, cells))
    for j, node in enumerate(nodes):
        values[j] = quadrature.function(a + (b - a) * ((np.arange(cells) + node) / cells))
    values[:, cut] = 0.0
    turns = np.exp(-2j * np.pi * np.mod(k * nodes[:, None] / cells, 1.0))
    total = np.zeros(highest + 1, dtype=np.complex128)
    for row, turn, weight in zip(values, turns, weights, strict=True):
        total += weight / cells * np.fft.fft(row)[k % cells] * turn
    t, inside, share = np.zeros(0), np.zeros(0), np.zeros(0)
    if cut.size:
        points = np.unique(np.concatenate([ends[cut], ends[cut + 1], mesh]))
        width = np.diff(points)
        middle = points[:-1] + width / 2
        kept = np.isin(np.clip((middle * cells).astype(np.intp), 0, cells - 1), cut)
        begin, width = points[:-1][kept], width[kept]
        t = (begin[:, None] + width[:, None] * nodes).ravel()
        share = (width[:, None] * weights).ravel()
        inside = quadrature.function(a + (b - a) * t)
        total += _summed(t, inside * share, highest)
    coefficients = np.empty(2 * highest + 1)
    coefficients[0] = total[0].real
    coefficients[1::2] = -np.sqrt(2) * total[1:].imag
    coefficients[2::2] = np.sqrt(2) * total[1:].real

    # Higher waves have the same coefficients in f as in what is left of it. With the sum of all
    # waves so far as the real part of sum_k a_k e^(2 pi i k t), its values at one node of all cells
    # are a discrete transform.
    half = np.where(k == 0, 1.0, 2.0) * total
    left, spectrum = 0.0, np.zeros(cells, dtype=np.complex128)
    uncut = np.ones(cells, dtype=bool)
    uncut[cut] = False
    for row, turn, weight in zip(values, turns, weights, strict=True):
        spectrum[: highest + 1] = half * np.conj(turn)
        rest = (row - (np.fft.ifft(spectrum) * cells).real)[uncut]
        left += weight / cells * float(rest @ rest)
    order = np.arange(coefficients.size)
    series = Waves(coefficients=coefficients, terms=order, domain=(0.0, 1.0), chosen=False)
    left += float(share @ (inside - series(t)) ** 2)
    places = ((np.arange(cells)[:, None] + nodes) / cells)[uncut].ravel()
    seen = np.append(values.T[uncut].ravel(), inside)[np.argsort(np.append(places, t))]
    # |int f w_k| <= ||f - s|| in L^2, and by parts sqrt(2) times the variation over 2 pi k, with
    # the jump from the end of the period to its start.
    variation = float(np.sum(np.abs(np.diff(seen, append=seen[:1]))))
    falling = math.sqrt(2) * variation / (2 * math.pi * (highest + 1))
    return coefficients, min(math.sqrt(left), falling)


def _summed(t: np.ndarray, weighted: np.ndarray, highest: int) -> np.ndarray:
    r"""$\sum_t w_t e^{-2 \pi i k t}$ for k up to the highest.

    With k = step i + j the waves are products: one matrix product and few exponentials.
    """
    step = math.isqrt(highest) + 1
    total = np.zeros((highest // step + 1, step), dtype=np.complex128)
    for start in range(0, t.size, _BLOCK):
        part = t[start : start + _BLOCK]
        far = circled(-np.mod(step * part, 1.0), len(total))
        total += far.T @ (weighted[start : start + _BLOCK, None] * circled(-part, step))
    return total.ravel()[: highest + 1]
