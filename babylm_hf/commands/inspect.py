"""`babylm-hf inspect`: what a plan will do, what a run did, what a model predicts."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..terminal import harmless

_WIDTH = 80
_LOGGED = ("loss", "learning_rate", "grad_norm", "mask_rate", "mask_rate_realised")


def add(commands: Any) -> None:
    """`babylm-hf inspect plan|run|predict`."""
    inspect = commands.add_parser(
        "inspect",
        help="what a plan will do, what a run did, what a model predicts",
        epilog="What a run masks in a sentence: babylm-hf masks",
    )
    actions = inspect.add_subparsers(metavar="ACTION", required=True)
    plan = actions.add_parser(
        "plan",
        help="steps, words, milestones, mask rates, disk and memory of a run that is not started",
        epilog="Options that are not listed here are those of the recipe. "
        "Example: babylm-hf inspect plan hard_decay --demo --measure 5",
        allow_abbrev=False,
    )
    plan.add_argument("recipe", help="name or file of a recipe")
    plan.add_argument("--measure", type=int, default=0, metavar="N", help="time N steps at each row length")
    plan.add_argument("--png", type=Path, metavar="FILE", help="draw mask rate and row length over the words")
    plan.add_argument("--json", action="store_true", help="print JSON")
    plan.set_defaults(action=show_plan, takes_rest=True)

    run = actions.add_parser(
        "run", help="what a run did, from its record", epilog="Example: babylm-hf inspect run runs/mine"
    )
    run.add_argument("run", type=Path, help="the output folder of a recipe, finished or not")
    run.add_argument("--json", action="store_true", help="print JSON")
    run.set_defaults(action=show_run)

    guess = actions.add_parser(
        "predict",
        help="what a model predicts at each token of a sentence",
        epilog="Example: babylm-hf inspect predict runs/mine 'the dogs that the girl sees are happy .'",
    )
    guess.add_argument("model", help="folder or Hub id of a masked or causal model")
    guess.add_argument("sentence", help="any text; with mask tokens in it only those are predicted")
    guess.add_argument("--top", type=int, default=4, metavar="K", help="guesses at each token")
    guess.add_argument("--revision", help="branch on the Hub, such as chck_1M")
    guess.add_argument(
        "--trust-remote-code", "--trust_remote_code", action="store_true", help="run the model's own code"
    )
    guess.add_argument("--png", type=Path, metavar="FILE", help="draw them")
    guess.add_argument("--json", action="store_true", help="print JSON")
    guess.set_defaults(action=show_predictions)


def show_plan(options: argparse.Namespace) -> None:
    """Print the plan of a run, draw it if asked."""
    from ..inspection.plans import plan_facts
    from ..sweep import find_recipe, load_recipe

    recipe = load_recipe(find_recipe(options.recipe))
    facts = plan_facts(recipe, recipe.parse(options.rest), options.measure)
    if options.png is not None:
        from ..inspection.figures import plan_picture

        write_picture(options.png, plan_picture(facts))
    print(json.dumps(facts, indent=1, ensure_ascii=False) if options.json else _plan_text(facts))


def _plan_text(facts: dict[str, Any]) -> str:
    from ..sizes import readable_size as size

    plan, disk, memory = facts["plan"], facts["disk"], facts["memory"]
    passes = "pass" if plan["num_passes"] == 1 else "passes"
    lines = [
        f"{facts['recipe']}: {facts['parameters']:,} parameters",
        f"{plan['total_steps']:,} steps, {plan['total_words']:,} words in {plan['num_passes']} {passes} "
        f"over {plan['corpus_words']:,}",
        "",
        "from pass  passes  tokens a row  rows a step      steps",
        *(
            f"{s['first_pass'] + 1:>9}  {s['num_passes']:>6}  {s['seq_length']:>12}  {s['batch_size']:>11}  "
            f"{s['steps'] or 'not reached':>9{',' if s['steps'] else ''}}"
            for s in facts["stages"]
        ),
    ]
    if rates := facts["rates"]:
        shown = [rates[n] for n in sorted({round(part * (len(rates) - 1)) for part in (0, 0.25, 0.5, 0.75, 1)})]
        lines += ["", "mask rate  " + "  ".join(f"{100 * r['mask_rate']:.1f} % at {r['step']:,}" for r in shown)]
    lines += ["", f"{len(plan['milestones'])} milestone{'s' * (len(plan['milestones']) != 1)}"]
    lines += [f"  {m['name']:<12} step {m['step']:>8,}  {m['words_seen']:>14,} words" for m in plan["milestones"]]
    if plan["unreached"]:
        told = f"not reached: {', '.join(f'{words:,}' for words in plan['unreached'])} words"
        lines += textwrap.wrap(told, _WIDTH, initial_indent="  ", subsequent_indent=" " * 15)
    lines += [
        "",
        f"disk       {size(disk['total'])} (a model {size(disk['model'])}, a checkpoint {size(disk['checkpoint'])}); "
        f"{size(disk['free'])} free",
        f"memory     {size(memory['weights_and_optimizer'])} for weights, gradients and optimizer; activations on top",
    ]
    if timed := facts["time"]:
        lines.append(f"           {size(memory['peak'])} at the peak of the measured steps ({timed['device']})")
        lines += [
            f"time       {s['seconds_per_step']:.3f} s a step of {s['seq_length']} tokens" for s in timed["stages"]
        ]
        lines.append(f"           about {timed['seconds'] / 60:,.1f} minutes without evaluation and saving")
    else:
        lines.append("time       not measured; --measure 5 times five steps at each row length")
    return "\n".join(lines)


def show_run(options: argparse.Namespace) -> None:
    """Print what the record of a run says."""
    from ..inspection.runs import run_facts
    from ..publishing.markdown import duration

    facts = run_facts(options.run)
    if options.json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    (step, steps), (words, planned) = facts["steps"], facts["words"]
    print(f"{facts['name']}, recipe {facts['recipe']}, {facts['state']}")
    print(f"step {step:,} of {steps or 0:,}, {words:,} of {planned or 0:,} words")
    if facts["seconds"]:
        print(f"{duration(facts['seconds'])} of training, {facts['words_per_second']:,.0f} words a second")
    for event in facts["resumes"]:
        print(f"resumed at step {event['step']:,}, {event['time']}")
    print("\noptions that are not the default")
    for name, (_, value) in facts["changed"].items():
        print(_cut(f"  {name:<24} {value}"))
    if log := facts["last_log"]:
        shown = {name: log[name] for name in _LOGGED if log.get(name) is not None}
        text = ", ".join(f"{_words(name)} {value:.4g}" for name, value in shown.items())
        print("\n" + textwrap.fill(f"last log   {text}", _WIDTH, subsequent_indent=" " * 11))
    print()
    print("\n".join(_score_table(facts["table"])))


def _score_table(table: list[dict[str, Any]]) -> list[str]:
    """Where the run was measured, and the main score of each task there; as many tables as 80 columns need."""
    titles = {title: None for row in table for title in row["scores"]}
    first = [f"{row['name']:<12.12}  {row['step']:>8,}  {row['words']:>13,}" for row in table]
    head = f"{'':<12}  {'step':>8}  {'words':>13}"
    lines: list[str] = []
    while True:
        shown, room = [], _WIDTH - len(head)
        while titles and (width := max(8, len(next(iter(titles)))) + 2) <= room:
            title = next(iter(titles))
            shown.append((title, width))
            room -= width
            del titles[title]
        if not shown and titles:  # a title that is too long for a table of its own
            title = next(iter(titles))
            shown.append((title, room))
            del titles[title]
        lines.append(head + "".join(f"{title[: width - 2]:>{width}}" for title, width in shown))
        for start, row in zip(first, table, strict=True):
            lines.append(start + "".join(f"{row['scores'].get(title, ''):>{width}}" for title, width in shown))
        if not titles:
            return lines
        lines.append("")


def show_predictions(options: argparse.Namespace) -> None:
    """Print the predictions at each token, draw them if asked."""
    from ..evaluation.models import load_for_scoring
    from ..inspection.predictions import predict

    model, tokenizer = load_for_scoring(
        options.model, revision=options.revision, trust_remote_code=options.trust_remote_code
    )
    predictions = predict(model, tokenizer, options.sentence, options.top)
    if options.png is not None:
        from ..inspection.figures import prediction_picture

        write_picture(options.png, prediction_picture(predictions))
    if options.json:
        print(json.dumps([vars(p) for p in predictions], ensure_ascii=False, indent=1))
        return
    for p in predictions:
        own = "" if p.probability is None else f"{100 * p.probability:5.1f} %  rank {p.rank:>5,}"
        guesses = "  ".join(f"{piece} {100 * chance:.0f} %" for piece, chance in p.guesses)
        print(_cut(f"{p.token or '(next)':<12.12}  {own:<21} {guesses}"))


def _cut(line: str) -> str:
    line = harmless(line, kept="")
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def write_picture(path: Path, content: bytes) -> None:
    """Write a PNG where `--png` says."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OptionError(
            f"--png {path} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error


def _words(name: str) -> str:
    return name.replace("_", " ")
