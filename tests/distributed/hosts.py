"""Two hosts on one machine: namespaces of Linux with a network, a name, processes and, if wanted, disks of their own.

Needs root, `ip` of iproute2 and `unshare` of util-linux. A cable (a veth pair) joins the two; it can be pulled.

    with two_hosts(folder) as hosts:
        first = hosts[0].start(["hostname"])
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

IN_HOST = 'hostname "$1"; mount --bind "$2" /etc/hosts; shift 2; exec "$@"'


@dataclass
class Host:
    """One of them.

    Attributes:
        name: of the host, and of its network namespace.
        address: by which the other one reaches it.
        hosts: a file with the names of both.
        cable: its end of the veth pair.
    """

    name: str
    address: str
    hosts: Path
    cable: str
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, command: list[str], output: Path, **environment: str) -> subprocess.Popen:
        """Start a command on the host; its output goes to a file. Killing it kills all that it has started."""
        own = ["unshare", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        inside = ["bash", "-c", IN_HOST, "bash", self.name, str(self.hosts), *command]
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *own, *inside],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        self.started.append(process)
        return process

    def unplug(self) -> None:
        """Pull the cable: nothing arrives any more, and nobody is told."""
        _run("ip", "-n", self.name, "link", "set", self.cable, "down")


def why_not() -> str | None:
    """Why there can be no such hosts here; None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, to make network namespaces"
    if missing := [name for name in ("ip", "unshare", "mount") if shutil.which(name) is None]:
        return f"needs {missing[0]}"
    probe = f"probe-{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode != 0:
        return "may not make network namespaces here"
    _run("ip", "netns", "del", probe)
    return None


@contextmanager
def two_hosts(folder: Path) -> Iterator[list[Host]]:
    """Both, joined by a cable; what still runs on them is killed at the end."""
    mark = uuid.uuid4().hex[:6]
    names = folder / "hosts"
    hosts = [Host(f"node{i}-{mark}", f"10.77.0.{i + 1}", names, f"c{i}-{mark}") for i in (0, 1)]
    names.write_text("127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in hosts))
    try:
        for host in hosts:
            _run("ip", "netns", "add", host.name)
        one, two = hosts
        _run("ip", "link", "add", one.cable, "netns", one.name, "type", "veth", "peer", two.cable, "netns", two.name)
        for host in hosts:
            _run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", host.cable)
            for device in ("lo", host.cable):
                _run("ip", "-n", host.name, "link", "set", device, "up")
        yield hosts
    finally:
        for host in hosts:
            for process in host.started:
                process.kill()
                process.wait()
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
