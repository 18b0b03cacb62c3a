"""Output of the commands: results on stdout, remarks on stderr, files."""

import codecs
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from checks import complain, printable, replacing
from confidence import RANKINGS, uncertainty
from formats import FORMATS
from metrics import TITLES, timeline_scores_in_words
from plotting import bars, save_figure
from progress import Progress
from segments import SPAN
from tables import NAME_ERRORS, csv_text

PROGRAM = "emotion_recognition.py"
AS_SPELT = "ser-as-spelt"  # error handler: file names in their bytes, escaped if need be
NO_SPEECH = "no speech"  # in place of an emotion, in text


def _as_spelt(error):
    first = UnicodeEncodeError(*error.args[:2], error.start, error.start + 1, error.reason)
    try:
        return codecs.lookup_error(NAME_ERRORS)(first)
    except UnicodeEncodeError:
        return codecs.backslashreplace_errors(first)


codecs.register_error(AS_SPELT, _as_spelt)


class Result(NamedTuple):
    """The result of a command for one recording, or one channel of it."""

    document: dict  # for JSON
    table: pd.DataFrame | dict  # for CSV; a single row is a dict, which is 100 times as fast
    text: str
    draw: Callable | None = None  # makes the figure


def predicted(rec, name, found, args):
    """The result of `predict` for one recording, its emotion or its numbers: Result.

    Parameters
    ----------
    rec : trained recognizer
    name : str
        Name of the recording.
    found : dict
        See `batch.recognised`.
    args : argparse.Namespace
        emotions, set, rank and report; see `commands`.
    """
    emotions = args.emotions or rec.emotions or ()
    names = rec.targets or ("emotion", "confidence", "warnings", *emotions)
    columns = [*names, *(["warnings"] if rec.targets else [])]
    columns += ["set"] * (args.set is not None) + [*RANKINGS] * bool(args.rank)
    columns += ["over_time", "error"]  # always, as later rows may need them

    def result(found, row, lines):
        row = {column: row.get(column) for column in columns}
        return Result({"path": name} | found, row, "\n".join(filter(None, lines)))

    if "error" in found:
        return result(found, found, [f"\n{printable(name)}: can't be read"])
    found = found | ({} if args.report else {"warnings": {}})
    over_time = found.get("over_time", {})
    row = {"warnings": " ".join(found["warnings"])}
    row["over_time"] = " ".join(f"{emotion}:{share:.3f}" for emotion, share in over_time.items())
    if rec.targets:
        lines = [f"  {target:10s} {number:+.3f}" for target, number in found["numbers"].items()]
        lines = lines or [f"  {NO_SPEECH}"]
        return result(found, found["numbers"] | row, [f"\n{printable(name)}", *lines])
    found["emotion"] = found["emotion"] or ""
    row |= {"emotion": found["emotion"], "confidence": found["confidence"]}
    row |= {emotion: found["probabilities"].get(emotion) for emotion in emotions}
    lines = [f"\n{printable(name)}: {found['emotion'] or NO_SPEECH}", bars(found["probabilities"])]
    if over_time:
        shares = (f"{emotion} {100 * share:.0f} %" for emotion, share in over_time.items())
        lines.append(f"  over time: {', '.join(shares)}")
    if args.set is not None:
        row["set"] = " ".join(found.setdefault("set", []))
        if held := found.get("set_held"):
            of = f"probability {args.set:g}, of left-out speakers measured {held:.3f}"
            lines.append(f"  one of: {', '.join(found['set'])} ({of})")
    if args.rank:
        shares = [*found["probabilities"].values()]
        found["uncertainty"] = uncertainty(shares) if shares else None
        row |= {by: found[by] for by in RANKINGS}
        lines += [f"  {by} {found[by]:.3f}" for by in RANKINGS if shares]
    return result(found, row, lines)


def give(results, args, targets, header=True):
    """Print results, their warnings and errors, and write the requested files.

    Parameters
    ----------
    results : list of Result
    args : argparse.Namespace
        form, write, output and raw_csv; see `commands`.
    targets : set of Path
        Files written so far; new ones are added.
    header : bool, default True
        Begin CSV with the names of its columns.
    """
    form = args.form
    if form == "json":
        show(json.dumps([result.document for result in results], indent=1))
    elif form == "csv":
        show(_csv(results, args.raw_csv, header), end="")
    for result in results:
        document = result.document
        by_row = form == "jsonl" and "rows" in document  # they were printed one by one
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


def _csv(results, raw, header=True):
    """One CSV table of all results, with the recording of each row: str."""
    if raw and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=AS_SPELT)
    columns, rows = {}, []
    for document, table, *_ in results:
        place = {key: document[key] for key in ("path", "channel") if key in document}
        columns |= dict.fromkeys([*place, *table])
        rows += [place | row for row in ([table] if isinstance(table, dict) else _rows(table))]
    columns = sorted(columns, key=lambda column: column == "error")
    every = ([row.get(column) for column in columns] for row in rows)
    return csv_text(columns if header else None, every, raw)


def _rows(table):
    """The rows of a table: list of dict."""
    return [dict(zip(table, row, strict=True)) for row in table.to_numpy(dtype=object)]


def _write(result, args, targets):
    """Write the files of a result, under names that aren't in `targets` yet."""
    document, table, _, draw = result
    table = pd.DataFrame([table]) if isinstance(table, dict) else table
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
    """Print a text above a progress bar.

    Parameters
    ----------
    text, **how
        See `print`.
    """
    with Progress.external_write_mode():
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
    with Progress.external_write_mode(sys.stderr):
        complain(PROGRAM, error)


# training


def training_facts(rec, predictions):
    """The JSON document of a training run: dict.

    Parameters
    ----------
    rec : trained recognizer
    predictions : list of dict
        path, and the result for that recording.
    """
    if rec.targets:
        answers = {"targets": rec.targets}
    else:
        answers = {"confusion": rec.confusion_matrix(percentage=False, labeled=False).tolist()}
    return {
        "protocol": rec.protocol(),
        "corpora": sorted(set(rec.train_rows_["corpus"]) | set(rec.test_rows_["corpus"])),
        "model": rec.name,
        "emotions": rec.emotions,
        "n_train": len(rec.y_train),
        "n_test": len(rec.y_test),
        **rec.scores(),
        **answers,
        "predictions": predictions,
    }


def training_in_words(rec, predictions):
    """Describe a training run (clips, scores, confusion matrix, predictions): str.

    Parameters
    ----------
    rec, predictions
        See `training_facts`.
    """
    parts = []
    score = rec.scores()
    parts.append(f"\nClips\n{rec.get_samples_by_class().to_string()}")
    parts.append(f"\n{rec.name}, {rec.protocol()}")
    if "custom" in set(rec.test_rows_["corpus"]):
        parts.append(
            "(the bundled data/test-custom is synthetic speech: it shows that everything works, "
            "not how well people are recognised)"
        )
    for name in ("ccc", "mae", "rmse") if rec.targets else ("accuracy", "uar"):
        low, high = score[f"{name}_low"], score[f"{name}_high"]
        interval = "one speaker, no interval" if low is None else f"{low:.3f} to {high:.3f}"
        parts.append(f"  {TITLES[name]:8s} {score[name]:.3f}  (95 % by speaker: {interval})")
    if not rec.targets:
        parts.append(f"  chance   {1 / len(rec.emotions):.3f}")
        parts.append("\nConfusion matrix, percent of the true emotion")
        parts.append(rec.confusion_matrix().round(1).to_string())
    for prediction in predictions:
        own = prediction.get("numbers", {}).items()
        found = ", ".join(f"{name} {number:+.3f}" for name, number in own)
        found = found or prediction.get("emotion", "can't be read") or NO_SPEECH
        lines = [
            f"\n{printable(prediction['path'])}: {found}",
            bars(prediction.get("probabilities", {})),
        ]
        parts.append("\n".join(filter(None, lines)))
    return "\n".join(parts)
