"""Model cards, rendered from the run record: deterministic, offline, and from nothing but the record.

`ModelCardRenderer(record).render()` gives the card of the final model, `.render("chck_1M")` that of a milestone as
things stood when it was saved. `write_card` puts one into a model folder, keeping what a person wrote there.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2.sandbox import SandboxedEnvironment

from ..errors import RunFolderError
from .blocks import join_card, merge
from .canvas import Drawing
from .eval_results import write_eval_results
from .facts import facts_of, longest_row, near_chance
from .figures import drawings
from .files import write_whole
from .markdown import code, environment, listed, spaced
from .mask_figures import schedule_drawings
from .measurements import curves
from .metadata import citation, metadata
from .record import RunRecord
from .tables import TABLES
from .validation import language_name

CARD = "README.md"


class ModelCardRenderer:
    """Renders the cards of one run.

    Args:
        record: the run's record.
        templates: a folder whose templates come before the project's own of the same name.
    """

    def __init__(self, record: RunRecord, templates: str | Path | None = None) -> None:
        self.record = record
        folders = [Path(templates)] if templates is not None else []
        self.environment = _environment((*folders, template_folder()))

    def render(self, milestone: str | None = None, *, existing: str | None = None, figures: bool | None = None) -> str:
        """The text of a card.

        Args:
            milestone: name of a milestone; without it the card is the final model's.
            existing: a card rendered earlier, perhaps edited since: what a person wrote outside the generated blocks,
                and metadata that is not generated, stay.
            figures: refer to the figures of the record; default for the final model only.

        Raises:
            RunFolderError: the record has no such milestone or no template for its family; `existing` is damaged.
            jinja2.UndefinedError: a template uses a name that does not exist.
        """
        facts = facts_of(self.record, milestone)
        shown = self.drawings(milestone) if (milestone is None if figures is None else figures) else []
        template = self.environment.get_template(self._template_name(facts["family"]))
        body = template.render(card=facts, **_prose(facts), **facts, figures=[_figure(d) for d in shown])
        card = join_card(metadata(facts), _tidy(body))
        return card if existing is None else merge(existing, card, CARD)

    def drawings(self, milestone: str | None = None) -> list[Drawing]:
        """The figures of a card, not yet drawn."""
        facts = facts_of(self.record, milestone)
        events = self.record.events()
        if milestone is not None:
            events = [event for event in events if event.get("step", 0) <= facts["position"]["step"]]
        found = drawings(curves(events, {f"{name} model": loss for name, loss in facts["baselines"].items()}))
        return [*found, *schedule_drawings(self.record.folder)]

    def _template_name(self, family: str) -> str:
        name = f"{family}.md.jinja"
        known = self.environment.list_templates(filter_func=lambda found: found.endswith(".md.jinja"))
        if name not in known:
            families = ", ".join(found.removesuffix(".md.jinja") for found in known if found != "base.md.jinja")
            raise RunFolderError(f"there is no card template for the family {family!r} of this run; known: {families}")
        return name


def write_card(record: RunRecord, folder: str | Path, milestone: str | None = None) -> Path:
    """Write `README.md` into a model folder, and `.eval_results/` where there are any; figures go to `record/figures`.

    A card that stands there, or at the place in the run's folder that `folder` is going to take, gives its hand-written
    text.

    Raises:
        RunFolderError: as `ModelCardRenderer.render`; then nothing has been written.
    """
    folder = Path(folder)
    renderer = ModelCardRenderer(record)
    place = record.folder.parent / (milestone or "")
    found = next((path for path in (folder / CARD, place / CARD) if path.is_file()), None)
    text = renderer.render(milestone, existing=found.read_text(encoding="utf-8") if found else None)
    if milestone is None:
        for drawing in renderer.drawings():
            write_whole(record.folder / "figures" / f"{drawing.name}.png", drawing.draw())
    write_eval_results(record, folder, milestone)
    return write_whole(folder / CARD, text)


def template_folder() -> Path:
    """Where the templates are: the installed package, or `modelcards/` of the checkout this module belongs to.

    Raises:
        RunFolderError: in neither place, so the installation is broken.
    """
    try:
        installed = Path(str(importlib.resources.files("babylm_hf.modelcards")))
    except ModuleNotFoundError:
        installed = Path(__file__).parents[2] / "modelcards"
    if not (installed / "base.md.jinja").is_file():
        raise RunFolderError(f"the card templates are missing from {installed}; install babylm_hf again")
    return installed


@cache
def _environment(folders: tuple[Path, ...]) -> SandboxedEnvironment:
    """One for all cards of a process: nine tenths of the time of a card is reading its templates."""
    made = environment(folders)
    made.globals |= {function.__name__: function for function in TABLES}
    return made


def _figure(drawing: Drawing) -> dict[str, str]:
    return {
        "name": drawing.name,
        "alt": drawing.alt,
        "caption": drawing.caption,
        "path": f"record/figures/{drawing.name}.png",
    }


def _prose(facts: dict[str, Any]) -> dict[str, Any]:
    """What is worded for the templates rather than looked up."""
    sources, languages = facts["data"]["sources"], facts["language"]
    held_out = facts["held_out"]["sources"] if facts["held_out"] else []
    lines = [f"{source['sha256']}  {source['path']}" for source in (*sources, *held_out) if source["sha256"]]
    if facts["data"]["fingerprint"]:
        lines.append(f"{facts['data']['fingerprint']}  (text, tokenizer and packing)")
    name, milestone, repo_id = facts["name"], facts["milestone"], facts["repo_id"]
    return {
        "title": f"{name}, {milestone}" if milestone else name,
        "load_name": repo_id or milestone or name,
        "load_note": "on the Hub" if repo_id else "the folder that holds this card",
        "languages": [language_name(code) for code in (languages if isinstance(languages, list) else [languages])],
        "sources_in_short": _in_short([source["path"] for source in sources]),
        "longest_row": longest_row(facts),
        "near_chance": [spaced(phenomenon) for phenomenon in near_chance(facts["results"])],
        "checksums": "\n".join(lines),
        "rate_symbol": "p_k" if facts["method"]["rate"] and facts["method"]["rate"]["decay"] else "p",
        "citation": citation(facts),
    }


def _in_short(paths: Sequence[str]) -> Any:
    """A few sources by name."""
    shown = [code(path) for path in paths[:6]]
    more = len(paths) - len(shown)
    return listed([*shown, f"{more} more"] if more else shown)


def _tidy(body: str) -> str:
    """No spaces at line ends and no more than one empty line at a time."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE)).strip() + "\n"
