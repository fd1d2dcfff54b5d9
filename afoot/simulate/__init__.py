"""Captures of made-up incidents with their truth, from a small physical model."""

from afoot.simulate.run import simulate
from afoot.simulate.scenarios import SCENARIOS
from afoot.simulate.truth import Expected, Truth
from afoot.simulate.world import Size

__all__ = ["SCENARIOS", "Expected", "Size", "Truth", "simulate"]
