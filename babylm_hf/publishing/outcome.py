"""What a publication came to, and what is said of what has not arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .retry import status_of


@dataclass
class Outcome:
    """What a publication came to.

    Attributes:
        sent: branches that got a commit.
        unchanged: branches that held everything already.
        failed: branch -> why it is not there.
    """

    sent: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)

    def complaint(self, repo_id: str, run_dir: Path) -> str:
        """What has not arrived, why, and what to do."""
        by_reason: dict[str, list[str]] = {}
        for name, error in self.failed.items():
            by_reason.setdefault(short(error), []).append(name)
        reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
        total = len(self.failed) + len(self.sent) + len(self.unchanged)
        return (
            f"{len(self.failed)} of {total} parts did not arrive at {repo_id} ({reasons}). Nothing is lost: "
            f"`babylm-hf publish {run_dir} --repo-id {repo_id}` goes on from here"
        )


def short(error: BaseException) -> str:
    """An error on one line, with its HTTP status if it has one."""
    text = " ".join(str(error).split()) or type(error).__name__
    status = status_of(error)
    prefix = f"{status}: " if status is not None and str(status) not in text else ""
    return prefix + (text if len(text) <= 300 else text[:297] + "...")
