"""One writer per label folder: two jobs that share a folder would judge the same lists twice."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labeling import LabelingError

LOCK_FILE = "lock"

logger = logging.getLogger(__name__)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; the system releases it with the process, however that ends.

    Raises:
        LabelingError: another process holds it.
    """
    with (folder / LOCK_FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise LabelingError(
                f"{folder}: a label job is at work here ({holder}); wait for its end or take another folder"
            ) from None
        except OSError as error:
            # some network file systems lock nothing; a single job is as well off without
            logger.warning("%s cannot be locked (%s): see to it that no second job works here", folder, error.strerror)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
