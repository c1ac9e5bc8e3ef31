"""What docs/security.md promises."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from jinja2.exceptions import SecurityError
from tiny import REPOSITORY, tiny_model, tiny_tokenizer

from babylm_hf.arguments import MaskingArguments
from babylm_hf.errors import OptionError
from babylm_hf.evaluation.models import CheckpointLoader, load_for_scoring
from babylm_hf.masking.factory import _prior
from babylm_hf.publishing.markdown import environment

SOURCES = [*sorted((REPOSITORY / "babylm_hf").rglob("*.py")), *sorted((REPOSITORY / "recipes").rglob("*.py"))]
UNPICKLES = {("pickle", "load"), ("pickle", "loads"), ("torch", "load"), ("joblib", "load"), ("dill", "load")}
UNPACKS = {"tarfile", "zipfile"}


def calls(tree):
    """(what, name) of every call of an attribute, and its keyword arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr, {k.arg: ast.unparse(k.value) for k in node.keywords}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield "", node.func.id, {k.arg: ast.unparse(k.value) for k in node.keywords}


def test_nothing_is_unpickled_evaluated_or_unpacked():
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for what, name, options in calls(tree):
            wrong = (
                (what, name) in UNPICKLES or options.get("allow_pickle") == "True" or (what, name) == ("yaml", "load")
            )
            wrong |= what == "" and name in ("eval", "exec", "__import__")
            wrong |= name in ("unpack_archive", "extractall")
            wrong |= options.get("trust_remote_code") == "True"  # only the user says so
            assert not wrong, f"{path.name}: {what}.{name}"
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not imported & UNPACKS, path.name


def test_a_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "prior.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(OptionError, match="cannot be read as numbers"):
        _prior(str(tmp_path / "prior.npy"))
    assert MaskingArguments().mask_prior is None


@pytest.fixture
def with_code(tmp_path):
    """A model folder that brings code of its own, and the file that shows whether it was run."""
    folder, mark = tmp_path / "model", tmp_path / "code was run"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    code = f"open({str(mark)!r}, 'w').close()\nfrom transformers import BertConfig as C, BertForMaskedLM as M\n"
    code += "class Config(C):\n    model_type = 'own'\nclass Model(M):\n    config_class = Config\n"
    (folder / "modeling_own.py").write_text(code)
    config = json.loads((folder / "config.json").read_text())
    auto_map = {"AutoConfig": "modeling_own.Config", "AutoModelForMaskedLM": "modeling_own.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": auto_map}))
    return folder, mark


def test_code_of_a_model_is_run_only_where_the_user_says_so(with_code):
    folder, mark = with_code
    for load in (load_for_scoring, CheckpointLoader().load):
        with pytest.raises(OptionError, match="brings its own code"):
            load(folder)
        assert not mark.exists()
    model, _ = load_for_scoring(folder, trust_remote_code=True)
    assert mark.exists()
    assert type(model).__name__ == "Model"


def test_weights_that_are_a_pickle_are_not_run(tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "code was run"),)

    tiny_tokenizer().save_pretrained(tmp_path / "model")
    tiny_model().config.save_pretrained(tmp_path / "model")
    torch.save({"weights": Evil()}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(OptionError, match="cannot be loaded"):
        load_for_scoring(tmp_path / "model", backend="mlm")
    assert not (tmp_path / "code was run").exists()


def test_templates_run_in_a_sandbox_and_data_is_text():
    jinja = environment([])
    with pytest.raises(SecurityError):
        jinja.from_string("{{ ''.__class__.__mro__[1].__subclasses__() }}").render()
    shown = jinja.from_string("{{ name }}").render(name="<script>x</script> {{ 7 * 7 }} | [a](b)")
    assert "<script>" not in shown.replace("\\<", "")
    assert "49" not in shown
    assert r"\|" in shown


def test_commands_and_recipes_send_no_telemetry():
    code = "import os; from babylm_hf.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
    code += "print(os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY, check=True)
    assert done.stdout.splitlines()[-1] == "1"


@pytest.fixture
def asked(monkeypatch):
    """Every name that is looked up and every address that is connected to outside this machine; both fail."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    found = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def looking_up(host, *args, **options):
        if host not in (None, "localhost", "127.0.0.1", "::1", b"localhost"):
            found.append(host)
            raise OSError("no network in this test")
        return look_up(host, *args, **options)

    def connecting(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            found.append(address)
            raise OSError("no network in this test")
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", looking_up)
    monkeypatch.setattr(socket.socket, "connect", connecting)
    return found


def test_a_run_asks_nobody_for_anything(tmp_path, asked, monkeypatch):
    import importlib

    from tiny import TINY_RECIPE

    monkeypatch.setattr("babylm_hf.publishing.card.drawings", lambda curves: [])
    recipe = importlib.import_module("hard_decay").RECIPE
    few = ["--max_steps", "4", "--milestones", "none", "--output_dir", str(tmp_path / "run")]
    recipe.run(recipe.parse([*TINY_RECIPE, *few]))
    load_for_scoring(tmp_path / "run")
    assert asked == []
