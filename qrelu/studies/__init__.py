"""Grids of targets, families, sizes and seeds: computed, stored, resumed, shown.

A study is computed part by part into a directory that survives being stopped at any moment; its
result offers the table, the rates and the figure.
"""

from ._known_rates import KnownCase as KnownCase
from ._known_rates import MeasuredCase as MeasuredCase
from ._known_rates import known_rates as known_rates
from ._known_rates import measure_known as measure_known
from ._result import StudyResult as StudyResult
from ._study import Study as Study
from ._study import load as load
