"""Fixtures of the tests of the documentation."""

from __future__ import annotations

import pytest
from docs.workplace import make_workplace
from hub.conftest import hub

__all__ = ["hub"]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A folder with small runs, texts and data under the names that the pages use; not to be written to."""
    return make_workplace(tmp_path_factory.mktemp("workplace"))
