"""Starting Ray Serve on this machine: replicas of a preset, and the router before them."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from concat_id.errors import AddressInUse, InvalidJob, MissingPackage
from concat_id.loading.devices import choose_device
from concat_id.loading.load import make_ready, pipeline_folder
from concat_id.loading.memory import plan_memory
from concat_id.loading.presets import PRESETS
from concat_id.loading.weights import Fetching
from concat_id.validation import require_integer

LOGGER = logging.getLogger(__name__)

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MAX_REPLICAS, MAX_THREADS = 64, 256
# How long a replica may not answer before it counts as dead: a machine may have much else to do.
HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 5, 60

STARTS = 3
QUIETLY = {"log_level": "WARNING", "enable_access_log": False}


@dataclass(frozen=True)
class Server:
    """What is to be served, and where; values are checked when it is started.

    Attributes:
        threads: of a replica on the processor.
        device, memory: see `load_pipeline`; on "cuda", each replica has a GPU of its own.
    """

    preset: str
    replicas: int = 1
    threads: int = 1
    host: str = "127.0.0.1"
    port: int = 8000
    device: str | None = None
    memory: str | None = None

    @property
    def presets(self) -> list[str]:
        """Those that can be asked for: the preset, and the draft of the same model."""
        return list(filter(None, (self.preset, PRESETS[self.preset].draft)))

    @contextmanager
    def start(self) -> Iterator[str]:
        """Serve as long as the context lasts, with a Ray of its own; gives the address once all are loaded.

        Raises:
            InputError: what is wrong with the values, the machine or the installation.
        """
        require_integer("replicas", self.replicas, 1, MAX_REPLICAS)
        require_integer("threads", self.threads, 1, MAX_THREADS)
        self._check_address()
        self._set_environment()
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise MissingPackage(
                f"Ray Serve is not installed; run: pip install -r {os.path.relpath(REQUIREMENTS)}"
            ) from error
        device = self._choose_device()
        self._make_ready(device)
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        # What a replica that is killed leaves behind goes with the server.
        with tempfile.TemporaryDirectory(prefix="concat-id-serve-") as folder:
            self._start_ray()
            try:
                serve.start(http_options={"host": self.host, "port": self.port}, logging_config=QUIETLY)
                self._deploy(device, Path(folder))
                yield f"http://{self.host}:{self.port}"
            finally:
                ray.shutdown()

    def _set_environment(self) -> None:
        """What Ray reads when it is imported, and its processes inherit."""
        os.environ |= {
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": str(self.threads),
            # Ray's own ports are open to other machines, and whoever may use them can run programs.
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }

    def _start_ray(self) -> None:
        """Start Ray on this machine; its own half a minute for that is not enough where much else runs."""
        import ray

        for left in reversed(range(STARTS)):
            try:
                ray.init(
                    "local",
                    num_cpus=self.replicas * self.threads,
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                )
                return
            except Exception as error:  # Ray has no name for it
                if "timed out during startup" not in str(error) or not left:
                    raise

    def _deploy(self, device: str, folder: Path) -> None:
        """Make the replicas and the router, and wait for them."""
        from ray import serve

        from concat_id.serve.replica import Replica
        from concat_id.serve.router import APPLICATION, REPLICA, Router

        patience = {"health_check_period_s": HEALTH_PERIOD_S, "health_check_timeout_s": HEALTH_TIMEOUT_S}
        replica = serve.deployment(
            Replica,
            name=REPLICA,
            num_replicas=self.replicas,
            max_ongoing_requests=1,
            ray_actor_options={"num_cpus": self.threads, "num_gpus": int(device == "cuda")},
            graceful_shutdown_timeout_s=1,
            **patience,
        )
        router = serve.deployment(
            serve.ingress()(Router),
            # As many connections as come: the router itself says how many jobs may wait.
            max_ongoing_requests=10_000,
            ray_actor_options={"num_cpus": 0},
            graceful_shutdown_timeout_s=1,
            **patience,
        )
        bound = replica.bind(self.preset, device, self.memory, folder)
        serve.run(
            router.bind(bound, self.presets, self.replicas),
            name=APPLICATION,
            logging_config=QUIETLY,
        )

    def _choose_device(self) -> str:
        """The device of each replica; on GPUs, there must be one for each."""
        import torch

        device = choose_device(self.device)
        if not device.startswith("cuda"):
            return device
        if device != "cuda":
            raise InvalidJob(f"device is '{device}'; give cuda: each replica gets a GPU of its own.")
        gpus = torch.cuda.device_count()
        if self.replicas > gpus:
            raise InvalidJob(f"replicas is {self.replicas}, and GPUs are {gpus}; give as many at most.")
        return device

    def _make_ready(self, device: str) -> None:
        """Fetch what the preset lacks, once for all replicas, and refuse a mode of memory it cannot have."""
        for event in make_ready(self.preset):
            if isinstance(event, Fetching):
                LOGGER.info("Fetching %s, file %d of %d", event.name, event.index + 1, event.total)
        plan_memory(self.memory, device, pipeline_folder(self.preset))

    def _check_address(self) -> None:
        """Refuse an address that Ray Serve would try in vain, over and over."""
        try:
            with socket.create_server((self.host, self.port)):
                pass
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise AddressInUse(
                f"nothing can be served at {self.host}:{self.port} ({reason}); give another --port or --host."
            ) from error


def serve_until_stopped(server: Server) -> NoReturn:
    """Serve until Ctrl+C, or until the process is told to end."""
    with server.start() as url:
        # Now: Ray sets a handler of its own, which prints where the program was.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        count = f"{server.replicas} replica{'s' if server.replicas > 1 else ''}"
        LOGGER.info("Serving %s, %s, at %s", PRESETS[server.preset].title, count, url)
        while True:
            signal.pause()
