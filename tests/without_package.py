"""Code run by a process of its own that cannot import this package, as on a machine that does not have it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

_REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'babylm_hf':
            raise ImportError('babylm_hf is not here')
sys.meta_path.insert(0, Refuse())
"""
_CHECK = "\nassert 'babylm_hf' not in sys.modules\n"


def run_without_package(code: str, *arguments: Any) -> None:
    """Run `code`, which finds the arguments in `sys.argv[1:]`; the test fails with what it said where it fails."""
    command = [sys.executable, "-c", _REFUSE + code + _CHECK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
