"""Fixtures of the recipe tests."""

from __future__ import annotations

import json

import pytest

from babylm_hf.corpus.toy import toy_minimal_pairs


@pytest.fixture(scope="session")
def few_pairs(tmp_path_factory):
    """Two minimal pairs a paradigm: the final model is scored on all there are."""
    folder = tmp_path_factory.mktemp("pairs")
    for paradigm, pairs in toy_minimal_pairs(2, seed=0).items():
        (folder / f"{paradigm}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return str(folder)
