"""`babylm-hf corpus`: what is in the text."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .sources import add_sources


def add(commands: Any) -> None:
    """`babylm-hf corpus stats`."""
    corpus = commands.add_parser("corpus", help="look at text").add_subparsers(metavar="ACTION", required=True)
    stats = corpus.add_parser("stats", help="words, lines, documents and sha256 of each source")
    add_sources(stats)
    stats.add_argument("--json", action="store_true", help="print JSON")
    stats.set_defaults(action=corpus_stats)


def corpus_stats(options: argparse.Namespace) -> None:
    """Print what each source holds."""
    from dataclasses import asdict

    from ..corpus import source_reports

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
