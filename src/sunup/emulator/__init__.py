"""An AWS that fits on a laptop: it sleeps, freezes and refuses.

from sunup.emulator import Emulator

with Emulator("examples/users") as aws:
    httpx.get(f"{aws.url}/users")
    aws.do("aurora/pause")
"""

from .aurora import AuroraOptions
from .emulator import Emulator, EmulatorOptions
from .functions import FunctionOptions
from .gateway import GatewayOptions

__all__ = ["AuroraOptions", "Emulator", "EmulatorOptions", "FunctionOptions", "GatewayOptions"]
