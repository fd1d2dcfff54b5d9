"""The signal catalogue: which metric, log or flow is which signal of which entity, as data and its loader."""

from afoot.catalogue.loader import load_catalogue
from afoot.catalogue.model import Catalogue, FlowCount, LogPattern, Signal, Source, Use

__all__ = ["Catalogue", "FlowCount", "LogPattern", "Signal", "Source", "Use", "load_catalogue"]
