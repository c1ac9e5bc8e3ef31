"""What a comparison is written as: a page that needs nothing else and escapes what it is given, figures, tables."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from synthetic_runs import make_run

from babylm_hf.cli import main
from babylm_hf.comparing import compare, read_configurations
from babylm_hf.comparing.figures import figures
from babylm_hf.comparing.page import inline_svg, render_html
from babylm_hf.comparing.palette import PALETTE, color_of, marker_of
from babylm_hf.comparing.report import render_text

NASTY = "<script>alert('x')</script>|\\*\"&$_"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    kinds = {"regular_mlm": 0.0, "hard_decay": 0.08, NASTY: 0.01}
    return [
        make_run(folder / f"{index}-{seed}", recipe, seed, shift=shift, items=True)
        for index, (recipe, shift) in enumerate(kinds.items())
        for seed in range(3)
    ]


@pytest.fixture(scope="module")
def found(runs):
    return compare(read_configurations(runs))


@pytest.fixture(scope="module")
def page(found):
    return render_html(found)


class Reader(HTMLParser):
    """Checks that tags are closed in order, and gathers what a page is made of."""

    VOID = ("meta", "link", "br", "input", "img", "hr")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_is_whole_and_loads_nothing(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    kinds = [tag for tag, _ in reader.seen]
    assert kinds.count("script") == kinds.count("style") - kinds.count("svg") == 1
    for tag, attributes in reader.seen:
        assert "src" not in attributes
        assert tag not in ("link", "img", "iframe", "object")
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("xlink:href", "#").startswith("#")
    assert not re.search(r"url\((?!#)", page)
    assert kinds.count("svg") == kinds.count("figure") == 6
    assert "prefers-color-scheme: dark" in page
    links = {attributes["href"][1:] for tag, attributes in reader.seen if tag == "a"}
    assert links <= set(reader.ids)


def test_a_page_escapes_what_it_is_given(page):
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_page_can_be_passed_on(page, runs):
    assert str(Path(runs[0]).parent) not in page
    assert f"{Path(runs[0]).parent.name}/{Path(runs[0]).name}" in page


def test_a_page_says_what_the_data_support(page, found):
    text = " ".join("".join(re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)).split())
    assert 'pill real better" title="the data support it">real, better' in text
    real = sum(one.verdict == "real" for one in (*found.differences, *found.phenomenon_differences))
    assert real >= 1
    assert text.count('data-name="verdict"><span class="pill real') == real
    assert render_html(found) == page  # the same comparison gives the same bytes


def test_figures_are_80_mm_wide_and_do_not_change(found):
    from PIL import Image

    made = figures(found)
    assert [one.name for one in made] == [
        "differences",
        "curve_held_out",
        "curve_toy_pairs",
        "curve_blimp",
        "phenomena_toy_pairs",
        "phenomena_blimp",
    ]
    for one in made[:4:3]:
        drawn = one.draw("png")
        image = Image.open(io.BytesIO(drawn))
        assert image.width / 300 * 25.4 == pytest.approx(80, abs=0.2)
        assert np.asarray(image.convert("L")).std() > 5  # something is drawn
        assert one.draw("png") == drawn
    assert made[3].alt.startswith("BLiMP, accuracy over the words seen: regular_mlm from ")


def test_a_curve_goes_over_the_words_with_the_spread_of_seeds(found):
    curve = next(one for one in found.curves if one.task == "blimp")
    for label, points in curve.lines.items():
        spread = next(score for score in found.scores if score.task == "blimp").spreads[label]
        assert [point.words for point in points] == [1_000_000, 2_000_000, 2_400_000]
        assert points[-1].mean == pytest.approx(spread.mean)
        assert (points[-1].low, points[-1].high) == (min(spread.values.values()), max(spread.values.values()))
    held_out = next(one for one in found.curves if one.task == "held_out")
    assert held_out.lines["A"][0].words == 0  # the untrained model


def test_colours_of_a_drawing_follow_the_page():
    drawn = (
        f'<?xml?><svg width="10pt" height="5pt" viewBox="0 0 10 5"><g id="axes_1" style="fill: {PALETTE[0][0]}"/></svg>'
    )
    svg = inline_svg(drawn, 'a "figure"')
    assert svg == (
        '<svg role="img" aria-label="a &#34;figure&#34;" viewBox="0 0 10 5">'
        '<g data-id="axes_1" style="fill: var(--series-0)"/></svg>'
    )


def test_thirty_configurations_look_different():
    labels = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert len({(color_of(label), marker_of(label)) for label in labels}) == len(labels)


def test_names_that_are_alike_are_told_apart(tmp_path):
    arguments = {"learning_rate": 0.01, "weight_decay": 0.1, "seed": 0}
    other = {**arguments, "learning_rate": 0.02, "weight_decay": 0.2}  # the first option is enough to tell
    runs = [make_run(tmp_path / f"{i}", "soft", i, arguments=a) for i, a in enumerate((arguments, other))]
    names = [one.name for one in read_configurations(runs)]
    assert names == ["soft (learning_rate 0.01)", "soft (learning_rate 0.02)"]


def test_the_command_writes_every_kind_and_replaces_only_its_own(runs, found, tmp_path, capsys):
    places = {"html": "c.html", "markdown": "c.md", "latex": "c.tex", "png": "figures"}
    command = ["compare", *runs[:2], *runs[3:5]]
    for name, place in places.items():
        command += [f"--{name}", str(tmp_path / place)]
    main(command)
    assert "real" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"differences.png", "curve_blimp.png"}
    main(command[:-2])  # again: what it wrote itself may be replaced
    for name, place in places.items():
        if name == "png":
            continue
        (tmp_path / place).write_text("mine")
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert stop.value.code == 2
        assert f"--{name}: {tmp_path / place} is there and was not written by this command" in capsys.readouterr().err
        (tmp_path / place).unlink()
    for wrong, message in (
        (["--html", str(tmp_path)], "is a folder; name a file"),
        (["--png", runs[0] + "/record/run.json"], "is a file; name a folder"),
        (["--html", str(tmp_path / "no" / "c.html")], "there is no folder"),
    ):
        with pytest.raises(SystemExit):
            main(["compare", *runs[:6], *wrong])
        assert message in capsys.readouterr().err


def test_the_terminal_has_80_columns(found):
    assert max(map(len, render_text(found).splitlines())) <= 80
