"""How `babylm-hf` behaves: quick help with examples, guesses at slips, colours, completion, exit statuses."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import sys

import pytest
from tiny import REPOSITORY

from babylm_hf.cli import COMMANDS, build_parser, main
from babylm_hf.commands.examples import EXAMPLES, FIRST
from babylm_hf.errors import Preempted
from babylm_hf.parsing import commands_of, did_you_mean
from babylm_hf.sweep import find_recipe, load_recipe
from babylm_hf.terminal import coloured, harmless, no_bars_without_a_terminal, paint

LEAVES = dict(commands_of(build_parser()))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["evaluate", "--help"], ["--version"], []], ids=str)
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys; sys.argv = ['babylm-hf', *sys.argv[1:]]\n"
        "from babylm_hf.cli import main\n"
        "try: main()\nexcept SystemExit as stopped: assert stopped.code == 0\n"
        "heavy = {'torch', 'transformers', 'numpy', 'datasets', 'huggingface_hub', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_shows_examples_that_it_understands(name):
    shown = LEAVES[name].format_help()
    assert EXAMPLES[name]
    for line in EXAMPLES[name]:
        assert f"\n  {line}\n" in shown + "\n"
        words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
        assert " ".join(words).startswith(name)
        options, rest = build_parser().parse_known_args(words)
        assert callable(options.action)
        if rest:
            load_recipe(find_recipe(options.recipe)).parse(rest)


def test_the_help_of_all_has_examples_and_exit_statuses():
    shown = build_parser().format_help()
    assert set(EXAMPLES) == set(LEAVES)
    assert all(line in shown for line in FIRST)
    assert all(f"\n  {status} " in shown for status in (0, 1, 2, 75, 130))
    assert all(name.replace("_", "-") in shown for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["evaluat", "m"], "evaluate"),
        (["evaluate", "m", "--taks", "blimp"], "--tasks"),
        (["tokenizer", "train", "x", "--oot", "y"], "--out"),
        (["corpus", "stat", "x"], "stats"),
        (["corpus", "mix", "x", "--out", "y", "--method", "rond_robin"], "round_robin"),
        (["sweep", "hard_decy", "--seeds", "0"], "hard_decay"),
        (["sweep", "hard_decay", "--seeds", "0", "--maskng", "hard"], "--masking"),
        (["inspect", "plan", "hard_decay", "--masking", "hrad"], "hard"),
        (["new-recipe", "x", "--like", "difusion_cosine"], "diffusion_cosine"),
    ],
    ids=str,
)
def test_a_slip_is_answered_with_what_was_meant(capsys, words, meant):
    sentence = refused(capsys, *words)
    assert f"did you mean {meant}?" in sentence
    assert sentence.count("\n") == 1


def test_what_is_like_nothing_is_not_guessed_at(capsys):
    assert did_you_mean("xyzzy", ["corpus", "compare"]) == ""
    sentence = refused(capsys, "xyzzy")
    assert "corpus" in sentence
    assert "did you mean" not in sentence


def test_what_a_model_writes_commands_no_terminal():
    assert harmless("a\n\tb é 猫") == "a\n\tb é 猫"
    assert harmless("\x1b[2Ja\x07\x9b\r") == "\ufffd[2Ja\ufffd\ufffd\ufffd"


def test_colours_are_for_terminals_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("a", "red", Terminal()) == "\033[31ma\033[0m"
    assert paint("a", "red", io.StringIO()) == "a"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())


def test_no_bars_where_nobody_looks(monkeypatch):
    names = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
    for name in names:
        monkeypatch.setenv(name, "")  # so that the test's own setting is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stderr", Terminal())
    no_bars_without_a_terminal()
    import os

    assert not any(name in os.environ for name in names)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    no_bars_without_a_terminal()
    assert all(os.environ[name] == "1" for name in names)
    from babylm_hf.training import BabyLMTrainingArguments

    assert BabyLMTrainingArguments("out", use_cpu=True).disable_tqdm is True
    assert BabyLMTrainingArguments("out", use_cpu=True, disable_tqdm=False).disable_tqdm is False


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_scripts_are_whole(capsys, tmp_path, shell):
    main(["completion", shell])
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    assert "new-recipe" in script.read_text()
    assert "--official-results" in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(script)], check=True)


def test_bash_completes(capsys, tmp_path):
    main(["completion", "bash"])
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    line = (
        f"source {script}; COMP_WORDS=(babylm-hf ev); COMP_CWORD=1; COMP_LINE='babylm-hf ev'; "
        "$(complete -p babylm-hf | sed 's/.*-F \\([^ ]*\\).*/\\1/') babylm-hf ev babylm-hf; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["evaluate"]


def test_a_run_that_was_asked_to_stop_says_so_by_its_status(capsys, monkeypatch):
    def stop(options):
        raise Preempted("asked to stop at step 3")

    monkeypatch.setattr("babylm_hf.commands.card.render_card", stop)
    with pytest.raises(SystemExit) as stopped:
        main(["card", "run"])
    assert stopped.value.code == 75
    assert capsys.readouterr().err == "stopped: asked to stop at step 3\n"


def test_a_pipe_that_is_closed_is_no_traceback():
    command = f"{sys.executable} -m babylm_hf.cli completion bash | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert "Traceback" not in done.stderr


def test_the_words_of_a_recipe_may_be_json_where_scripts_want_it(capsys):
    with_json = [name for name, parser in LEAVES.items() if "--json" in parser.options()]
    for name in ("doctor", "corpus stats", "inspect plan", "evaluate", "finetune", "compare", "publish", "submission"):
        assert name in with_json
    main(["doctor", "--json"])
    assert json.loads(capsys.readouterr().out)["checks"]
