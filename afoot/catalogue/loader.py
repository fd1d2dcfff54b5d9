"""Reads catalogue files: the shipped signals.yaml first, then what a user adds, each merged into what is there."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import yaml

from afoot.catalogue import model
from afoot.catalogue.model import Catalogue, FlowCount, LogPattern, Signal, Source
from afoot.errors import UsageError

FILE_KEYS = ("version", "signals")
SIGNAL_KEYS = ("about", "unit", "role", "floor", "strays", "sources")
SOURCE_KEYS = (
    "component", "entity", "unit", "metrics", "sum_of", "over", "where", "how", "within", "across", "scale",
    "quantile", "least", "identity", "log", "flow", "before",
)  # fmt: skip
NAME = re.compile(r"[a-z][a-z0-9_]*")
SHIPPED = "signals.yaml"


def load_catalogue(extra_files: Sequence[str | Path] = ()) -> Catalogue:
    """The shipped catalogue with `extra_files` added in their order; UsageError names file, entry, key and choice."""
    merged: dict[str, dict[str, Any]] = {}
    origin: dict[tuple[str, str], str] = {}
    shipped = files("afoot.catalogue").joinpath(SHIPPED).read_text("utf-8")
    _merge(merged, origin, SHIPPED, _parse(SHIPPED, shipped))
    for path in extra_files:
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: the signal catalogue cannot be read: {error}") from error
        _merge(merged, origin, str(path), _parse(str(path), text))
    signals = {name: _signal(name, entry, origin) for name, entry in merged.items()}
    _check_shared_metrics(signals.values(), origin)
    return Catalogue(signals)


class _Unique(yaml.SafeLoader):
    """A loader that refuses a key given twice, where plain YAML keeps the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _parse(file: str, text: str) -> dict[str, dict[str, Any]]:
    """The signals of one file, as YAML says them, keys checked."""
    try:
        # A SafeLoader underneath: it makes plain values only.
        document = yaml.load(text, _Unique)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{file}: not YAML: {error}") from error
    where = _Place(file)
    top = where.mapping(document, FILE_KEYS)
    if top.get("version", 1) != 1:
        where.at("version").wrong(top["version"], "1")
    place = where.at("signals")
    signals = place.mapping(top.get("signals", {}), None)
    parsed: dict[str, dict[str, Any]] = {}
    for name, entry in signals.items():
        here = place.at(name)
        if not NAME.fullmatch(name):
            here.fail(f"the name {name!r} is not allowed; lower-case letters, digits and _ are")
        signal = dict(here.mapping(entry, SIGNAL_KEYS))
        sources = here.at("sources").mapping(signal.get("sources", {}), None)
        signal["sources"] = {
            family: dict(here.at("sources").at(family).mapping(source, SOURCE_KEYS))
            for family, source in sources.items()
        }
        for family in signal["sources"]:
            if not NAME.fullmatch(family):
                here.at("sources").fail(f"the name {family!r} is not allowed; lower-case letters, digits and _ are")
        parsed[name] = signal
    return parsed


def _merge(
    merged: dict[str, dict[str, Any]],
    origin: dict[tuple[str, str], str],
    file: str,
    added: dict[str, dict[str, Any]],
) -> None:
    """Add a file's signals: new ones as they are, new sources to known signals, new spellings to known sources."""
    for name, entry in added.items():
        place = _Place(file).at("signals").at(name)
        known = merged.get(name)
        if known is None:
            known = merged[name] = {**entry, "sources": {}}
            origin[name, ""] = file
        else:
            _same(place, entry, known, "sources")
        for family, source in entry["sources"].items():
            here = place.at("sources").at(family)
            held = known["sources"].get(family)
            if held is not None:
                _same(here, source, held, "metrics")
                if "metrics" not in held:
                    here.fail(f"source {family!r} has no 'metrics' to add to; give the new source another name")
                names = here.at("metrics").strings(source.get("metrics", []))
                held["metrics"] = [*held["metrics"], *(m for m in names if m not in held["metrics"])]
                continue
            source = dict(source)
            before = source.pop("before", None)
            order = list(known["sources"].items())
            index = len(order)
            if before is not None:
                if before not in known["sources"]:
                    here.at("before").wrong(before, known["sources"])
                index = list(known["sources"]).index(before)
            order.insert(index, (family, source))
            known["sources"] = dict(order)
            origin[name, family] = file


def _same(place: _Place, entry: Mapping[str, Any], known: Mapping[str, Any], but: str) -> None:
    """A later file may add to an entry, and not change what it says."""
    for key, value in entry.items():
        if key != but and known.get(key) != value:
            place.at(key).fail(
                f"{value!r} differs from {known.get(key)!r}, which is known already; a later file adds sources and "
                "metrics, and cannot change an entry: leave the key out, or use another name"
            )


def _signal(name: str, entry: Mapping[str, Any], origin: Mapping[tuple[str, str], str]) -> Signal:
    place = _Place(origin[name, ""]).at("signals").at(name)
    for key in ("unit", "sources"):
        if not entry.get(key):
            place.fail(f"the key {key!r} is missing")
    unit = place.at("unit").text(entry["unit"])
    role = place.at("role").choice(entry.get("role", "chain"), model.ROLES)
    floor = place.at("floor").number(entry.get("floor", 1e-9), lambda x: x > 0, "a number above 0, in the unit")
    about = place.at("about").text(entry.get("about", name))
    strays = place.at("strays").choice(entry.get("strays", "both"), model.STRAYS)
    sources = []
    for rank, (family, source) in enumerate(entry["sources"].items()):
        here = _Place(origin[name, family]).at("signals").at(name).at("sources").at(family)
        sources.append(_source(here, name, family, rank, unit, source))
    return Signal(name, about, unit, role, floor, tuple(sources), strays)


def _source(place: _Place, signal: str, family: str, rank: int, unit: str, entry: Mapping[str, Any]) -> Source:
    reads = [key for key in ("metrics", "sum_of", "log", "flow") if key in entry]
    if len(reads) != 1:
        found = " and ".join(repr(key) for key in reads) or "none"
        place.fail(f"one of 'metrics', 'sum_of', 'log' and 'flow' says what to read; found {found}")
    for key in ("component", "entity"):
        if key not in entry:
            place.fail(f"the key {key!r} is missing")
    log, flow = None, None
    pseudo = f"{reads[0]}:{signal}/{family}"  # what samples made of logs and flows are called
    if reads[0] in ("log", "flow"):
        meant_for_metrics = ("over", "where", "how", "within", "quantile", "least")
        for key in meant_for_metrics:
            if key in entry:
                place.at(key).fail(f"has no meaning beside {reads[0]!r}; leave it out")
        terms: tuple[tuple[str, ...], ...] = ((pseudo,),)
        if reads[0] == "log":
            log = _log(place.at("log"), entry["log"])
        else:
            flow = _flow(place.at("flow"), entry["flow"])
        how: model.How = "increase" if flow is not None and flow.measure == "sources" else "rate"
    else:
        if reads[0] == "metrics":
            terms = (place.at("metrics").strings(entry["metrics"]),)
        else:
            terms = place.at("sum_of").lists(entry["sum_of"])
        if "how" not in entry:
            place.fail(f"the key 'how' is missing; allowed are {', '.join(model.HOWS)}")
        how = place.at("how").choice(entry["how"], model.HOWS)
    quantile = entry.get("quantile")
    if how == "quantile":
        quantile = place.at("quantile").number(quantile, lambda x: 0 < x < 1, "a number between 0 and 1")
        if len(terms) > 1 or "over" in entry:
            place.fail("a quantile is read from one metric: 'sum_of' and 'over' have no meaning beside it")
    elif quantile is not None:
        place.at("quantile").fail(f"has no meaning beside how: {how}; leave it out")
    types = tuple(place.at("entity").choice(t, model.ENTITY_TYPES) for t in place.at("entity").strings(entry["entity"]))
    least = entry.get("least")
    return Source(
        signal=signal,
        family=family,
        rank=rank,
        component=place.at("component").choice(entry["component"], model.COMPONENTS),
        types=types,
        unit=place.at("unit").text(entry.get("unit", unit)),
        how=how,
        terms=terms,
        over=place.at("over").lists(entry["over"]) if "over" in entry else (),
        where=_where(place.at("where"), entry.get("where", {})),
        identity=place.at("identity").strings(entry["identity"]) if "identity" in entry else (),
        within=place.at("within").choice(entry.get("within", "mean"), model.WITHIN),
        across=place.at("across").choice(entry.get("across", "sum"), model.ACROSS),
        scale=place.at("scale").number(entry.get("scale", 1.0), lambda x: x > 0, "a number above 0"),
        quantile=quantile,
        least=None if least is None else place.at("least").number(least, lambda x: True, "a number"),
        log=log,
        flow=flow,
    )


def _where(place: _Place, found: object) -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    where = []
    for names, pattern in place.mapping(found, None).items():
        where.append((tuple(names.split("|")), place.at(names).pattern(pattern)))
    return tuple(where)


def _log(place: _Place, found: object) -> LogPattern:
    entry = place.mapping(found, ("severity", "body"))
    if not entry:
        place.fail("say which records count, by 'severity', by 'body' or by both")
    severity = place.at("severity").pattern(entry["severity"], re.IGNORECASE) if "severity" in entry else None
    body = place.at("body").pattern(entry["body"], re.IGNORECASE) if "body" in entry else None
    return LogPattern(severity, body)


def _flow(place: _Place, found: object) -> FlowCount:
    entry = place.mapping(found, ("address", "count"))
    for key in ("address", "count"):
        if key not in entry:
            place.fail(f"the key {key!r} is missing")
    address = place.at("address").choice(entry["address"], ("source", "destination"))
    return FlowCount(address, place.at("count").choice(entry["count"], ("bytes", "packets", "sources")))


def _check_shared_metrics(signals: Iterable[Signal], origin: Mapping[tuple[str, str], str]) -> None:
    """One sample goes to one shard and is read one way, so the sources that share a metric must agree on both."""
    first: dict[str, Source] = {}
    for signal in signals:
        for source in signal.sources:
            for name in (name for terms in (source.terms, source.over) for names in terms for name in names):
                other = first.setdefault(name, source)
                for key, ours, theirs in (
                    ("entity", source.types, other.types),
                    ("identity", source.identity, other.identity),
                    ("how", _reading(source), _reading(other)),
                ):
                    if ours != theirs:
                        place = _Place(origin[source.signal, source.family]).at("signals").at(source.signal)
                        place.at("sources").at(source.family).at(key).fail(
                            f"{_shown(ours)} differs from {_shown(theirs)} of signals.{other.signal}.sources."
                            f"{other.family}, which reads {name!r} too; sources of one metric must agree on it"
                        )


def _reading(source: Source) -> str:
    """How samples of the source are taken; what is made of them afterwards may differ."""
    return "counter" if source.how in ("rate", "increase", "quantile") else source.how


def _shown(value: object) -> str:
    return "[" + ", ".join(value) + "]" if isinstance(value, tuple) else str(value)


class _Place:
    """Where in which file we are, so that each error says it."""

    def __init__(self, file: str, path: tuple[str, ...] = ()) -> None:
        self.file = file
        self.path = path

    def at(self, key: object) -> _Place:
        return _Place(self.file, (*self.path, str(key)))

    def fail(self, message: str) -> NoReturn:
        raise UsageError(f"{self.file}: {'.'.join(self.path) or 'top level'}: {message}")

    def wrong(self, found: object, allowed: Iterable[str] | str) -> NoReturn:
        if isinstance(allowed, str):
            self.fail(f"found {found!r}; allowed is {allowed}")
        names = list(allowed)
        near = difflib.get_close_matches(str(found), names, 1)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        self.fail(f"found {found!r}{hint}; allowed are {', '.join(names)}")

    def mapping(self, found: object, keys: Sequence[str] | None) -> Mapping[str, Any]:
        """`found` as a mapping with text keys, of which only `keys` are allowed (None: any)."""
        if not isinstance(found, Mapping):
            self.wrong(found, "a mapping of keys to values")
        for key in found:
            if not isinstance(key, str):
                self.wrong(key, "a key that is text: put it in quotes")
            if keys is not None and key not in keys:
                near = difflib.get_close_matches(key, keys, 1)
                hint = f"; the nearest is {near[0]!r}" if near else ""
                self.fail(f"unknown key {key!r}{hint}; allowed are {', '.join(keys)}")
        return found

    def text(self, found: object) -> str:
        if not isinstance(found, str) or not found:
            self.wrong(found, "text (put it in quotes)")
        return found

    def choice(self, found: object, allowed: Sequence[str]) -> Any:
        if not isinstance(found, str) or found not in allowed:
            self.wrong(found, allowed)
        return found

    def number(self, found: object, ok: Callable[[float], bool], allowed: str) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found) or not ok(found):
            self.wrong(found, allowed)
        return float(found)

    def strings(self, found: object) -> tuple[str, ...]:
        if not isinstance(found, list) or not found or not all(isinstance(item, str) and item for item in found):
            self.wrong(found, "a list of one or more texts")
        return tuple(found)

    def lists(self, found: object) -> tuple[tuple[str, ...], ...]:
        if not isinstance(found, list) or not found:
            self.wrong(found, "a list of lists of texts, e.g. [[a, a_total], [b]]")
        return tuple(self.strings(item) for item in found)

    def pattern(self, found: object, flags: int = 0) -> re.Pattern[str]:
        if not isinstance(found, str):
            self.wrong(found, "a regular expression as text (put it in quotes)")
        try:
            return re.compile(found, flags)
        except re.error as error:
            self.fail(f"{found!r} is not a regular expression: {error}")
