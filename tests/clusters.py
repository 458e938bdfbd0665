"""A real Dask cluster on this machine: a scheduler and worker processes that tests start, may kill, and that end with the module."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from shared import ROOT, until

pytest.importorskip("distributed", reason='tests of a cluster need Dask: pip install "subemb[cluster]"')


class Cluster:
    """A scheduler at ``address``; ``workers`` are its processes, of one thread each, without a nanny that would start them again."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None):
        self.folder, self.log = folder, folder / "cluster.log"
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        self.environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **(environment or {})}
        self.workers: list[subprocess.Popen] = []
        self._scheduler_file = folder / "scheduler.json"
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        until(lambda: self._scheduler_file.exists() and self._scheduler_file.read_text().strip().endswith("}"))
        self.address = json.loads(self._scheduler_file.read_text())["address"]

    def add_worker(self, **environment: str) -> subprocess.Popen:
        """One more worker; tasks wait until it has joined."""
        worker = self._start("dask_worker", "--nthreads", "1", "--no-nanny", "--memory-limit", "0", **environment)
        self.workers.append(worker)
        return worker

    def _start(self, command: str, *arguments: str, **environment: str) -> subprocess.Popen:
        files = ["--scheduler-file", str(self._scheduler_file), "--no-dashboard"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", *files, *arguments],
                env={**self.environment, **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> None:
        """End all of it."""
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait(20)
