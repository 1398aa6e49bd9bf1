"""Grids and how to round to them: exact values, straight-through gradients, codes and packed bits.

A quantizer is an Equinox module that is called on numbers; `quantize` maps it over the parameters
of any pytree. Where it takes a quantizer it also takes a calibration such as
`AbsMax(bits, "channel")`, which chooses the grids from the parameters. `encode` and `decode`
translate between grid values and integer codes, `pack` and `unpack` between codes and bytes.

| you have, or want | take |
|---|---|
| a number of bits; the grid follows the parameters | `AbsMax(bits, "channel")` |
| the same for numbers that do not lie around zero | `MinMax(bits)` |
| a step, as the theory gives it | `Uniform(step)`, `Uniform(step, bits=bits)` |
| bits before and after the binary point | `FixedPoint`, `paper_grid` |
| products that are shifts | `PowersOfTwo` |
| a set of values, or the best for given weights | `Codebook`, `Codebook.optimal` |
| a step and a zero point from elsewhere | `Affine` |
| training through the grid | `wrap(model, AbsMax(bits))`, then `unwrap` |
| training with steps that are trained too | `wrap(model, LSQ(bits))`; `LearnedStep` for one grid |
| no gradient beyond the range of a given grid | `Clipped` around it |
| activations on a grid | `QuantizedReLU` |
"""

from ._abstract import AbstractQuantizer as AbstractQuantizer
from ._abstract import AbstractUniformGrid as AbstractUniformGrid
from ._activation import QuantizedReLU as QuantizedReLU
from ._affine import Affine as Affine
from ._calibration import AbsMax as AbsMax
from ._calibration import AbstractCalibration as AbstractCalibration
from ._calibration import MinMax as MinMax
from ._codebook import Codebook as Codebook
from ._gradients import Clipped as Clipped
from ._gradients import LearnedStep as LearnedStep
from ._leaf import Wrapped as Wrapped
from ._lsq import LSQ as LSQ
from ._packing import pack as pack
from ._packing import unpack as unpack
from ._powers import PowersOfTwo as PowersOfTwo
from ._quantize import quantize as quantize
from ._uniform import FixedPoint as FixedPoint
from ._uniform import Uniform as Uniform
from ._uniform import paper_grid as paper_grid
from ._wrap import unwrap as unwrap
from ._wrap import wrap as wrap
