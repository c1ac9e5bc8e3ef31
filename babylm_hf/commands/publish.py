"""`babylm-hf publish`: bring a run to the Hub."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError

if TYPE_CHECKING:
    from ..publishing.packages import Package


def add(commands: Any) -> None:
    """`babylm-hf publish`."""
    publish = commands.add_parser("publish", help="bring a run to the Hub, or what of it is not there yet")
    publish.add_argument("run", type=Path, help="the output folder of a recipe")
    publish.add_argument("--repo-id", "--repo_id", help="namespace/name; without it the one published to before")
    publish.add_argument(
        "--public", action="store_true", help="open the repository to everybody; it is private without"
    )
    publish.add_argument("--tag", help="mark the final model as this release, such as v1")
    publish.add_argument("--partial", action="store_true", help="publish what is there of a run that is not complete")
    publish.add_argument("--dry-run", "--dry_run", action="store_true", help="print the files and send nothing")
    publish.add_argument("--json", action="store_true", help="print JSON")
    publish.set_defaults(action=publish_run)


def publish_run(options: argparse.Namespace) -> None:
    """Publish every milestone to a branch of its own and the final model to `main`."""
    from huggingface_hub import HfApi

    from ..publishing import HubPublisher
    from ..publishing.packages import RunFolder

    repo_id = options.repo_id or (RunFolder(options.run).record.manifest.get("card") or {}).get("repo_id")
    if repo_id is None:
        raise OptionError(f"{options.run} was not published before; say where with --repo-id namespace/name")
    publisher = HubPublisher(HfApi(), repo_id, options.run, private=not options.public)
    if options.dry_run:
        packages = publisher.plan(options.partial)
        if options.json:
            print(json.dumps({"repo_id": repo_id, "branches": [_as_data(package) for package in packages]}, indent=1))
        else:
            print_plan(packages, repo_id)
        return
    outcome = publisher.publish(partial=options.partial, tag=options.tag)
    url = f"{publisher.api.endpoint}/{publisher.repo_id}"
    if options.json:
        print(json.dumps({"url": url, "sent": list(outcome.sent), "unchanged": list(outcome.unchanged)}, indent=1))
        return
    for name in outcome.sent:
        print(f"{name:<12} sent and found whole")
    if outcome.unchanged:
        print(f"{len(outcome.unchanged)} unchanged: {', '.join(outcome.unchanged)}")
    print(url)


def _as_data(package: Package) -> dict[str, Any]:
    files = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in package.files]
    return {"revision": package.revision, "files": files, "left_out": package.left_out}


def print_plan(packages: list[Package], repo_id: str) -> None:
    """The exact files that would be sent, and those that would not."""
    for package in packages:
        print(f"{repo_id}, branch {package.revision}: {len(package.files)} files, {package.size:,} bytes")
        for file in package.files:
            print(f"  {file.size:>13,}  {file.sha256[:12]}  {file.path}")
        for name, reason in package.left_out.items():
            print(f"  {'stays here':>27}  {name}  ({reason})")
    print("nothing was sent")
