"""What an app will cost and how often somebody will wait, before it is deployed: `sunup plan`."""

from .prices import Prices
from .setup import App, Range, Setup
from .simulation import Run, simulate
from .studying import Plan, study
from .traffic import Arrivals, Traffic

__all__ = [
    "App",
    "Arrivals",
    "Plan",
    "Prices",
    "Range",
    "Run",
    "Setup",
    "Traffic",
    "simulate",
    "study",
]
