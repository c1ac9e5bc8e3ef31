"""Several checkpoints of one model side by side: a table of their scores, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import OptionError
from .report_figures import phenomenon_figure, words_figure
from .report_text import rows_with_floor
from .score_rows import task_rows
from .suite import ModelResults
from .tasks.aoa import words_of

_SHORT = {
    "supplement": "suppl.",
    "entity_tracking": "entity",
    "global_piqa_parallel": "piqa 4",
    "global_piqa_nonparallel": "piqa 2",
}
_LABEL, _CELL, _COLUMNS = 16, 8, 8


def render_checkpoints(results: Sequence[ModelResults]) -> str:
    """The scores of every checkpoint, a line each, in at most 80 columns; more than eight tasks make several tables."""
    tasks = list(dict.fromkeys(name for found in results for name, result in found.results.items() if result.rows))
    lines = []
    for start in range(0, len(tasks), _COLUMNS):
        part = tasks[start : start + _COLUMNS]
        lines.append(_line("times 100", [_SHORT.get(name, name) for name in part]))
        for found in results:
            scores = [f"{100 * found.results[name].score:.1f}" if name in found.results else "-" for name in part]
            lines.append(_line(found.revision or "main", scores))
        lines.append("")
    return "\n".join(lines)


def _line(label: str, cells: Sequence[str]) -> str:
    return _cut(label, _LABEL).ljust(_LABEL) + "".join(f"{_cut(cell, _CELL - 1):>{_CELL}}" for cell in cells)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def draw_checkpoints(
    results: Sequence[ModelResults], folder: str | Path, floor: ModelResults | None = None
) -> list[Path]:
    """A figure by phenomenon for each checkpoint, and one over words where two have their number in their name.

    Args:
        results: of checkpoints of one model, without the untrained one.
        folder: where `phenomena_<checkpoint>.png` and `words.png` go; files of these names are replaced.
        floor: the untrained model's.

    Returns:
        the files.

    Raises:
        OptionError: nothing that was scored can be drawn.
    """
    drawn = []
    curves: dict[str, list[tuple[int, float]]] = {}
    chance: dict[str, float] = {}
    for found in results:
        rows = rows_with_floor(found, floor)
        if not rows:
            continue
        drawn.append(Path(folder) / f"phenomena_{(found.revision or 'main').replace('/', '_')}.png")
        phenomenon_figure(rows, drawn[-1])
        if (found.revision or "").startswith("chck_"):
            for task, row in task_rows(rows).items():
                curves.setdefault(task, []).append((int(words_of(found.revision or "")), row.score))
                if row.chance is not None:
                    chance[task] = row.chance
    if not drawn:
        raise OptionError("--figures: there are no scores to draw.")
    if any(len(points) >= 2 for points in curves.values()):
        drawn.append(Path(folder) / "words.png")
        words_figure(curves, drawn[-1], chance=chance)
    return drawn
