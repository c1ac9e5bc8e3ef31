"""`babylm-hf corpus`: what is in the text, and mixing it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .sources import add_sources

_METHODS = ("round_robin", "proportional", "temperature", "shares")


def add(commands: Any) -> None:
    """`babylm-hf corpus stats` and `babylm-hf corpus mix`."""
    corpus = commands.add_parser("corpus", help="look at text, and mix it")
    actions = corpus.add_subparsers(metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="words, lines, documents and sha256 of each source")
    add_sources(stats)
    stats.add_argument("--overlap", action="store_true", help="also the vocabulary that the sources share")
    stats.add_argument("--json", action="store_true", help="print JSON")
    stats.set_defaults(action=corpus_stats)

    mix = actions.add_parser("mix", help="mix sources into one text, with a manifest beside it")
    add_sources(mix, "text files, folders, .gz, .jsonl; several files as one source: name=a.txt,b.txt")
    mix.add_argument("--out", type=Path, required=True, help="file to write")
    mix.add_argument("--bytes", help="size of the mix, such as 2MB; without it as large as the sources allow")
    mix.add_argument("--method", choices=_METHODS, default="round_robin", help="how the bytes are divided")
    mix.add_argument("--shares", help="for --method shares: one number a source, as 0.5,0.3,0.2")
    mix.add_argument("--temperature", type=float, help="for --method temperature: 1 proportional, higher more equal")
    mix.add_argument("--min_words", type=int, default=0, help="leave out documents with fewer words")
    mix.add_argument("--drop_duplicates", action="store_true", help="leave out documents that have come before")
    mix.add_argument("--allow_short", action="store_true", help="go on when a source runs out before its share")
    mix.add_argument("--json", action="store_true", help="print the manifest")
    mix.set_defaults(action=corpus_mix)


def corpus_stats(options: argparse.Namespace) -> None:
    """Print what each source holds."""
    from dataclasses import asdict

    from ..corpus import source_reports

    overlap = None
    if options.overlap:
        from ..corpus.mix_sources import find_mix_sources
        from ..corpus.overlap import vocabulary_overlap

        found = find_mix_sources(options.source)
        overlap = vocabulary_overlap(found, options.document, options.text_field)
        options.source = [getattr(part, "path", part) for source in found for part in source.parts]
    reports = [asdict(report) for report in source_reports(options.source, options.document, options.text_field)]
    if options.json:
        print(json.dumps({"sources": reports, "overlap": asdict(overlap)} if overlap else reports, indent=1))
        return
    print(f"{'words':>12} {'lines':>10} {'documents':>10} {'bytes':>13}  source")
    for report in [*reports, _total(reports)]:
        counts = f"{report['words']:>12,} {report['lines']:>10,} {report['documents']:>10,} {report['bytes']:>13,}"
        print(f"{counts}  {Path(report['path']).name}")
    if overlap:
        _print_overlap(overlap)


def _total(reports: list[dict[str, Any]]) -> dict[str, Any]:
    return {"path": "total", **{n: sum(r[n] for r in reports) for n in ("words", "lines", "documents", "bytes")}}


def _print_overlap(overlap: Any) -> None:
    """Two tables: a row for each source, a column for each it is compared with."""
    width = max(map(len, overlap.names))
    for title, table in (
        ("running words of the row that occur in the column, in per cent", overlap.text_shared),
        ("different words of the row that occur in the column, in per cent", overlap.vocabulary_shared),
    ):
        print(f"\n{title}")
        print(f"{'':{width}} {'different':>10} " + " ".join(f"{name[-9:]:>9}" for name in overlap.names))
        for name, size, row in zip(overlap.names, overlap.vocabulary, table, strict=True):
            print(f"{name:{width}} {size:>10,} " + " ".join(f"{100 * share:>9.1f}" for share in row))


def corpus_mix(options: argparse.Namespace) -> None:
    """Mix sources and print what was taken of each."""
    from ..corpus.mix_files import manifest_path, write_mix
    from ..corpus.mixing import Mix, parse_bytes, parse_shares

    how = Mix(
        method=options.method,
        size=None if options.bytes is None else parse_bytes(options.bytes),
        shares=None if options.shares is None else parse_shares(options.shares),
        temperature=options.temperature,
        min_words=options.min_words,
        drop_duplicates=options.drop_duplicates,
        allow_short=options.allow_short,
        document=options.document,
        text_field=options.text_field,
    )
    manifest = write_mix(options.source, options.out, how)
    if options.json:
        print(json.dumps(manifest, indent=1))
        return
    print(f"{'words':>12} {'lines':>10} {'documents':>10} {'bytes':>13} {'share':>7} {'wanted':>7}  source")
    for entry in [*manifest["sources"], {**manifest, "path": "total", "share": 1.0, "share_wanted": 1.0}]:
        counts = f"{entry['words']:>12,} {entry['lines']:>10,} {entry['documents']:>10,} {entry['bytes']:>13,}"
        print(f"{counts} {entry['share']:>7.2%} {entry['share_wanted']:>7.2%}  {entry['path']}")
        for why, number in entry.get("left_out", {}).items():
            if number:
                print(f"{'':>12} {'':>10} {number:>10,} documents left out of {entry['path']}: {why.replace('_', ' ')}")
        if entry.get("short_by"):
            print(f"{'':>12} {entry['path']} ran out {entry['short_by']:,} bytes before its share")
    print(f"{options.out}: {manifest['order']}; manifest in {manifest_path(options.out).name}")
