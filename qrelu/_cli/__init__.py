"""The command line. Nothing heavy is imported before a command has its options."""

from ._app import app as app
from ._app import main as main
from ._quantize import quantize
from ._rate import rate
from ._regimes import regimes
from ._targets import targets
from ._verify import verify

for _command in (rate, targets, quantize, verify, regimes):
    app.command()(_command)
