"""Which series the agents export: the model's motion in the words of nginx, Kafka, Flink, cAdvisor and Harvest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from afoot.simulate.agents import Series, Target
from afoot.simulate.physics import STEP_S, FloatArray, Motion
from afoot.simulate.world import Machine, Pipeline, Pod, World

POINT_BUDGET = 200_000
SCRAPES = (10, 15, 30, 60)
MEBIBYTE = 2.0**20


class Meter:
    """Turns the motion of a world into scrape targets."""

    def __init__(self, world: World, motion: Motion) -> None:
        self.world, self.motion = world, motion
        self._rng = world.rng("meter")
        self._constant = np.ones(world.steps)
        self._restarts = self._choose_restarts()

    def targets(self) -> list[Target]:
        """All targets, at the seed's scrape interval or the next longer one that keeps the capture small."""
        found: list[Target] = []
        for pipeline in self.world.pipelines:
            found += self._router(pipeline) + self._ingestion(pipeline) + self._job(pipeline)
        found += self._brokers() + self._lags() + self._workloads() + self._nodes()
        if self.world.style.machine_family == "node":
            found += [self._exporter(machine) for machine in self.world.machines]
        if self.world.style.volume_family == "harvest":
            found += self._harvest()
        series = sum(len(target.series) for target in found)
        for scrape_s in SCRAPES:
            if scrape_s >= self.world.style.scrape_s and series * self.world.seconds / scrape_s <= POINT_BUDGET:
                break
        scrape_s = self.world.size.scrape_s if self.world.size else scrape_s
        for target in found:
            target.interval_s = scrape_s
        return found

    # -- helpers -------------------------------------------------------------------------------------------------

    def _target(self, job: str, address: str, extra: Mapping[str, str] | None = None) -> Target:
        host, _, port = address.partition(":")
        resource = {
            "service.name": job,
            "service.instance.id": address,
            "server.address": host,
            "server.port": port,
            "url.scheme": "http",
        }
        return Target({**resource, **(extra or {})}, self.world.style.scrape_s)

    def _start(self) -> float:
        return float(np.floor(np.exp(self._rng.uniform(np.log(1e3), np.log(1e8)))))

    def _counter(self, name: str, labels: Mapping[str, str], rate: FloatArray, unit: str = "", pod: str = "") -> Series:
        """A counter of something that happens at `rate` a second; whole numbers but for seconds."""
        return Series(
            name, "counter", labels, rate * STEP_S, unit, unit != "s", self._start(), resets=self._restarts.get(pod, ())
        )

    def _gauge(self, name: str, labels: Mapping[str, str], level: FloatArray, noise: float = 0.02) -> Series:
        return Series(name, "gauge", labels, level, noise=noise)

    def _choose_restarts(self) -> dict[str, tuple[float, ...]]:
        """In some seeds one pod that nobody's write lag hangs on restarts once, and its counters begin again."""
        pods = [pod for workload in self.world.workloads for pod in workload.pods]
        pods += [pod for pipeline in self.world.pipelines[1:] for pod in pipeline.receivers]
        if not pods or self._rng.random() < 0.4:
            return {}
        return {pods[self._rng.integers(len(pods))].id: (float(self._rng.uniform(0.2, 0.8) * self.world.seconds),)}

    def _silences(self, kind: str) -> tuple[tuple[float, float], ...]:
        return tuple((since, until) for what, since, until in self.world.silent if what == kind)

    def _host(self, name: str, port: int) -> dict[str, str]:
        label = self.world.style.host_label
        return {label: f"{name}:{port}" if label == "instance" else name}

    def ops(self, load: int, part: str) -> FloatArray:
        """Operations/s of a tenant, by step: part is write or read."""
        reads = self.world.loads[load].read_part
        found: FloatArray = self.motion.ops[load] * (reads if part == "read" else 1 - reads)
        return found

    def _container(self, pod: Pod, container: str, cores: FloatArray, memory: float, bytes_in: FloatArray,
                   bytes_out: FloatArray) -> list[Series]:  # fmt: skip
        labels = {"namespace": pod.namespace, "pod": pod.name, "container": container}
        network = {"namespace": pod.namespace, "pod": pod.name, "interface": "eth0"}
        restarts = np.zeros(self.world.steps)
        for at in self._restarts.get(pod.id, ()):
            restarts[int(at // STEP_S) :] = 1
        jitter = np.maximum(1 + self._rng.normal(0, 0.04, self.world.steps), 0.1)
        return [
            self._counter("container_cpu_usage_seconds_total", labels, cores * jitter, "s", pod.id),
            self._gauge("container_memory_working_set_bytes", labels, memory * self._constant, 0.01),
            self._counter("container_network_receive_bytes_total", network, bytes_in, "By", pod.id),
            self._counter("container_network_transmit_bytes_total", network, bytes_out, "By", pod.id),
            Series("kube_pod_container_status_restarts_total", "gauge", labels, restarts, integer=True),
        ]

    def _files(self, pod: Pod, container: str, load: int, part: float) -> list[Series]:
        labels = {"namespace": pod.namespace, "pod": pod.name, "container": container, "device": "/dev/nvme1n1"}
        size = self.world.loads[load].op_bytes
        found = []
        for word, way in (("writes", "write"), ("reads", "read")):
            rate = self.ops(load, way) * part
            found.append(self._counter(f"container_fs_{word}_total", labels, rate, "", pod.id))
            found.append(self._counter(f"container_fs_{word}_bytes_total", labels, rate * size, "By", pod.id))
        for series in found:
            series.silent = self._silences("tenants")
        return found

    # -- the chain -----------------------------------------------------------------------------------------------

    def _router(self, pipeline: Pipeline) -> list[Target]:
        world = self.world
        arrivals = self.motion.arrived[pipeline.flow] / STEP_S
        requests = arrivals / pipeline.records_per_request
        namespace, ingress = pipeline.ingress
        labels = {
            "controller_class": "k8s.io/ingress-nginx",
            "controller_namespace": "ingress-nginx",
            "host": f"{ingress}.example.com",
            "ingress": ingress,
            "namespace": namespace,
            "service": pipeline.deployment[1],
        }
        target = self._target("ingress-nginx", f"{pipeline.address}:10254")
        failing = float(self._rng.uniform(0.0005, 0.003))
        for status, part in (("200", 1 - failing), ("503", failing)):
            series = self._counter("nginx_ingress_controller_requests", {**labels, "status": status}, requests * part)
            target.series.append(series)
        busy = np.minimum(arrivals / world.flows[pipeline.flow].ingestion_limit, 0.95)
        mean = pipeline.request_s / (1 - busy) * np.maximum(1 + self._rng.normal(0, 0.03, world.steps), 0.5)
        target.series.append(
            Series(
                "nginx_ingress_controller_request_duration_seconds",
                "histogram",
                {**labels, "method": "POST", "path": "/v1/data", "status": "200"},
                requests * STEP_S,
                "s",
                level=mean,
            )
        )
        return [target]

    def _ingestion(self, pipeline: Pipeline) -> list[Target]:
        flow = self.motion
        bytes_in = flow.arrived[pipeline.flow] / STEP_S * pipeline.record_bytes / len(pipeline.receivers)
        bytes_out = flow.ingested[pipeline.flow] / STEP_S * pipeline.record_bytes * 0.62 / len(pipeline.receivers)
        cores = 0.05 + bytes_in / (1.2 * pipeline.rate * pipeline.record_bytes / len(pipeline.receivers))
        found = []
        for pod in pipeline.receivers:
            target = self._target("kubelet", f"{self.world.nodes[pod.node][1]}:10250")
            skew = float(self._rng.uniform(0.9, 1.1))
            memory = float(self._rng.uniform(150, 900)) * MEBIBYTE
            container = pipeline.deployment[1]
            target.series = self._container(pod, container, cores * skew, memory, bytes_in * skew, bytes_out * skew)
            labels = {"namespace": pod.namespace, "pod": pod.name, "quantile": "0.5"}
            target.series.append(self._gauge("go_gc_duration_seconds", labels, 8e-5 * self._constant, 0.2))
            found.append(target)
        state = self._target("kube-state-metrics", f"{self.world.nodes[0][1]}:8080")
        labels = {"namespace": pipeline.deployment[0], "deployment": pipeline.deployment[1]}
        for name in ("kube_deployment_spec_replicas", "kube_deployment_status_replicas_ready"):
            level = len(pipeline.receivers) * self._constant
            state.series.append(Series(name, "gauge", labels, level, integer=True))
        return [*found, state]

    def _brokers(self) -> list[Target]:
        found = []
        world, motion = self.world, self.motion
        for broker in world.brokers:
            host = self._host(broker, 9404)
            target = self._target("kafka", f"{broker}:9404", host)
            for pipeline in world.pipelines:
                size = pipeline.record_bytes * 0.6 / len(world.brokers) / STEP_S
                skew = float(self._rng.uniform(0.9, 1.1))
                for word, records in (("bytesin", motion.ingested), ("bytesout", motion.written)):
                    rate = records[pipeline.flow] * size * skew
                    name = f"kafka_server_brokertopicmetrics_{word}_total"
                    target.series.append(self._counter(name, {"topic": pipeline.topic}, rate, "By"))
            for quantile, level in (("0.50", 2.0), ("0.99", 14.0)):
                labels = {"request": "Produce", "quantile": quantile}
                level *= float(self._rng.uniform(0.7, 1.4))
                name = "kafka_network_requestmetrics_totaltimems"
                target.series.append(self._gauge(name, labels, level * self._constant, 0.08))
            name = "kafka_server_replicamanager_underreplicatedpartitions"
            target.series.append(Series(name, "gauge", {}, 0 * self._constant, integer=True))
            found.append(target)
        return found

    def _lags(self) -> list[Target]:
        name = self.world.style.consumer_lag
        group_label, topic_label, partition_label = {
            "kafka_consumergroup_lag": ("consumergroup", "topic", "partition"),
            "kminion_kafka_consumer_group_topic_partition_lag": ("group_id", "topic_name", "partition_id"),
        }.get(name, ("group", "topic", "partition"))
        target = self._target("kafka-lag", f"{self.world.nodes[-1][1]}:9308")
        for pipeline in self.world.pipelines:
            rate = self.motion.ingested[pipeline.flow] / STEP_S
            waiting = (self.motion.backlog[pipeline.flow] + rate * pipeline.flush_s) / pipeline.topic_partitions
            for partition in range(pipeline.topic_partitions):
                labels = {group_label: pipeline.group, topic_label: pipeline.topic, partition_label: str(partition)}
                target.series.append(Series(name, "gauge", labels, waiting, integer=True, noise=0.1))
        return [target]

    def _job(self, pipeline: Pipeline) -> list[Target]:
        world, motion, flow = self.world, self.motion, pipeline.flow
        workers = len(pipeline.workers)
        written = motion.written[flow] / STEP_S
        limit = world.flows[flow].processor_limit
        waiting = motion.backlog[flow] > motion.arrived[flow]
        blocked = np.clip(1.0 - written / limit, 0.0, 1.0) * waiting
        latency = motion.latency_s[pipeline.claim.volume] / world.volumes[pipeline.claim.volume].disk.base_latency_s
        job_id = f"{int(self._rng.integers(2**62)):032x}"
        parts = self._rng.dirichlet(np.full(workers, 200.0))
        found = []
        for number, (pod, part) in enumerate(zip(pipeline.workers, parts.tolist(), strict=True)):
            where = {"namespace": pod.namespace, "pod": pod.name} if world.style.pods_on_job_metrics else {}
            task = {
                **where,
                "host": pod.address.replace(".", "_"),
                "job_id": job_id,
                "job_name": pipeline.job_label,
                "subtask_index": str(number),
                "task_name": "Sink:_Writer",
                "tm_id": pod.name,
            }
            operator = {**task, "operator_name": "Sink:_Writer"}
            lag = motion.lag_s[flow] + pipeline.flush_s * np.maximum(1 + self._rng.normal(0, 0.12, world.steps), 0.3)
            name = world.style.write_lag
            target = self._target("flink", f"{pod.address}:9249")
            target.series = [
                self._gauge(name, operator, lag * 1000 if name.endswith("EventTimeLag") else lag, 0.03),
                self._gauge("flink_taskmanager_job_task_operator_numRecordsOutPerSecond", operator, written * part),
                self._gauge(
                    "flink_taskmanager_job_task_busyTimeMsPerSecond", task, 1000.0 * np.minimum(written / limit, 1.0)
                ),
                self._gauge("flink_taskmanager_job_task_backPressuredTimeMsPerSecond", task, 1000 * blocked, 0.05),
            ]
            bytes_in = written * part * pipeline.record_bytes * 0.6
            kubelet = self._target("kubelet", f"{world.nodes[pod.node][1]}:10250")
            cores = 0.1 + 1.5 * part * written / limit
            memory = float(self._rng.uniform(1500, 6000)) * MEBIBYTE
            kubelet.series = self._container(pod, "flink-main-container", cores, memory, bytes_in, bytes_in * 0.1)
            kubelet.series += self._files(pod, "flink-main-container", pipeline.load, part)
            found += [target, kubelet]
        manager = self._target("flink", f"{pipeline.workers[0].address}:9250")
        labels = {"job_id": job_id, "job_name": pipeline.job_label, "host": "jobmanager"}
        duration = float(self._rng.uniform(300, 2500)) * (0.7 + 0.3 * latency / float(np.median(latency)))
        manager.series = [
            self._gauge("flink_jobmanager_job_lastCheckpointDuration", labels, duration, 0.08),
            Series("flink_jobmanager_job_numRestarts", "gauge", labels, 0 * self._constant, integer=True),
        ]
        return [*found, manager]

    # -- storage and those who share it --------------------------------------------------------------------------

    def on_volume(self, volume: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Read and write operations/s, and read and write bytes/s, of a volume by step."""
        totals = np.zeros((4, self.world.steps))
        for index, load in enumerate(self.world.loads):
            here = self.motion.home[index] == volume
            reads, writes = self.ops(index, "read") * here, self.ops(index, "write") * here
            totals += np.stack([reads, writes, reads * load.op_bytes, writes * load.op_bytes])
        return totals[0], totals[1], totals[2], totals[3]

    def _harvest(self) -> list[Target]:
        target = self._target("harvest", f"{self.world.nodes[0][1]}:12990")
        for index, volume in enumerate(self.world.volumes):
            labels = {
                "cluster": "cvo-1",
                "node": "cvo-1-01",
                "aggr": volume.aggregate,
                "style": "flexvol",
                **volume.labels,
            }
            reads, writes, read_bytes, write_bytes = self.on_volume(index)
            microseconds = self.motion.latency_s[index] * 1e6
            for name, level in (
                ("volume_read_ops", reads),
                ("volume_write_ops", writes),
                ("volume_total_ops", reads + writes),
                ("volume_read_data", read_bytes),
                ("volume_write_data", write_bytes),
                ("volume_avg_latency", microseconds),
            ):
                silent = self._silences(volume.id)
                target.series.append(Series(name, "mean", labels, level, noise=0.015, silent=silent))
        return [target]

    def _workloads(self) -> list[Target]:
        found = []
        for workload in self.world.workloads:
            parts = self._rng.dirichlet(np.full(len(workload.pods), 50.0))
            for pod, part in zip(workload.pods, parts.tolist(), strict=True):
                target = self._target("kubelet", f"{self.world.nodes[pod.node][1]}:10250")
                steady = float(self._rng.uniform(1e4, 1e6)) * self._constant
                memory = float(self._rng.uniform(100, 2000)) * MEBIBYTE
                target.series = self._container(
                    pod, workload.deployment[1], 0.2 * self._constant, memory, steady, steady
                )
                target.series += self._files(pod, workload.deployment[1], workload.load, part)
                found.append(target)
        return found

    def _processor_time(self, host: Mapping[str, str], busy: FloatArray, waiting: FloatArray) -> list[Series]:
        """CPU seconds by mode and the load average, for a host with one CPU counted."""
        jitter = np.maximum(1 + self._rng.normal(0, 0.05, self.world.steps), 0.1)
        user = np.clip(busy * 0.8 * jitter, 0, 0.85)
        parts = {"user": user, "system": user / 4, "iowait": np.minimum(waiting, 0.9 - user)}
        parts["idle"] = np.maximum(1 - sum(parts.values()), 0.0)
        found = [
            self._counter("node_cpu_seconds_total", {**host, "cpu": "0", "mode": mode}, part, "s")
            for mode, part in parts.items()
        ]
        return [*found, self._gauge("node_load1", host, busy * 2 + waiting * 2 + 0.1, 0.1)]

    def _nodes(self) -> list[Target]:
        found = []
        for number, (name, address) in enumerate(self.world.nodes):
            busy = np.full(self.world.steps, float(self._rng.uniform(0.1, 0.45)))
            waiting = np.full(self.world.steps, 0.01)
            for pipeline in self.world.pipelines:
                share = sum(pod.node == number for pod in pipeline.workers) / len(pipeline.workers)
                base = self.world.volumes[pipeline.claim.volume].disk.base_latency_s
                slow = self.motion.latency_s[pipeline.claim.volume] / base
                waiting = waiting + 0.01 * share * slow
            host = self._host(name, 9100)
            target = self._target("node-exporter", f"{address}:9100", host)
            target.series = self._processor_time({}, busy, waiting)
            found.append(target)
        return found

    def _exporter(self, machine: Machine) -> Target:
        work = self.motion.ops[machine.load]
        top = max(float(work.max()), 1.0)
        label = self.world.style.host_label
        plain = machine.host == machine.name
        host = self._host(machine.name, 9100) if plain else {label: f"{machine.address}:9100"}
        target = self._target("node-exporter", f"{machine.address}:9100", host)
        disk = {"device": "nvme1n1"}
        size = self.world.loads[machine.load].op_bytes
        io: list[Series] = []
        for device, writes, reads, op_bytes in (
            (disk, self.ops(machine.load, "write"), self.ops(machine.load, "read"), size),
            ({"device": "nvme0n1"}, machine.root_writes * self._constant, 0.1 * self._constant, 8192.0),
        ):
            io += [
                self._counter("node_disk_writes_completed_total", device, writes),
                self._counter("node_disk_written_bytes_total", device, writes * op_bytes, "By"),
                self._counter("node_disk_reads_completed_total", device, reads),
                self._counter("node_disk_read_bytes_total", device, reads * op_bytes, "By"),
            ]
        for series in io:
            series.silent = self._silences("tenants")
        target.series = io + self._processor_time({}, 0.04 + 0.4 * work / top, 0.3 * work / top)
        return target
