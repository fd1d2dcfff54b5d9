"""Names for what a seed invents: drawn without replacement, so that no two things share one."""

from __future__ import annotations

import numpy as np

_POOLS = {
    "owner": """
        aldra brume cobalt dorsal elmet fenwick garnet halden isobar juniper kestrel lathe mimas nadir
        osprey pallas quarry rowan sable tarn umber vesper wicket xenon yarrow zephyr
    """,
    "duty": """
        system-backup db-dump log-archiver image-sync report-builder snapshot-export index-rebuild
        media-transcode ledger-close catalog-export mail-spool search-reindex
    """,
    "stream": """
        clicks device-events orders sensor_readings payments.raw audit telemetry-v2 positions page_views
        meter-data sessions alarms traces.sampled bids shipments
    """,
    "job": """
        enricher sessionizer geo-join deduplicator rollup-5m fraud-features anonymizer unit-price joiner_v3
        tagger normalizer hydrator flattener matcher windowed-counts
    """,
    "receiver": """
        receiver intake gateway-ingest collector-front uplink event-api edge-writer acceptor
    """,
    "space": """
        streaming ingest data-platform realtime analytics prod-eu team-nimbus edge platform-core iot
        lakehouse
    """,
    "tenant": """
        thumbnailer registry-mirror feature-store invoice-render wiki build-cache ml-scratch artifacts
    """,
    "svm": """
        svm1 svm-prod-02 vs_data nfs_svm3 svm_dr
    """,
}


class Names:
    """Draws names for one seed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pools: dict[str, list[str]] = {}
        self._rounds: dict[str, int] = {}

    def _left(self, pool: str) -> list[str]:
        if pool not in self._pools:
            words = _POOLS[pool].split()
            self._pools[pool] = [words[index] for index in self._rng.permutation(len(words))]
            self._rounds[pool] = 1
        if not self._pools[pool]:
            self._rounds[pool] += 1
            self._pools[pool] = [f"{word}{self._rounds[pool]}" for word in _POOLS[pool].split()]
        return self._pools[pool]

    def _draw(self, pool: str) -> str:
        return self._left(pool).pop()

    def reserve(self, pool: str, word: str) -> None:
        """Keeps `word` from being drawn."""
        self._left(pool).remove(word)

    def machine(self) -> str:
        """A virtual machine: an owner and a duty."""
        return f"{self._draw('owner')}-{self._draw('duty')}"

    def stream(self) -> str:
        """A topic."""
        return self._draw("stream")

    def job(self) -> str:
        """A processing job."""
        return self._draw("job")

    def receiver(self) -> str:
        """An ingestion deployment."""
        return self._draw("receiver")

    def space(self) -> str:
        """A Kubernetes namespace."""
        return self._draw("space")

    def tenant(self) -> str:
        """A deployment that uses a volume for work of its own."""
        return self._draw("tenant")

    def svm(self) -> str:
        """A storage virtual machine."""
        return self._draw("svm")

    def owner(self) -> str:
        """A word that names a team or site."""
        return self._draw("owner")

    def hexadecimal(self, digits: int) -> str:
        """`digits` random hexadecimal digits."""
        return "".join("0123456789abcdef"[index] for index in self._rng.integers(0, 16, digits))

    def suffix(self, length: int = 5) -> str:
        """The random end of a pod's name."""
        return "".join("bcdfghjklmnpqrstvwxz2456789"[index] for index in self._rng.integers(0, 27, length))

    def address(self) -> str:
        """A private IPv4 address."""
        left = self._pools.setdefault("address", [])
        if not left:
            block = int(self._rng.integers(10, 250))
            left.extend(f"10.{block}.{host // 250}.{host % 250 + 2}" for host in self._rng.permutation(2000))
        return left.pop()
