"""Examines each link of the chain from the settings to the connection limit."""

from .examination import CHECKS, Examination, Finding

__all__ = ["CHECKS", "Examination", "Finding"]
