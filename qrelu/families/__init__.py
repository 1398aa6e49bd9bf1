"""Approximating families under one interface: for a target, a size and a norm, a function."""

from ._approximant import Approximant as Approximant
from ._barycentric import Barycentric as Barycentric
from ._bspline import BSplines as BSplines
from ._dyadic_tree import DyadicTree as DyadicTree
from ._family import AbstractFamily as AbstractFamily
from ._fixed_order_spline import Spline as Spline
from ._formula import AbstractFormula as AbstractFormula
from ._formula import AbstractIntervalFormula as AbstractIntervalFormula
from ._fourier import Fourier as Fourier
from ._free_knot import FreeKnot as FreeKnot
from ._names import get as get
from ._names import names as names
from ._orthogonal_series import OrthogonalSeries as OrthogonalSeries
from ._piecewise_constant import PiecewiseConstant as PiecewiseConstant
from ._polynomial import Polynomial as Polynomial
from ._quantized import Quantized as Quantized
from ._rational import Rational as Rational
from ._rules import AbstractRule as AbstractRule
from ._rules import Bits as Bits
from ._rules import MatchedBits as MatchedBits
from ._rules import TheoryStep as TheoryStep
from ._uniform_knot import UniformKnot as UniformKnot
from ._wavelet import Wavelet as Wavelet
from ._wavelet_sum import WaveletSum as WaveletSum
from ._waves import Waves as Waves
