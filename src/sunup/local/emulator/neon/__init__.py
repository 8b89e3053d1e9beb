"""The emulated Neon: passwords, server names, and a compute that is suspended under its clients."""

from .neon import Neon

__all__ = ["Neon"]
