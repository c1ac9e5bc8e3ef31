"""A card that is rendered again keeps what a person wrote and nothing of what was generated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babylm_hf.errors import RunFolderError
from babylm_hf.publishing.blocks import join_card, merge, split_body, split_card


def block(name, text):
    return f"<!-- babylm_hf:begin {name} -->\n{text}\n<!-- babylm_hf:end {name} -->"


def card(*blocks, **metadata):
    return join_card(metadata, "\n\n".join(blocks) + "\n")


FRESH = card(block("one", "1"), block("two", "2"), block("three", "3"), license="mit", tags=["a"])


def test_rendering_again_changes_nothing():
    assert merge(FRESH, FRESH) == FRESH


def test_text_outside_the_blocks_stays_where_it_is():
    body = (
        f"My words first.\n\n{block('one', 'old')}\nBetween.\n{block('two', 'my edit')}\n{block('three', 'x')}\nLast."
    )
    expected = f"My words first.\n\n{block('one', '1')}\nBetween.\n{block('two', '2')}\n{block('three', '3')}\nLast."
    merged = merge(join_card({}, body), FRESH)
    assert split_card(merged)[1] == expected
    assert merge(merged, FRESH) == merged


@given(st.lists(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])), min_size=4, max_size=4))
def test_any_text_outside_survives_any_number_of_times(texts):
    texts = [text.replace("<!-- babylm_hf:", "") for text in texts]
    names = ("one", "two", "three")
    body = texts[0] + "".join(f"\n{block(name, 'old')}\n{text}" for name, text in zip(names, texts[1:], strict=True))
    merged = merge(join_card({"a": 1}, body), FRESH)
    outside = [part.text for part in split_body(split_card(merged)[1]) if part.name is None]
    assert outside == [part.text for part in split_body(body) if part.name is None]
    assert merge(merged, FRESH) == merged


def test_a_missing_block_comes_behind_the_one_before_it():
    old = card(block("one", "x"), "Mine.", block("three", "x"))
    parts = split_body(split_card(merge(old, FRESH))[1])
    assert [part.name for part in parts if part.name] == ["one", "two", "three"]
    assert "Mine." in parts[4].text, "between two and three"
    first_is_new = split_body(split_card(merge(card(block("two", "x")), FRESH))[1])
    assert [part.name for part in first_is_new if part.name] == ["one", "two", "three"]


def test_blocks_that_are_no_longer_made_or_stand_twice_go():
    old = card(block("one", "x"), block("gone", "x"), "Mine.", block("one", "x"))
    merged = merge(old, FRESH)
    assert "gone" not in merged
    assert merged.count("begin one") == 1
    assert "Mine." in merged


def test_a_card_without_blocks_is_a_persons_and_stays_below():
    merged = merge("# My model\n\nHand-written.\n", FRESH)
    assert merged.endswith("<!-- babylm_hf:end three -->\n\n# My model\n\nHand-written.\n")
    assert merge(merged, FRESH) == merged


def test_metadata_generated_wins_own_stays_scores_do_not_outlive_the_record():
    old = join_card(
        {"license": "gpl-3.0", "tags": ["a", "mine"], "widget": [{"text": "x"}], "model-index": [1], "metrics": ["m"]},
        block("one", "x"),
    )
    metadata, _ = split_card(merge(old, FRESH))
    assert metadata == {"license": "mit", "tags": ["a", "mine"], "widget": [{"text": "x"}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a\n<!-- babylm_hf:begin one -->\nx", "'one' has no end"),
        ("a\n<!-- babylm_hf:end one -->\nx", "line 2 .* 'one' has lost"),
        (f"<!-- babylm_hf:begin one -->\n{block('two', 'x')}", "line 2 .* 'one' has lost"),
        ("<!-- babylm_hf:begin one -->\n<!-- babylm_hf:end two -->", "'one' has lost"),
    ],
)
def test_a_damaged_card_is_named(body, message):
    with pytest.raises(RunFolderError, match=message):
        merge(body, FRESH, "README.md")


@pytest.mark.parametrize("front", ["---\n[1, 2\n---\n", "---\njust text\n---\n"])
def test_damaged_metadata_is_named(front):
    with pytest.raises(RunFolderError, match=r"metadata of README\.md"):
        merge(front + "body", FRESH, "README.md")
