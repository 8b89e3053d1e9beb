"""An AWS that fits on a laptop: it sleeps, freezes and refuses.

from sunup.local.emulator import Emulator

with Emulator("examples/users") as aws:
    httpx.get(f"{aws.url}/users")
    aws.do("aurora/pause")
"""

from .emulator import Emulator
from .options import AuroraOptions, EmulatorOptions, FunctionOptions, GatewayOptions

__all__ = ["AuroraOptions", "Emulator", "EmulatorOptions", "FunctionOptions", "GatewayOptions"]
