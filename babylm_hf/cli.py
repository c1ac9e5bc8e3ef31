"""The command `babylm-hf`: what is done to text, tokenizers and finished runs. Training is done by recipes.

Nothing heavy is imported before it is needed: `--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from . import __version__
from .environment import share_the_machine
from .errors import EXIT_USER_ERROR, BabyLMError, OptionError


def main(argv: list[str] | None = None) -> None:
    """Run one command; a mistake of the user's ends with one sentence and exit status 2."""
    share_the_machine()
    try:
        options = build_parser().parse_args(argv)
        options.action(options)
    except BabyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise OptionError(f"{message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = _Parser(prog="babylm-hf", description="Text, tokenizers, scores and cards for pretraining on little text.")
    parser.add_argument("--version", action="version", version=f"babylm_hf {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    corpus = commands.add_parser("corpus", help="look at text").add_subparsers(metavar="ACTION", required=True)
    stats = corpus.add_parser("stats", help="words, lines, documents and sha256 of each source")
    _add_sources(stats)
    stats.add_argument("--json", action="store_true", help="print JSON")
    stats.set_defaults(action=corpus_stats)

    tokenizer = commands.add_parser("tokenizer", help="make a tokenizer").add_subparsers(
        metavar="ACTION", required=True
    )
    train = tokenizer.add_parser("train", help="train one on text")
    _add_sources(train)
    train.add_argument("--out", type=Path, required=True, help="folder to write")
    train.add_argument("--algorithm", choices=("bpe", "wordpiece", "unigram"), default="bpe")
    train.add_argument("--vocab_size", type=int, default=40_000)
    train.add_argument("--lower", action="store_true", help="lower-case the text")
    train.set_defaults(action=tokenizer_train)
    convert = tokenizer.add_parser("convert", help="turn a SentencePiece BPE model into a fast tokenizer, exactly")
    convert.add_argument("model", type=Path, help="a .model file")
    convert.add_argument("--out", type=Path, required=True, help="folder to write")
    convert.set_defaults(action=tokenizer_convert)

    evaluate = commands.add_parser("evaluate", help="score minimal pairs")
    evaluate.add_argument("model", help="folder or Hub id")
    evaluate.add_argument("--data", required=True, help="folder of BLiMP-format .jsonl files")
    evaluate.add_argument("--revision", help="branch on the Hub, such as chck_1M")
    evaluate.add_argument("--backend", choices=("auto", "mlm", "causal"), default="auto")
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.set_defaults(action=evaluate_pairs)

    card = commands.add_parser("card", help="render the model card of a run again")
    card.add_argument("run", type=Path, help="the output folder of a recipe")
    card.set_defaults(action=render_card)
    return parser


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="+", help="text files, folders, .gz, .jsonl")
    parser.add_argument("--document", choices=("line", "blank_line"), default="line", help="what ends a document")
    parser.add_argument("--text_field", default="text", help="field of a JSON line that holds the text")


def corpus_stats(options: argparse.Namespace) -> None:
    """Print what each source holds."""
    from dataclasses import asdict

    from .corpus import source_reports

    reports = [asdict(report) for report in source_reports(options.source, options.document, options.text_field)]
    if options.json:
        print(json.dumps(reports, indent=1))
        return
    print(f"{'words':>12} {'lines':>10} {'documents':>10} {'bytes':>13}  source")
    for report in [*reports, _total(reports)]:
        counts = f"{report['words']:>12,} {report['lines']:>10,} {report['documents']:>10,} {report['bytes']:>13,}"
        print(f"{counts}  {Path(report['path']).name}")


def _total(reports: list[dict[str, Any]]) -> dict[str, Any]:
    return {"path": "total", **{n: sum(r[n] for r in reports) for n in ("words", "lines", "documents", "bytes")}}


def tokenizer_train(options: argparse.Namespace) -> None:
    """Train a tokenizer and save it."""
    from .corpus import iter_documents, train_tokenizer

    _refuse_full(options.out)
    documents = iter_documents(options.source, options.document, options.text_field)
    tokenizer = train_tokenizer(documents, options.algorithm, options.vocab_size, lowercase=options.lower)
    tokenizer.save_pretrained(options.out)
    print(f"{options.out}: {options.algorithm}, {len(tokenizer):,} pieces")


def tokenizer_convert(options: argparse.Namespace) -> None:
    """Convert a SentencePiece model and save it."""
    from .corpus import load_tokenizer

    _refuse_full(options.out)
    tokenizer = load_tokenizer(options.model)
    tokenizer.save_pretrained(options.out)
    print(f"{options.out}: converted from {options.model.name}, {len(tokenizer):,} pieces")


def _refuse_full(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"--out {folder} exists and is not empty; name a new folder")


def evaluate_pairs(options: argparse.Namespace) -> None:
    """Score minimal pairs and print the accuracy by paradigm."""
    from .evaluation import evaluate_model

    tasks = {Path(options.data).name: options.data}
    progress = sys.stderr.isatty()
    scored = evaluate_model(options.model, tasks, backend=options.backend, revision=options.revision, progress=progress)
    (results,) = scored.values()
    if options.json:
        print(json.dumps(results.to_dict(), indent=1))
        return
    width = max(map(len, results.by_paradigm()))
    for paradigm, accuracy in results.by_paradigm().items():
        print(f"{paradigm:<{width}}  {100 * accuracy:5.1f}")
    print(
        f"{'mean over paradigms':<{width}}  {100 * results.accuracy():5.1f}   {len(results.pairs):,} pairs, chance 50"
    )


def render_card(options: argparse.Namespace) -> None:
    """Render the cards of the final model and of every milestone from the record."""
    from .publishing import RunRecord, write_card

    record = RunRecord.open(options.run / "record")
    folders = {
        None: options.run,
        **{event["name"]: options.run / event["name"] for event in record.events("milestone")},
    }
    written = [write_card(record, folder, milestone=name) for name, folder in folders.items() if folder.is_dir()]
    print(f"{len(written)} cards rendered; the final one is {options.run / 'README.md'}")


if __name__ == "__main__":
    main()
