"""What commands find in recordings: printed on stdout and stderr, and written to files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm.auto import tqdm

from checks import complain, printable, replacing
from formats import FORMATS
from metrics import timeline_scores_in_words
from plotting import save_figure
from segments import SPAN
from tables import NAME_ERRORS, TEXT, to_csv

PROGRAM = "emotion_recognition.py"


class Result(NamedTuple):
    """What a command found in one recording, or in one channel of it."""

    document: dict  # for JSON
    table: pd.DataFrame  # for CSV
    text: str
    draw: Callable | None = None  # makes the figure


def give(results, args, targets):
    """Print results, their warnings and errors, and write the files that were asked for.

    Parameters
    ----------
    results : list of Result
    args : argparse.Namespace
        form, write, output and raw_csv; see `commands`.
    targets : set of Path
        The files written so far; those that are written here are added.
    """
    form = args.form
    if form == "json":
        show(json.dumps([result.document for result in results], indent=1))
    elif form == "csv":
        show(_csv(results, args.raw_csv), end="")
    for result in results:
        document = result.document
        by_row = form == "jsonl" and "rows" in document  # which have been printed, one by one
        if form == "text":
            show(printable(result.text, "\n"))
        elif form == "jsonl" and not by_row:
            show(json.dumps(document))
        if form in ("text", "csv") or by_row:
            for code, sentence in document.get("warnings", {}).items():
                note(f"  {document['path']}: {code}: {sentence}")
            if form != "text" and "scores" in document:
                note(f"  {document['path']}: {timeline_scores_in_words(document['scores'])}")
        if "error" in document:
            report(document["error"])
        else:
            _write(result, args, targets)


def _csv(results, raw):
    """One table of all results, which says what each row is of: str."""
    if raw and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=NAME_ERRORS)  # as the system spells them
    tables = []
    for document, table, *_ in results:
        place = {key: document[key] for key in ("path", "channel") if key in document}
        tables.append(pd.DataFrame(place, index=table.index, dtype=TEXT).join(table))
    table = pd.concat(tables, ignore_index=True)
    return to_csv(table[sorted(table, key=lambda column: column == "error")], raw)


def _write(result, args, targets):
    """Write the files of a result, each under a name that is not among `targets` yet."""
    document, table, _, draw = result
    path, channel = Path(SPAN.sub("", document["path"])), document.get("channel")
    stem = path.stem if channel is None else f"{path.stem}-{channel}"
    for form in dict.fromkeys(args.write):
        ending, to_text, takes = FORMATS[form]
        folder, n = Path(args.output or path.parent), 2
        target = folder / f"{stem}{ending}"
        while target in targets:
            target, n = folder / f"{stem}.{n}{ending}", n + 1
        targets.add(target)
        if form == "png":
            save_figure(draw(), target)
        else:
            how = {"raw": args.raw_csv, "audio": path, "channel": channel or 1}
            how = {name: how[name] for name in takes}
            text = (
                f"{json.dumps(document, indent=1)}\n" if form == "json" else to_text(table, **how)
            )
            with replacing(target) as temporary:
                temporary.write_text(text, encoding="utf-8", errors=NAME_ERRORS)
        note(f"  written: {target}")


def show(text, **how):
    """Print a text, see `print`, above a progress bar.

    Parameters
    ----------
    text, **how
    """
    with tqdm.external_write_mode():
        print(text, flush=True, **how)


def note(text):
    """Print a remark on stderr.

    Parameters
    ----------
    text : str
        Names in it are escaped; see `checks.printable`.
    """
    show(printable(text), file=sys.stderr)


def report(error):
    """Print an error on stderr, see `checks.complain`, above a progress bar.

    Parameters
    ----------
    error : str
    """
    with tqdm.external_write_mode(sys.stderr):
        complain(PROGRAM, error)
