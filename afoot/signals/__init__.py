"""Samples to one-minute signals of entities, with what was expected of them, placed in the chains they belong to."""

from afoot.signals.frames import Frame
from afoot.signals.sampling import Sampler
from afoot.signals.settings import Settings
from afoot.signals.shard import ShardState
from afoot.signals.windows import Books, PlacedSignals, evaluate

__all__ = ["Books", "Frame", "PlacedSignals", "Sampler", "Settings", "ShardState", "evaluate"]
