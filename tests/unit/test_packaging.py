"""The wheel holds everything a run needs, templates included. Slow: it builds one."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from tiny import REPOSITORY


@pytest.mark.slow
def test_the_wheel_holds_every_package_and_template(tmp_path):
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(REPOSITORY),
    ]
    subprocess.run(build, check=True, timeout=280)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    code = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "babylm_hf").rglob("*.py")}
    templates = {f"babylm_hf/modelcards/{path.name}" for path in (REPOSITORY / "modelcards").glob("*.jinja")}
    assert templates
    templates.add("babylm_hf/comparing/page.html.jinja")
    assert code | templates | {"babylm_hf/py.typed"} <= shipped
