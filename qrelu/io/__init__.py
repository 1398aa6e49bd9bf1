"""Networks in files that other tools read and write."""

from ._network import load_network as load_network
from ._network import save_network as save_network
