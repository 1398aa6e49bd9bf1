"""Proven numbers, that hold in floating point too. Measured distances live in `norms`.

- Before there is a network: `parameter_lipschitz` and its variants, `sufficient_step`,
  `necessary_step`, `rate_step`, `bits_per_weight`, `bits_by_depth`.
- For the network at hand: `enclose` (how far two networks are apart on a box), `enclose_points`,
  `unchanged_decisions`, `enclose_target` (how far a network is from a function), `allocate_bits`
  (the bits that a proven accuracy needs), `certify_bits` (what given bits do), `apriori_bound`
  (from the norms of its layers alone), `difference_bound` (cheap and differentiable).
- For whole classes: `class_error` (how well a family can do on the worst function), `regime` (the
  three lower bounds of quantized networks), covering numbers, `encoding_rate`, `encoding_check`.
"""

from ._allocate import Allocation as Allocation
from ._allocate import allocate_bits as allocate_bits
from ._allocate import certify_bits as certify_bits
from ._apriori import apriori_bound as apriori_bound
from ._class_error import ClassError as ClassError
from ._class_error import class_error as class_error
from ._class_steps import necessary_bits as necessary_bits
from ._class_steps import necessary_step as necessary_step
from ._class_steps import sufficient_bits as sufficient_bits
from ._class_steps import sufficient_step as sufficient_step
from ._classes import EncodingRate as EncodingRate
from ._classes import encoding_rate as encoding_rate
from ._covering import AbstractSequence as AbstractSequence
from ._covering import DictionarySequence as DictionarySequence
from ._covering import ReLUSequence as ReLUSequence
from ._covering import lipschitz_covering as lipschitz_covering
from ._curve import BitsCurve as BitsCurve
from ._depth_bits import BitsByDepth as BitsByDepth
from ._depth_bits import bits_by_depth as bits_by_depth
from ._difference import difference_bound as difference_bound
from ._enclose import enclose as enclose
from ._enclosure import Enclosure as Enclosure
from ._encoding import ConstantSequence as ConstantSequence
from ._encoding import DenseAtom as DenseAtom
from ._encoding import EncodingCheck as EncodingCheck
from ._encoding import constant_sequence as constant_sequence
from ._encoding import deep_sequence as deep_sequence
from ._encoding import dense_dictionary as dense_dictionary
from ._encoding import encoding_check as encoding_check
from ._encoding import lipschitz_bits as lipschitz_bits
from ._encoding import unbounded_line as unbounded_line
from ._expression import Expression as Expression
from ._expression import expression as expression
from ._extremal import ExtremalPair as ExtremalPair
from ._extremal import chain_lipschitz as chain_lipschitz
from ._extremal import extremal_pair as extremal_pair
from ._growth import Growth as Growth
from ._lipschitz import coarse_lipschitz as coarse_lipschitz
from ._lipschitz import parameter_lipschitz as parameter_lipschitz
from ._lipschitz_variants import box_lipschitz as box_lipschitz
from ._lipschitz_variants import input_radius as input_radius
from ._lipschitz_variants import mean_lipschitz as mean_lipschitz
from ._points import Decisions as Decisions
from ._points import PointEnclosures as PointEnclosures
from ._points import enclose_points as enclose_points
from ._points import unchanged_decisions as unchanged_decisions
from ._regimes import Regime as Regime
from ._regimes import Switches as Switches
from ._regimes import regime as regime
from ._regimes import regime_switches as regime_switches
from ._regimes import vc_dimension as vc_dimension
from ._steps import bits_per_weight as bits_per_weight
from ._steps import rate_step as rate_step
from ._target import TargetEnclosure as TargetEnclosure
from ._target import enclose_target as enclose_target
