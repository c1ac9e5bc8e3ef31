"""Publishing while training goes on: a thread sends each milestone as it is saved and never disturbs the run.

What cannot be sent stays on a list and is tried again with the next milestone, and at the end. If the process dies
nothing is lost either: what has not arrived is found by comparing the run with the Hub.
"""

from __future__ import annotations

import logging
import queue
import threading
from functools import partial

from ..errors import PublishError
from .outcome import Outcome
from .publisher import HubPublisher

logger = logging.getLogger(__name__)


class BackgroundPublisher:
    """A publisher in a thread of its own.

    Args:
        publisher: does the work; its run has to be on disk by the first `submit`.
    """

    def __init__(self, publisher: HubPublisher) -> None:
        self.publisher = publisher
        self.outcome = Outcome()
        self._waiting: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def submit(self, revision: str) -> None:
        """Have a branch published; its folder is complete and is not written to any more."""
        if self._thread is None or not self._thread.is_alive():
            # A daemon: a run that fails must be able to end. What has not been sent is sent by the next `publish`.
            self._thread = threading.Thread(target=self._work, name="babylm_hf publisher", daemon=True)
            self._thread.start()
        self._queue.put(revision)

    def _work(self) -> None:
        while (revision := self._queue.get()) is not None:
            self._waiting.append(revision)
            if self._queue.empty():
                self._send_waiting()

    def _send_waiting(self) -> None:
        outcome = Outcome()
        self.publisher.send_all({name: partial(self._send, name) for name in self._waiting}, outcome)
        self._waiting = list(outcome.failed)
        self.outcome.sent += outcome.sent
        self.outcome.unchanged += outcome.unchanged
        self.outcome.failed = outcome.failed
        for name, error in outcome.failed.items():
            logger.warning("%s could not be published yet: %s", name, error)

    def _send(self, revision: str) -> bool:
        self.publisher.ensure_prepared()
        return self.publisher.send(self.publisher.run.package(revision))

    def wait(self, raising: bool = True) -> Outcome:
        """Wait until everything submitted has been sent or has failed; what had failed is tried once more.

        Raises:
            PublishError: something has not arrived; the message says what, why and what to do.
        """
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._thread = None
        if self._waiting:
            self._send_waiting()
        if self.outcome.failed and raising:
            raise PublishError(self.outcome.complaint(self.publisher.repo_id, self.publisher.run_dir))
        return self.outcome
