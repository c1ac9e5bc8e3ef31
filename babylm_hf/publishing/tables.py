"""The tables of a card, each from the facts it shows. Cells are escaped; templates call these by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from .markdown import cell_code, code, count, escape, filesize, listed, number, percent, plural, setting, spaced
from .measurements import Measurement

MISSING = "–"


def table(header: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table of Markdown.

    Args:
        header: title and alignment, "left" or "right", of each column.
        rows: cells; a string is escaped unless it is `Markup`. Without any there is no table.
    """
    rows = list(rows)
    if not rows:
        return Markup("")
    rules = {"left": ":---", "right": "---:"}
    lines = [[escape(title) for title, _ in header], [rules[align] for _, align in header], *rows]
    return Markup("\n").join(Markup("| {} |").format(Markup(" | ").join(_cell(c) for c in line)) for line in lines)


def _cell(value: Any) -> Markup:
    return Markup(escape(value if isinstance(value, str) else str(value)))


def glance_table(facts: Mapping[str, Any]) -> Markup:
    """The run in a dozen numbers."""
    position, plan, tokenizer = facts["position"], facts["plan"], facts["tokenizer"]
    rows: list[tuple[str, str]] = []
    if facts["model"]["num_parameters"]:
        rows.append(("Parameters", count(facts["model"]["num_parameters"])))
    if tokenizer["vocab_size"]:
        algorithm = f" ({tokenizer['algorithm']})" if tokenizer["algorithm"] else ""
        rows.append(("Vocabulary", plural(tokenizer["vocab_size"], "piece") + algorithm))
    if facts["data"]["num_words"]:
        rows.append(("Training text", plural(facts["data"]["num_words"], "word")))
    if position["words"]:
        passes = f" in {position['passes']:.2f} passes" if position["passes"] else ""
        rows.append(("Words seen", count(position["words"]) + passes))
    whole = plan["total_steps"]
    of = f" of {count(whole)}" if whole and whole != position["step"] else ""
    rows.append(("Optimizer steps", count(position["step"]) + of))
    if facts["track"]:
        rows.append(("BabyLM track", facts["track"]["name"]))
    for result in facts["results"]:
        # A number that was measured on an earlier model stands further below, with the words it had seen.
        if result.step == position["step"]:
            rows += _headline(result, facts["baselines"])
    if facts["licence"]:
        rows.append(("Licence of the weights", facts["licence"]))
    return table([("at a glance", "left"), ("", "left")], rows)


def _headline(result: Measurement, baselines: Mapping[str, float]) -> list[tuple[str, str]]:
    if result.is_pairs and "accuracy" in result.scores:
        return [(result.title, f"{percent(result.scores['accuracy'])} correct (chance {percent(result.chance, 0)})")]
    if "loss" in result.scores:
        others = "".join(f"; a {name} model {number(loss)}" for name, loss in baselines.items())
        return [(result.title, f"{number(result.scores['loss'])} nats per target{others}")]
    return []


def source_table(sources: Sequence[Mapping[str, Any]]) -> Markup:
    """What the text was read from."""
    header = [("source", "left"), ("words", "right"), ("lines", "right"), ("documents", "right"), ("size", "right")]
    rows = [
        (
            cell_code(source["path"]),
            *(MISSING if source[name] is None else count(source[name]) for name in ("words", "lines", "documents")),
            MISSING if source["bytes"] is None else filesize(source["bytes"]),
            cell_code(f"{source['sha256'][:12]}…") if source["sha256"] else MISSING,
        )
        for source in sources
    ]
    return table([*header, ("sha256", "left")], rows)


def stage_table(stages: Sequence[Mapping[str, Any]]) -> Markup:
    """The curriculum of row lengths."""
    header = [
        ("passes", "left"),
        ("tokens in a row", "right"),
        ("rows in a step", "right"),
        ("tokens in a step", "right"),
    ]
    rows = []
    for stage in stages:
        first, last = stage["first_pass"] + 1, stage["first_pass"] + stage["num_passes"]
        tokens, batch = stage["seq_length"], stage["batch_size"]
        rows.append(
            (f"{first}" if first == last else f"{first} to {last}", *map(count, (tokens, batch, tokens * batch)))
        )
    return table(header, rows)


def option_table(options: Mapping[str, Any]) -> Markup:
    """Options and their values."""
    rows = [(cell_code(name), cell_code(setting(value))) for name, value in options.items()]
    return table([("option", "left"), ("value", "left")], rows)


def changed_table(facts: Mapping[str, Any]) -> Markup:
    """Options that differ from the trainer's defaults, and those that differ from the recipe's."""
    changes = facts["recipe_changes"]
    differing = {name: (ours, usual) for name, ours, usual in facts["hyperparameters"]["differing"]}
    rows = []
    for name in sorted({*differing, *changes}):
        ours, usual = differing[name] if name in differing else (changes[name][1], MISSING)
        cells: list[Any] = [cell_code(name), cell_code(setting(ours))]
        if changes:
            cells.append(cell_code(setting(changes[name][0])) if name in changes else MISSING)
        cells.append(cell_code(setting(usual)) if name in differing else MISSING)
        rows.append(cells)
    header = [("option", "left"), ("this run", "left")]
    header += [("recipe, where it differs", "left")] if changes else []
    return table([*header, ("default of the trainer", "left")], rows)


def guess_table(examples: Sequence[Mapping[str, Any]]) -> Markup:
    """What a masked model holds for the most probable pieces in the gap of each example."""
    rows = []
    for example in examples:
        guesses = [Markup("{} {}").format(cell_code(piece), percent(share, 0)) for piece, share in example["guesses"]]
        rows.append((cell_code(example["text"]), Markup(", ").join(guesses)))
    return table([("text", "left"), ("most probable pieces", "left")], rows)


def fact_table(*groups: Mapping[str, Any]) -> Markup:
    """Names and values, those that are known."""
    rows = [(name, setting(value)) for facts in groups for name, value in facts.items() if value is not None]
    return table([("", "left"), ("", "left")], rows)


def pair_table(result: Measurement, floor: Measurement | None) -> Markup:
    """Accuracy by phenomenon, beside chance and, where it was measured, the untrained model.

    Where pairs were counted by phenomenon, their number and the standard error stand beside it.
    """
    counted = bool(result.sizes)
    header = [("phenomenon", "left")]
    header += [("pairs", "right")] if counted else []
    header += [("accuracy", "right")]
    header += [("standard error", "right")] if counted else []
    header += [("chance", "right")]
    header += [("untrained", "right")] if floor else []

    def row(name: str | None, found: Any, untrained: Any) -> list[Any]:
        size = result.counts.get("pairs") if name is None else result.sizes.get(name)
        error = result.error(name)
        cells = [spaced(name or "score")]
        cells += [MISSING if size is None else count(size)] if counted else []
        cells += [percent(found)]
        cells += [MISSING if error is None else f"{100 * error:.1f}"] if counted else []
        cells += [percent(result.chance, 0)]
        cells += [] if floor is None else [MISSING if untrained is None else percent(untrained)]
        return [Markup("**{}**").format(escape(cell)) for cell in cells] if name is None else cells

    rows = [
        row(name, accuracy, floor.phenomena.get(name) if floor else None) for name, accuracy in result.phenomena.items()
    ]
    if "accuracy" in result.scores:
        rows.append(row(None, result.scores["accuracy"], floor.scores.get("accuracy") if floor else None))
    return table(header, rows)


def score_table(result: Measurement, floor: Measurement | None, baselines: Mapping[str, float]) -> Markup:
    """The scores of a task that is not of minimal pairs."""
    header = [("measure", "left"), ("value", "right")]
    rows = [[spaced(name), _score(name, value)] for name, value in result.scores.items()]
    if floor is not None:
        header.append(("untrained", "right"))
        for row, name in zip(rows, result.scores, strict=True):
            row.append(_score(name, floor.scores[name]) if name in floor.scores else MISSING)
    if "loss" in result.scores:
        empty = [""] * (len(header) - 2)
        rows += [[f"loss of a {name} model", number(loss), *empty] for name, loss in baselines.items()]
    return table(header, rows)


def _score(name: str, value: float | None) -> str:
    return percent(value) if name.endswith("accuracy") else number(value)


def milestone_table(milestones: Sequence[Mapping[str, Any]]) -> Markup:
    """One line a checkpoint: where it is, what it had seen, how it scored."""
    tasks = {task: found for row in milestones for task, found in row["scores"].items()}
    columns = [(task, name) for task, found in tasks.items() if (name := main_score(found)) is not None]
    header = [("checkpoint", "left"), ("words seen", "right"), ("passes", "right"), ("step", "right")]
    header += [(f"{tasks[task].title}: {name}" if len(columns) > 1 else name, "right") for task, name in columns]
    rows = []
    for row in milestones:
        name = cell_code(row["name"])
        cells: list[Any] = [Markup("[{}]({})").format(name, row["url"]) if row["url"] else name, count(row["words"])]
        cells += [f"{row['passes']:.2f}" if row["passes"] else MISSING, count(row["step"])]
        for task, score in columns:
            found = row["scores"].get(task)
            cells.append(_score(score, found.scores[score]) if found and score in found.scores else MISSING)
        rows.append(cells)
    return table(header, rows)


def main_score(result: Measurement) -> str | None:
    """The one score by which a task is followed over time."""
    names = ("accuracy", "loss") if result.is_pairs else ("loss", "accuracy")
    return next((name for name in (*names, *result.scores) if name in result.scores), None)


def piece_list(pieces: Sequence[Mapping[str, Any]]) -> Markup:
    """Pieces of the vocabulary with their weights, in running text."""
    return listed([Markup("{} ({:.2f})").format(code(entry["piece"]), entry["weight"]) for entry in pieces])


TABLES = (
    piece_list,
    glance_table,
    source_table,
    stage_table,
    option_table,
    changed_table,
    guess_table,
    fact_table,
    pair_table,
    score_table,
    milestone_table,
)
