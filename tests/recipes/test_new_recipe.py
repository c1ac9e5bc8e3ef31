"""`babylm-hf new-recipe`: the file says what it is, runs as it is, and nothing is overwritten."""

from __future__ import annotations

import pytest
from tiny import REPOSITORY, TINY_RECIPE

from babylm_hf.cli import main
from babylm_hf.inspection.plans import plan_facts
from babylm_hf.sweep import find_recipe, load_recipe

NAMES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.py"))


def written(tmp_path, name, like):
    main(["new-recipe", name, "--like", like, "--folder", str(tmp_path)])
    return tmp_path / f"{name}.py"


@pytest.mark.parametrize("like", NAMES)
def test_a_new_recipe_has_the_options_of_the_other_one(tmp_path, like):
    path = written(tmp_path, "mine", like)
    found, model = load_recipe(path), load_recipe(find_recipe(like))
    assert (found.name, found.paper, found.dataset) == ("mine", model.paper, model.dataset)
    assert (found.defaults, found.demo, found.gpu) == (model.defaults, model.demo, model.gpu)
    options = found.parse(["--demo"])
    assert options.training.output_dir == "runs/mine_demo"
    lines = path.read_text().splitlines()
    values = [i for i, line in enumerate(lines) if line.startswith('        "') and ":" in line]
    explained = [i for i in values if lines[i - 1].lstrip().startswith("#")]
    assert len(explained) >= len(model.defaults)


def test_it_runs(tmp_path, few_pairs):
    found = load_recipe(written(tmp_path, "mine", "hard_decay"))
    facts = plan_facts(found, found.parse([*TINY_RECIPE, "--output_dir", str(tmp_path / "dry")]), 0)
    assert facts["plan"]["total_steps"] > 1
    assert not (tmp_path / "dry").exists()
    output = tmp_path / "run"
    arguments = [*TINY_RECIPE, "--max_steps", "2", "--output_dir", str(output), "--eval_pairs", few_pairs]
    found.run(found.parse(arguments))
    assert "mine" in (output / "README.md").read_text()


@pytest.mark.parametrize("name", ["2nd", "a-b", "class", "a/b", ""])
def test_a_name_that_is_none_is_refused(tmp_path, capsys, name):
    with pytest.raises(SystemExit):
        main(["new-recipe", name, "--folder", str(tmp_path)])
    assert "letters, digits and underscores" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path, capsys):
    path = written(tmp_path, "mine", "hard")
    path.write_text("my work")
    with pytest.raises(SystemExit):
        written(tmp_path, "mine", "hard")
    assert path.read_text() == "my work"
    with pytest.raises(SystemExit):
        main(["new-recipe", "other", "--folder", str(tmp_path / "nowhere")])
    assert "name a folder that exists" in capsys.readouterr().err


def test_a_broken_recipe_is_named(tmp_path, capsys):
    (tmp_path / "broken.py").write_text("RECIPE = Recipe(")
    with pytest.raises(SystemExit) as stopped:
        main(["inspect", "plan", str(tmp_path / "broken.py")])
    assert stopped.value.code == 2
    assert "SyntaxError" in capsys.readouterr().err
