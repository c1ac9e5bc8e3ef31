"""Strings from data stay strings in Markdown, and numbers read well."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError
from markupsafe import Markup

from babylm_hf.publishing import markdown
from babylm_hf.publishing.card import template_folder


def render(folder, text, **context):
    (folder / "card.jinja").write_text(text, encoding="utf-8")
    return markdown.environment([folder]).get_template("card.jinja").render(**context)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("hard_decay", "hard_decay"),
        ("_loud_", r"\_loud\_"),
        ("a|b", r"a\|b"),
        ("*x* `y` ~z~", r"\*x\* \`y\` \~z\~"),
        ("<script>&", r"\<script\>&amp;"),
        ("[here](http://x)", r"\[here\](http://x)"),
        ("two\nlines\t ", "two lines"),
        ("# no heading", r"\# no heading"),
        ("1. no list", r"\1. no list"),
        (r"back\slash $5$", r"back\\slash \$5\$"),
    ],
)
def test_escape(text, escaped):
    assert markdown.escape(text) == escaped
    assert markdown.escape(markdown.escape(text)) == escaped, "what is safe is not escaped twice"


def test_templates_escape_what_they_print_but_not_their_own_text(tmp_path):
    text = "**{{ name }}** | {{ name | cell_code }} | {{ number }}{% macro m(x) %}*{{ x }}*{% endmacro %} {{ m(name) }}"
    assert render(tmp_path, text, name="a|*", number=3) == r"**a\|\*** | `a\|*` | 3 *a\|\**"


@pytest.mark.parametrize("text", ["{{ unknown }}", "{{ data.unknown }}", "{% if unknown %}x{% endif %}"])
def test_an_undefined_name_is_an_error(tmp_path, text):
    with pytest.raises(UndefinedError, match="unknown"):
        render(tmp_path, text, data={})


def test_templates_run_in_a_sandbox(tmp_path):
    with pytest.raises(SecurityError):
        render(tmp_path, "{{ ''.__class__.__mro__[1].__subclasses__() }}")


def test_code_and_blocks_cannot_be_left():
    assert markdown.code("a`b") == "``a`b``"
    assert markdown.code("`a`") == "`` `a` ``"
    block = markdown.fenced("x\n```\n<!-- babylm_hf:end usage -->\n", "text")
    assert block.startswith("````text\n")
    assert block.endswith("\n````")
    assert "<!-- babylm_hf:end" not in block
    assert markdown.quoted('x"\n```') == '"x\\"\\n`\\u0060`"'


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (markdown.count, 34_677_952, "34,677,952"),
        (markdown.short, 9_999, "9,999"),
        (markdown.short, 10_000, "10 k"),
        (markdown.short, 999_499, "999 k"),
        (markdown.short, 999_999, "1 M"),
        (markdown.short, 34_677_952, "34.7 M"),
        (markdown.filesize, 52_345, "52.3 kB"),
        (markdown.filesize, 12, "12 B"),
        (markdown.number, 3.14159, "3.142"),
        (markdown.number, None, "not finite"),
        (markdown.percent, 0.7125, "71.2 %"),
        (markdown.setting, None, "none"),
        (markdown.setting, True, "true"),
        (markdown.setting, [1, "a"], '[1, "a"]'),
        (markdown.duration, 59.7, "1 min 0 s"),
        (markdown.duration, 12, "12 s"),
        (markdown.duration, 3599, "59 min 59 s"),
        (markdown.duration, 5000, "1 h 23 min"),
    ],
)
def test_numbers_read_well(function, value, text):
    assert function(value) == text


def test_counts_and_lists_in_prose():
    assert markdown.plural(1, "pass", "passes") == "1 pass"
    assert markdown.plural(1200, "word") == "1,200 words"
    assert markdown.listed([]) == ""
    assert markdown.listed(["a|b", Markup("*c*"), "d"]) == r"a\|b, *c* and d"


def test_formulas_survive_a_reader_that_takes_markdown_first():
    """The Hub reads Markdown before formulas, and Markdown eats a backslash before a sign."""
    for path in sorted(template_folder().glob("*.jinja")):
        for formula in re.findall(r"\$\$.*?\$\$", path.read_text(encoding="utf-8"), re.DOTALL):
            assert not re.search(r"\\[^A-Za-z\s]", formula), f"{path.name}: {formula}"
