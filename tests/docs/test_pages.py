"""What the pages say is so: links lead somewhere, commands and options exist, code runs."""

from __future__ import annotations

import re
import tomllib

import pytest
from docs.markdown import FILES, PROGRAMS, anchors, blocks, commands, inline_options, links
from tiny import REPOSITORY

from babylm_hf.cli import build_parser
from babylm_hf.parsing import commands_of
from babylm_hf.recipe import recipe_parser
from babylm_hf.sweep import find_recipe, load_recipe

COMMANDS = [(where, words) for path in FILES for where, words in commands(path)]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
OTHERS = {
    "--help", "--version", "--config_file", "--num_processes", "--array", "--nodes", "--wandb", "--custom", "--flops",
    "--pretrained", "--eval_only", "--debug",
}  # fmt: skip
"""Options of other programs, and of the published code that a page tells about."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in links(path):
        if re.match(r"[a-z]+:", target):
            continue
        page, _, anchor = target.partition("#")
        there = (path.parent / page).resolve() if page else path
        assert there.exists(), f"{path.name} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{path.name} links to {target}"


def recipe_words(words):
    """(file, options) of a command that runs a recipe, or None."""
    for place, word in enumerate(words):
        if re.fullmatch(r"(recipes|examples)/\w+\.py", word):
            return word, words[place + 1 :]
    return None


@pytest.mark.parametrize(("where", "words"), COMMANDS, ids=[f"{where} {' '.join(w[:3])}" for where, w in COMMANDS])
def test_commands_are_understood(where, words, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    program, *rest = [word for word in words if word != "..."]
    if ">" in rest:
        rest = rest[: rest.index(">")]
    if program == "babylm-hf":
        options, left = build_parser().parse_known_args(rest)
        assert callable(options.action)
        if left:
            assert options.parser.takes_rest, f"{where}: unknown {left}"
            if options.recipe != "RECIPE":
                recipe = "hard_decay" if options.recipe.endswith("mine.py") else options.recipe
                load_recipe(find_recipe(recipe)).parse(left)
    elif program in ("accelerate", "sbatch", "python") and (found := recipe_words(rest)):
        file, options = found
        for word in rest[: rest.index(file)]:
            assert not word.endswith((".yaml", ".sbatch")) or (REPOSITORY / word).is_file(), f"{where}: no {word}"
        load_recipe(REPOSITORY / file).parse(options)
    elif program == "python" and rest and rest[0].endswith(".py"):
        source = (REPOSITORY / rest[0]).read_text()
        assert all(f'"{word}"' in source for word in rest[1:] if word.startswith("--")), where
    elif program == "make":
        assert all(re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE) for target in rest)
    elif program == "pip":
        extras = {extra for word in rest for group in re.findall(r"\[(.+)\]", word) for extra in group.split(",")}
        assert extras <= set(PROJECT["project"]["optional-dependencies"]), where


def test_there_are_commands_to_check():
    programs = {words[0] for _, words in COMMANDS}
    assert {"babylm-hf", "accelerate", "pip", "make"} <= programs <= set(PROGRAMS)
    shown = " ".join(" ".join(words) for _, words in COMMANDS if words[0] == "babylm-hf")
    assert [name for name, _ in commands_of(build_parser()) if f"babylm-hf {name}" not in shown] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_named_in_the_text_exist(path):
    known = {option for _, parser in commands_of(build_parser()) for option in parser.options()}
    known |= set(recipe_parser().options()) | OTHERS
    programs = [*REPOSITORY.glob("benchmarks/*.py"), *REPOSITORY.glob("tests/distributed/*.py")]
    known |= {option for file in programs for option in re.findall(r'"(--[\w-]+)"', file.read_text())}
    assert inline_options(path) <= known


def test_every_page_is_in_the_navigation():
    nav = (REPOSITORY / "mkdocs.yml").read_text().split("\nnav:")[1]
    for page in (REPOSITORY / "docs").rglob("*.md"):
        assert f" {page.relative_to(REPOSITORY / 'docs')}\n" in nav + "\n"


def test_the_policy_of_the_page_is_the_one_of_the_example():
    (block, *_) = [block for block in blocks(REPOSITORY / "docs" / "policy.md") if block.language == "python"]
    shown = block.text[block.text.index("class ") :].strip()
    assert shown in (REPOSITORY / "examples" / "first_mention.py").read_text()
    assert len(block.text.splitlines()) <= 30
