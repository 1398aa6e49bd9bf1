"""Networks in files that other tools read and write, packed networks, and their certificates."""

from ._certificate import FileCertificate as FileCertificate
from ._certificate import FileRecord as FileRecord
from ._certificate import load_certificate as load_certificate
from ._certificate import save_certificate as save_certificate
from ._network import load_network as load_network
from ._network import save_network as save_network
from ._packed import Packed as Packed
from ._packed import load_packed as load_packed
from ._packed import save_packed as save_packed
from ._verify import Verification as Verification
from ._verify import verify as verify
