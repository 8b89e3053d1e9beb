"""An AWS that fits on a laptop: it sleeps, freezes and refuses.

from sunup.local.emulator import Emulator

with Emulator("examples/users") as aws:
    httpx.get(f"{aws.url}/users")
    aws.do("aurora/pause")
"""

from .dsql.options import DsqlOptions
from .emulator import Emulator
from .options import (
    AuroraOptions,
    EmulatorOptions,
    FunctionOptions,
    GatewayOptions,
    NeonOptions,
    RdsProxyOptions,
)

__all__ = [
    "AuroraOptions",
    "DsqlOptions",
    "Emulator",
    "EmulatorOptions",
    "FunctionOptions",
    "GatewayOptions",
    "NeonOptions",
    "RdsProxyOptions",
]
