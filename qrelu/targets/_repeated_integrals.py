"""Integrals of a piecewise polynomial over and over, without the polynomials that they add."""

import math

import numpy as np

from ._piecewise_polynomial import integrated


def repeatedly_integrated(knots: np.ndarray, rows: np.ndarray, times: int) -> np.ndarray:
    """The antiderivative of that order.

    Of all antiderivatives, which differ by polynomials of degree below `times`, the one that is
    small: at every step its mean is taken away, and at the end its projection on them.
    """
    width = np.diff(knots)
    for _ in range(times):
        rows = integrated(knots, rows)
        powers = np.arange(1, rows.shape[1] + 1)
        areas = sum(rows[:, j] * width ** powers[j] / powers[j] for j in range(powers.size))
        rows[:, 0] -= np.sum(areas) / (knots[-1] - knots[0])
    return rows - _projection(knots, rows, times)


def _projection(knots: np.ndarray, rows: np.ndarray, terms: int) -> np.ndarray:
    """The projection on polynomials with that many terms, as coefficients on the same pieces."""
    a, b = knots[0], knots[-1]
    width = np.diff(knots)
    nodes, weights = np.polynomial.legendre.leggauss(rows.shape[1])
    t = width[:, None] * (nodes + 1) / 2
    values = sum(rows[:, [j]] * t**j for j in range(rows.shape[1]))
    x = (2 * (knots[:-1, None] + t) - a - b) / (b - a)
    total = np.polynomial.Polynomial([0.0])
    for k in range(terms):
        legendre = np.polynomial.Legendre.basis(k)
        moment = float(np.sum(values * legendre(x) * weights / 2 * width[:, None])) / (b - a)
        total = total + (2 * k + 1) * moment * legendre.convert(kind=np.polynomial.Polynomial)
    start = (2 * knots[:-1] - a - b) / (b - a)
    found = np.zeros_like(rows)
    for j in range(min(terms, rows.shape[1])):
        found[:, j] = total.deriv(j)(start) * (2 / (b - a)) ** j / math.factorial(j)
    return found
