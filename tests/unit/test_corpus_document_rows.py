"""Rows of one document each: nothing lost, nothing twice, words counted."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tiny import tiny_causal_tokenizer, tiny_lines

from babylm_hf.corpus import DocumentRows, TokenStream


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    text = folder / "text.txt"
    text.write_text("\n".join([*tiny_lines()[:50], "a " * 200, *tiny_lines()[50:60]]) + "\n", encoding="utf-8")
    return TokenStream.build([text], tiny_causal_tokenizer(), cache_dir=folder / "cache")


@pytest.mark.parametrize("length", [8, 16, 64, 1000])
def test_rows_hold_every_token_once_in_order(stream, length):
    rows = DocumentRows(stream)
    count = rows.num_rows(length)
    got = rows.fetch(length, np.arange(count))
    assert got["input_ids"].shape[1] <= length
    flat = got["input_ids"][got["attention_mask"] == 1]
    assert np.array_equal(flat, np.asarray(stream.tokens))
    assert (got["input_ids"][got["attention_mask"] == 0] == stream.info.pad_id).all()
    assert rows.row_words(length).sum() == stream.info.num_words
    assert np.array_equal(rows.row_words(length), rows.fetch_word_starts(length, np.arange(count)).sum(1))


def test_a_document_begins_every_row_that_fits(stream):
    rows = DocumentRows(stream)
    assert rows.num_rows(1000) == stream.info.num_documents
    begun = rows.fetch(1000, np.arange(rows.num_rows(1000)))["input_ids"]
    assert (begun[:, 0] == tiny_causal_tokenizer().bos_token_id).all()
    assert not (begun[:, 1:] == tiny_causal_tokenizer().bos_token_id).any()


def test_width_is_that_of_the_rows_asked_for(stream):
    rows = DocumentRows(stream)
    widths = {rows.fetch(1000, [row])["input_ids"].shape[1] for row in range(rows.num_rows(1000))}
    assert len(widths) > 2
    assert all(width % 8 == 0 for width in widths)


def test_its_fingerprint_is_its_own_and_it_travels(stream):
    rows = DocumentRows(stream)
    assert rows.fingerprint != stream.fingerprint
    sent = pickle.loads(pickle.dumps(rows))
    assert sent.fingerprint == rows.fingerprint
    assert np.array_equal(sent.fetch(16, [3, 1])["input_ids"], rows.fetch(16, [3, 1])["input_ids"])
    with pytest.raises(IndexError, match="asked of a text with"):
        rows.fetch(16, [rows.num_rows(16)])
