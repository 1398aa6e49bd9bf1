"""Fourier coefficients of functions that are smooth but for a few points."""

import numpy as np

from ._quadrature import CELLS, Quadrature

# Gauss points of a cell of half a period of the highest wave: integrated to 1e-15.
_ORDER = 12
# Frequencies at once, for the cells that are cut.
_BLOCK = 256


def fourier_coefficients(quadrature: Quadrature, highest: int) -> np.ndarray:
    r"""$\int f w_k$ over [0, 1] for the real waves 0, ..., 2 `highest`, f on its domain as [0, 1].

    On equal cells the Gauss rule is a sum of discrete Fourier transforms, one for each node:
    $\int = \sum_j w_j e^{-2 \pi i k t_j / C} \sum_m f((m + t_j)/C) e^{-2 \pi i k m/C} / C$.
    Cells that hold points of the target's own mesh (which halves towards singular points) are cut
    there and summed directly.
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
    total = np.zeros(highest + 1, dtype=np.complex128)
    for row, node, weight in zip(values, nodes, weights, strict=True):
        transform = np.fft.fft(row)[k % cells]
        total += weight / cells * transform * np.exp(-2j * np.pi * k * node / cells)
    if cut.size:
        points = np.unique(np.concatenate([ends[cut], ends[cut + 1], mesh]))
        width = np.diff(points)
        middle = points[:-1] + width / 2
        inside = np.isin(np.clip((middle * cells).astype(np.intp), 0, cells - 1), cut)
        begin, width = points[:-1][inside], width[inside]
        t = (begin[:, None] + width[:, None] * nodes).ravel()
        weighted = quadrature.function(a + (b - a) * t) * (width[:, None] * weights).ravel()
        for start in range(0, highest + 1, _BLOCK):
            part = k[start : start + _BLOCK]
            total[part] += np.exp(-2j * np.pi * np.mod(part[:, None] * t, 1.0)) @ weighted
    coefficients = np.empty(2 * highest + 1)
    coefficients[0] = total[0].real
    coefficients[1::2] = -np.sqrt(2) * total[1:].imag
    coefficients[2::2] = np.sqrt(2) * total[1:].real
    return coefficients
