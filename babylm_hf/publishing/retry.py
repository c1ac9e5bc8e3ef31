"""Trying again: which failures of the network pass by themselves, and how long to wait for them."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOVED_ON = frozenset({409, 412})
_LONGEST_WAIT = 600.0


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, the newest first: clients wrap the failures of their uploads."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error comes from, if it comes from one."""
    for cause in causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def is_conflict(error: BaseException) -> bool:
    """Whether somebody else changed or deleted the branch meanwhile (409, 412, no such revision): look again."""
    from huggingface_hub.errors import RevisionNotFoundError

    return status_of(error) in _MOVED_ON or any(isinstance(cause, RevisionNotFoundError) for cause in causes(error))


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed later: no answer, a broken connection, 429 or a failure of the server."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return False
    status = status_of(error)
    if status is not None:
        return status in _PASSING
    return any(
        isinstance(cause, ConnectionError | TimeoutError)
        or (isinstance(cause, HTTPError) and not isinstance(cause, HfHubHTTPError))
        for cause in causes(error)
    )


def retry_after(error: BaseException) -> float | None:
    """Seconds that the server asks to be left alone, from its `Retry-After`; at most ten minutes."""
    for cause in causes(error):
        value: Any = getattr(getattr(cause, "response", None), "headers", {}).get("Retry-After")
        if value is None:
            continue
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (TypeError, ValueError):
                continue
        return min(max(seconds, 0.0), _LONGEST_WAIT)
    return None


@dataclass
class Retry:
    """Tries again after failures that pass, waiting twice as long each time and a random share more.

    Attributes:
        attempts: how often in all.
        first_wait: seconds before the second attempt.
        longest_wait: no wait is longer, unless the server asks for it.
        sleep: waits; tests put something faster here.
    """

    attempts: int = 6
    first_wait: float = 2.0
    longest_wait: float = 60.0
    sleep: Callable[[float], Any] = time.sleep
    random: random.Random = field(default_factory=random.Random)

    def __call__(self, work: Callable[[], Result], what: str) -> Result:
        """The result of `work`, which must be safe to repeat; its last error if no attempt succeeds."""
        for attempt in range(1, self.attempts):
            try:
                return work()
            except Exception as error:
                if not (is_passing(error) or is_conflict(error)):
                    raise
                wait = self.wait(attempt, error)
                logger.warning("%s failed (%s); trying again in %.0f s", what, _first_line(error), wait)
                self.sleep(wait)
        return work()

    def wait(self, attempt: int, error: BaseException) -> float:
        """Seconds before the next attempt."""
        asked = retry_after(error)
        if asked is not None:
            return asked
        doubled = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        return float(doubled * (1 + 0.25 * self.random.random()))


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
