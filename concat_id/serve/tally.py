"""What the router counts: who waits, what runs, what became of all jobs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS_BUCKETS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
OUTCOMES = ("done", "failed", "refused", "stopped")


class Tally:
    """What is counted, and who waits, in the order of coming."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.waiting: list[Delivery] = []
        self.running = 0
        self._ended = Counter(
            "concat_id_jobs", "Jobs by how they ended.", ["outcome"], registry=self._registry
        )
        self.restarted = Counter(
            "concat_id_restarts", "Jobs that began anew after a replica died.", registry=self._registry
        )
        self._seconds = Histogram(
            "concat_id_job_seconds",
            "From a job's arrival to its video.",
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )
        for outcome in OUTCOMES:
            self._ended.labels(outcome)  # so that those that never happened are there, as 0
        waiting = Gauge("concat_id_waiting_jobs", "Jobs that wait for a replica.", registry=self._registry)
        waiting.set_function(lambda: len(self.waiting))
        running = Gauge("concat_id_running_jobs", "Jobs that a replica works on.", registry=self._registry)
        running.set_function(lambda: self.running)

    def print(self) -> bytes:
        """All figures, in Prometheus' format."""
        return generate_latest(self._registry)

    def end(self, outcome: str, seconds: float | None = None) -> None:
        """Count a job that has ended.

        Args:
            seconds: that a finished video took.
        """
        self._ended.labels(outcome).inc()
        if seconds is not None:
            self._seconds.observe(seconds)


class Delivery:
    """One job on its way: it waits, or a replica runs it."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.is_running = False
        tally.waiting.append(self)

    @property
    def ahead(self) -> int:
        """How many jobs begin before."""
        return self._tally.waiting.index(self)

    def begin(self) -> None:
        """A replica has taken it."""
        if not self.is_running:
            self._tally.waiting.remove(self)
            self._tally.running += 1
            self.is_running = True

    def leave(self) -> None:
        """It neither waits nor runs any longer."""
        if self.is_running:
            self._tally.running -= 1
        else:
            self._tally.waiting.remove(self)

    def return_to_queue(self) -> None:
        """Its replica is gone."""
        self.leave()
        self.is_running = False
        self._tally.waiting.append(self)
