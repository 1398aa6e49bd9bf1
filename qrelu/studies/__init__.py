"""Grids of targets, families, sizes and seeds: computed, stored, resumed, shown.

A study is computed part by part into a directory that survives being stopped at any moment; its
result offers the table, the rates and the figure.
"""

from ._result import StudyResult as StudyResult
from ._study import Study as Study
from ._study import load as load
