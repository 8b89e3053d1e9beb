"""An AWS that fits on a laptop: it sleeps, freezes and refuses.

from sunup.local.emulator import Emulator

with Emulator("examples/users") as aws:
    httpx.get(f"{aws.url}/users")
    aws.do("aurora/pause")
"""

from .emulator import Emulator, EmulatorOptions
from .functions import FunctionOptions
from .gateway import GatewayOptions
from .options import AuroraOptions

__all__ = ["AuroraOptions", "Emulator", "EmulatorOptions", "FunctionOptions", "GatewayOptions"]
