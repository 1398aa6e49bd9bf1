"""Fitting networks: greedily."""

from ._dictionary import AbstractDictionary as AbstractDictionary
from ._dictionary import RandomReLUDictionary as RandomReLUDictionary
from ._dictionary import ReLUDictionary as ReLUDictionary
from ._greedy import GreedyResult as GreedyResult
from ._greedy import orthogonal_greedy as orthogonal_greedy
