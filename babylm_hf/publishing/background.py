"""Publishing while training goes on: another process sends each milestone as it is saved and never disturbs the run.

What cannot be sent stays on a list and is tried again with the next milestone, and at the end. If a process dies
nothing is lost either: what has not arrived is found by comparing the run with the Hub.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from ..errors import PublishError
from .files import parse_line
from .outcome import Outcome
from .publisher import HubPublisher
from .worker import send, settings_of

logger = logging.getLogger(__name__)

# Found where this package was found, also where a script put it on its path by itself.
_START = "import sys; sys.path.append(sys.argv[1]); from babylm_hf.publishing.worker import main; main()"


class BackgroundPublisher:
    """A publisher in a process of its own, see `worker`.

    Args:
        publisher: says what goes where; it sends itself what the other process leaves undone. Its run has to be on
            disk by the first `submit`.
        gives_way: whether the process runs only where nothing else wants the processor.
    """

    def __init__(self, publisher: HubPublisher, gives_way: bool = True) -> None:
        self.publisher, self.gives_way = publisher, gives_way
        self.outcome = Outcome()
        self._waiting: dict[str, None] = {}  # in order; the reader takes out what has arrived
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def submit(self, revision: str) -> None:
        """Have a branch published; its folder is complete and is not written to any more."""
        self._waiting[revision] = None
        if self._process is None:
            self._start()
        self._tell(revision)

    def _start(self) -> None:
        from huggingface_hub import constants

        as_here = {name: str(int(getattr(constants, name))) for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET")}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(Path(__file__).resolve().parents[2])],
            env={**os.environ, **as_here},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._listen, name="babylm_hf publisher", daemon=True)
        self._reader.start()
        self._tell({**settings_of(self.publisher), "gives_way": self.gives_way})

    def _tell(self, what: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError:  # it has died; what it leaves undone is sent at the end
            logger.debug("the publisher's process is gone")

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = parse_line(line.encode())
            if told is not None:
                failed: dict[str, Exception] = {name: PublishError(why) for name, why in told["failed"].items()}
                self._note(Outcome(told["sent"], told["unchanged"], failed))

    def _note(self, outcome: Outcome) -> None:
        for name in (*outcome.sent, *outcome.unchanged):
            self._waiting.pop(name, None)
        self.outcome.sent += outcome.sent
        self.outcome.unchanged += outcome.unchanged
        self.outcome.failed = outcome.failed
        for name, error in outcome.failed.items():
            logger.warning("%s could not be published yet: %s", name, error)

    def wait(self, raising: bool = True) -> Outcome:
        """Wait until everything submitted has been sent or has failed; what had failed is tried once more.

        Raises:
            PublishError: something has not arrived; the message says what, why and what to do.
        """
        if self._process is not None and self._reader is not None:
            self._tell(None)
            self._reader.join()
            self._process.communicate()
            self._process = None
        if self._waiting:
            self._note(send(self.publisher, list(self._waiting)))
        if self.outcome.failed and raising:
            raise PublishError(self.outcome.complaint(self.publisher.repo_id, self.publisher.run_dir))
        return self.outcome
