"""The report: what is averaged over what, a table that fits a terminal, figures that say what they show."""

from __future__ import annotations

import json
import struct

import pytest

from babylm_hf.errors import OptionError
from babylm_hf.evaluation.report import ScoreRow, as_dict, group_rows, phenomenon_figure, render_table, task_rows
from babylm_hf.evaluation.report import words_figure as draw_words

BLIMP = [
    ScoreRow("blimp", "binding", "principle_A_c_command", 0.9, 200, 0.5, floor=0.4),
    ScoreRow("blimp", "binding", "principle_A_case_1", 0.7, 100, 0.5, floor=0.6),
    ScoreRow("blimp", "ellipsis", "ellipsis_n_bar_1", 0.5, 200, 0.5, floor=0.5),
]
ENTITY = [
    ScoreRow("entity_tracking", "", "", 0.35, 30, 0.2),
    ScoreRow("entity_tracking", "regular", "", 0.3, 20, 0.2),
    ScoreRow("entity_tracking", "regular", "regular_0_ops", 0.2, 15, 0.2),
    ScoreRow("entity_tracking", "regular", "regular_1_ops", 0.4, 5, 0.2),
    ScoreRow("entity_tracking", "ambiref", "ambiref_0_ops", 0.4, 10, 0.2),
]
READING = [ScoreRow("reading", "", "", 0.055, 1726, None, floor=0.013, metric="delta R²")]
GLUE = [
    ScoreRow("glue", "", "rte", 0.56, 139, 0.52, spread=0.02, note="first 100 examples only"),
    ScoreRow("glue", "", "mrpc", 0.82, 204, 0.81, metric="F1"),
]


def lines_of(rows, **options):
    return {line[:44].strip(): line[44:].split() for line in render_table(rows, **options).splitlines()}


def test_scores_are_plain_means_over_paradigms_unless_the_task_brings_its_own():
    summaries = task_rows([*BLIMP, *ENTITY])
    blimp = summaries["blimp"]
    assert (blimp.score, blimp.n, blimp.chance, blimp.floor) == (pytest.approx(0.7), 500, 0.5, pytest.approx(0.5))
    assert summaries["entity_tracking"] is ENTITY[0]
    groups = group_rows([*BLIMP, *ENTITY], "blimp")
    assert {name: row.score for name, row in groups.items()} == {"binding": pytest.approx(0.8), "ellipsis": 0.5}
    entity = group_rows(ENTITY, "entity_tracking")
    assert {name: (row.score, row.n) for name, row in entity.items()} == {"regular": (0.3, 20), "ambiref": (0.4, 10)}


def test_a_chance_that_some_rows_lack_is_not_averaged():
    rows = [ScoreRow("both", "", "a", 0.5, 1, 0.5), ScoreRow("both", "", "b", 0.1, 1, None)]
    assert task_rows(rows)["both"].chance is None


def test_the_table():
    rows = [*BLIMP, *ENTITY, *READING, *GLUE]
    found = lines_of(rows)
    assert found["blimp"] == ["70.0", "50.0", "50.0", "500"]
    assert found["binding"] == ["80.0", "50.0", "50.0", "300"]
    assert found["regular"] == ["30.0", "20.0", "-", "20"]
    assert found["reading (delta R²)"] == ["5.5", "-", "1.3", "1,726"]
    assert found["rte *"] == ["56.0", "±2.0", "52.0", "-", "139"]
    assert found["mrpc (F1)"] == ["82.0", "81.0", "-", "204"]
    assert "principle_A_case_1" not in found
    assert lines_of(rows, paradigms=True)["principle_A_case_1"] == ["70.0", "50.0", "60.0", "100"]
    assert render_table(rows).splitlines()[-1] == "* first 100 examples only"


def test_the_table_fits_a_terminal_whatever_the_names():
    long = "coordinate_structure_constraint_complex_left_branch_" * 3
    rows = [ScoreRow(long, long, long, 1.0, 10**7, 0.5, floor=0.5, spread=0.1, note=long.replace("_", " ") * 3)]
    for paradigms in (False, True):
        table = render_table(rows, paradigms=paradigms)
        assert max(map(len, table.splitlines())) <= 80
        assert "…" in table


def test_the_dictionary_is_json():
    report = json.loads(json.dumps(as_dict([*BLIMP, *ENTITY])))
    assert report["blimp"]["score"] == pytest.approx(0.7)
    assert report["blimp"]["groups"]["ellipsis"]["score"] == 0.5
    assert [row["name"] for row in report["entity_tracking"]["rows"]] == [r.name for r in ENTITY if r.name]


def description(path):
    """The text chunk of a PNG that holds the alternative text."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    at, texts = 8, {}
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind in (b"tEXt", b"iTXt"):
            key, _, text = body.partition(b"\0")
            texts[key.decode()] = text.lstrip(b"\0").decode("utf-8" if kind == b"iTXt" else "latin-1")
        at += 12 + length
    return texts


def test_the_figure_by_phenomenon(tmp_path):
    first, second = tmp_path / "a" / "phenomena.png", tmp_path / "b.png"
    alt = phenomenon_figure([*BLIMP, *ENTITY, *READING, *GLUE], first)
    assert "blimp: 70.0, chance 50.0; lowest ellipsis 50.0, highest binding 80.0" in alt
    assert "reading: 5.5." in alt
    assert description(first) == {"Description": alt}
    phenomenon_figure([*BLIMP, *ENTITY, *READING, *GLUE], second)
    assert first.read_bytes() == second.read_bytes()
    width, height = struct.unpack(">II", first.read_bytes()[16:24])
    phenomenon_figure(GLUE, second)
    assert struct.unpack(">II", second.read_bytes()[16:24])[1] < height
    assert width == 1152
    with pytest.raises(OptionError, match="no scores"):
        phenomenon_figure([], second)


def test_the_figure_over_words(tmp_path):
    path = tmp_path / "words.png"
    curve = {"blimp": [(10**8, 0.7), (0, 0.5), (10**6, 0.6)], "ewok": [(10**6, 0.5)], "wug": [(1, -0.1), (2, 0.2)]}
    alt = draw_words(curve, path, chance={"blimp": 0.5})
    assert alt.startswith("Scores times 100 over the words seen. blimp from 50.0 at 0 to 70.0 at 100M; ")
    assert alt.endswith("wug from -10.0 at 1 to 20.0 at 2."), "a single point is no curve"
    assert description(path) == {"Description": alt}
    with pytest.raises(OptionError, match="at least two milestones"):
        draw_words({"ewok": curve["ewok"]}, path)


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    phenomenon_figure(BLIMP, tmp_path / "figure.png")
    assert dict(matplotlib.rcParams) == before
