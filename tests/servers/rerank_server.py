"""An HTTP re-rank server as a user starts it: its own environment, its own process, this machine's loopback alone."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLACE = "DISTILL_TEST_SERVER"
# a server imports torch and its own stack first, which takes long on a machine that does other work as well
PATIENCE_SECONDS = 300
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}


def find_server() -> Path | None:
    """The program of infinity that `make test-server` installed and names; None where there is none.

    Not looked for on this machine: `make test` is to take as long where it was once installed as anywhere else.
    """
    return Path(os.environ[PLACE]) if PLACE in os.environ else None


class InfinityServer:
    """infinity with one or more exported folders; a context manager, which ends it whatever happens inside.

    Args:
        program: path of `infinity_emb`.
        folders: an exported folder by the name under which it is asked for.
        scratch: folder for its log and for the cache that it keeps where it is started.
        engine: what loads the folders, "torch" or "optimum".
    """

    def __init__(self, program: Path, folders: Mapping[str, Path], scratch: Path, engine: str = "torch") -> None:
        self.port = _free_port()
        self._log = scratch / "server.log"
        self._command = [str(program), "v2", "--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]
        for name, folder in folders.items():
            self._command += ["--model-id", str(folder), "--served-model-name", name]
            self._command += ["--engine", engine, "--no-model-warmup"]
        self._scratch = scratch

    def __enter__(self) -> InfinityServer:
        # no proxy of this machine's and no token of its user's: what the server needs is in the folder
        names = ("PATH", "HOME", "LANG", "TMPDIR")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._scratch, env=kept | OFFLINE, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until_healthy(self) -> InfinityServer:
        """Return once the health page answers.

        Raises:
            RuntimeError: the server ended, or said nothing within `PATIENCE_SECONDS`; the end of its log is told.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return self
            except ConnectionError:
                time.sleep(0.2)
        told = f"ended with {self.process.poll()}" if self.process.poll() is not None else "does not answer"
        raise RuntimeError(f"the server {told}; its log ends\n{self.log()[-3000:]}")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read() or "null")
        finally:
            connection.close()

    def rerank(self, name: str, query: str, documents: Sequence[str], **options: Any) -> list[tuple[int, float]]:
        """Place in `documents` and score of each document, in the server's order.

        Raises:
            RuntimeError: the server refused the request; its answer is told.
        """
        body = {"model": name, "query": query, "documents": list(documents), **options}
        status, answer = self.ask("POST", "/rerank", body)
        if status != 200:
            raise RuntimeError(f"the server answered {status}: {answer}")
        return [(result["index"], result["relevance_score"]) for result in answer["results"]]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
