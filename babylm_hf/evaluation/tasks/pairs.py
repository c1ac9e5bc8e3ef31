"""Any folder in BLiMP's form, and the minimal pairs of the built-in toy language.

A line needs `sentence_good` and `sentence_bad`; `UID` defaults to the file's stem, `linguistics_term` and `field` to
nothing. The whole sentences are compared.
"""

from __future__ import annotations

from pathlib import Path

from .base import TaskSpec, read_rows
from .choice import ChoiceTask, Item


def load_pair_task(path: Path, name: str = "", *, phenomenon: str | None = "linguistics_term") -> ChoiceTask:
    """Minimal pairs as a task; both states of the official code read them alike.

    Args:
        path: a `.jsonl` file or a folder of them.
        name: of the task; without it that of the folder or file. Under its official names, `blimp` and `supplement`, a
            line without a `field` counts under its file, whatever its `UID`.
        phenomenon: the group shown in tables, where the items have it.

    Raises:
        CorpusError: nothing there, or a line that is no such pair.
    """
    items = []
    for row, place, file in read_rows(path, "minimal pairs", {"sentence_good": str, "sentence_bad": str}):
        both = (row["sentence_good"], row["sentence_bad"])
        groups = {key: str(row[key]) for key in ("field", "linguistics_term") if row.get(key)}
        if groups.get("field") == "syntax_semantics":  # the files use both spellings
            groups["field"] = "syntax/semantics"
        uid = str(row.get("UID", file.stem))
        if name in ("blimp", "supplement") and "field" not in row:
            uid, groups = file.stem, {"field": "supplement", "linguistics_term": "supplement"}
        items.append(Item(both, both, 0, uid, (None, None), groups, place))
    named = any(phenomenon in item.groups for item in items)
    return ChoiceTask(name or path.stem, path.stem, items, 0.5, phenomenon if named else None)


SPECS = {
    "toy_pairs": TaskSpec(
        "toy_pairs",
        "Minimal pairs of the toy language",
        0.5,
        lambda path, state: load_pair_task(path, "toy_pairs"),
        full="pairs",
        fast="pairs",
        same_data=True,
        states=(),
    )
}
