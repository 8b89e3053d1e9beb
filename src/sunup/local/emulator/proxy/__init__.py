"""The emulated RDS Proxy: clients share the sessions of an Aurora, unless they pin theirs."""

from .proxy import RdsProxy

__all__ = ["RdsProxy"]
