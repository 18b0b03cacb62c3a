"""The command lines of emotion_recognition.py: train and score, predict, timeline, explain.

All of them, and test.py, get the options of the model from `add_model`, and the model itself from
`recognizer`; the options of adaptation from `add_adapt`, and the adapted model from `adapted`.
"""

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("emotion_recognition.py")

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import emotion_recognition
import evaluation
import explain
import timeline
from adaptation import BY, NoSpeech
from annotations import evaluate_timeline, read_segments
from audio import AudioError
from batch import Journal, recognised
from checks import check_name, guarded, make_parser, moved, printable, read_file
from clip_tables import read_data, read_table
from confidence import RANKINGS
from corpora import CORPORA, find_data_dir, help_line, wishes
from create_csv import found_recordings, labelled_clips
from deep_emotion_recognition import named_recognizer
from emotion_recognition import load_recognizer
from encoder import BUNDLED
from features import REGISTRY
from formats import FORMATS, draw_timeline, in_words, records
from metrics import timeline_scores_in_words
from parameters import AVAILABLE_EMOTIONS, CLASSIFIERS, DEFAULT_EMOTIONS, RECIPES
from plotting import save_figure
from predictor import recognise
from progress import Progress
from results import (
    PROGRAM,
    Result,
    give,
    note,
    predicted,
    report,
    show,
    training_facts,
    training_in_words,
)
from table_files import add_data
from tables import LARGEST, NAMED, SPEAKERS, names_of, speaker_of
from tables import recordings as recordings_of
from utils import AS_FEATURES, among, encoder_option, names_option, probability_option

MODELS = (*RECIPES, *(name.removesuffix("Classifier") for name in CLASSIFIERS))
"""Names of recipes: models that are trained by the command line that names them."""
TABLES = ".csv", ".tsv", ".jsonl"
"""Suffixes of files that list recordings."""
TRAINING = ("data", "target", "columns", "label_map", "corpora", "features", "data_dir")
TRAINING += ("no_balance", "speeds", "noisy", "seed")
"""Arguments of `add_model` that apply only to a recipe."""


# options


_MODEL = (
    "a .ser file (default: the bundled model), or a recipe that is trained first, on the corpora "
    f"of real speech or those of --corpora: {', '.join(MODELS)}"
)
_EMOTIONS = "comma-separated: choose only among these; a recipe is trained on them"
_ENCODER = (
    f"the pre-trained encoder: {BUNDLED} (bundled), PATH.onnx or hf:NAME (a suffix @6,9 chooses "
    "layers), or none; default: the model's. For a model from a file: its encoder on this machine"
)
_CORPORA = f"comma-separated, out of {', '.join(CORPORA)}; default: all of real speech"


def add_model(parser, model=_MODEL, emotions=_EMOTIONS, corpora=_CORPORA):
    """Add the options that choose a model, and those of its training; see `recognizer`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    model, emotions, corpora : str
        Help texts of these options.
    """
    names, number = {"type": names_option, "metavar": "A,B"}, {"type": int, "metavar": "N"}
    add = parser.add_argument
    add("-m", "--model", metavar="FILE|NAME", help=model)
    add("-e", "--emotions", help=emotions, **names)
    add = parser.add_argument_group("training of a recipe").add_argument
    add("--corpora", help=corpora, **names)
    known = f"comma-separated, out of {', '.join(REGISTRY)}"
    add("--features", help=f"{known}; default: the model's", **names)
    add_data(parser)
    add("--encoder", type=encoder_option, default=AS_FEATURES, metavar="NAME|none", help=_ENCODER)
    add("--data-dir", metavar="FOLDER", help="the data folder (default: $SER_DATA_DIR, else data/)")
    add("--no-balance", action="store_true", help="use all clips of each emotion")
    speeds = "also train on each clip at N other speeds, up to 4 (default 0; lstm 2, ensemble 4)"
    add("--speeds", help=speeds, **number)
    noisy = "also train on N copies of each clip in noise, in a room or over a telephone line"
    add("--noisy", default=0, help=f"{noisy} (default 0)", **number)
    add("--seed", default=0, help="random seed (default 0)", **number)
    add("--voices", dest="speeds", help=argparse.SUPPRESS, **number)  # the former names
    add("--degraded", dest="noisy", help=argparse.SUPPRESS, **number)


# recognizers


def recognizer(args):
    """Load or train the recognizer that `--model` names.

    It is the bundled one, that of a file, or a recipe that is trained now: on the given corpora, or
    on those of real speech in the data folder. Output of the training goes to stderr.

    Parameters
    ----------
    args : argparse.Namespace
        Has the options of `add_model`.

    Returns
    -------
    Recognizer
        Trained.

    Raises
    ------
    ValueError
        For an unknown model or emotion, or an option of training for a model from a file.
    FileNotFoundError
        If there is nothing to train on.
    """
    recipe = _recipe(args.model)
    if recipe is not None:
        with redirect_stdout(sys.stderr):
            corpora = args.corpora or (None if args.data else _real_corpora(args, recipe))
            return _trained(args, recipe, corpora)
    for name in TRAINING:
        if getattr(args, name) not in (None, False):
            raise ValueError(
                f"--{name.replace('_', '-')} is for training, and this model is already trained: "
                "leave it out, or name a recipe, such as --model recommended"
            )
    if args.encoder is None:
        raise ValueError(
            "--encoder none is for training, and this model is already trained: name a recipe, "
            "such as --model recommended, or leave it out"
        )
    given = None if args.encoder == AS_FEATURES else args.encoder
    rec = load_recognizer(args.model, encoder=given)
    for emotion in args.emotions or ():
        check_name(emotion, rec.emotions, "emotion")
    return rec


def _recipe(model):
    """The name of a recipe, or None if the model is a file."""
    if model is None:
        return None
    name = "recommended" if model == "default" else model.removesuffix("Classifier")
    if name in MODELS:
        return name
    is_file = model.endswith(".ser") or Path(model).exists()
    return None if is_file else check_name(model, MODELS, "model")


def _real_corpora(args, recipe):
    """The corpora of real speech in the data folder: list of str, never empty."""
    folder = find_data_dir(args.data_dir)
    try:
        found = set(labelled_clips(wishes(custom_db=False), data_dir=folder, verbose=0)["corpus"])
    except FileNotFoundError:
        raise FileNotFoundError(
            f"--model {recipe} needs corpora of real speech to train on, and {folder} has none. "
            "Get some by `python download_data.py`, name the clips to train on (--corpora custom), "
            "or leave --model out: the bundled model is already trained."
        ) from None
    return [name for name in CORPORA if name in found]


def _trained(args, recipe, corpora, verbose=1):
    """Build the recognizer of a recipe, and train it."""
    given = {"features": args.features, "speeds": args.speeds, "corpora": corpora}
    options = {name: value for name, value in given.items() if value is not None}
    options |= {"encoder": args.encoder, "noisy": args.noisy}
    options["emotions"] = args.emotions or (None if args.data else list(DEFAULT_EMOTIONS))
    options["data"] = read_data(args.data, args.columns, args.label_map, args.target)
    options |= {"target": args.target} if args.target else {}
    options |= {"balance": not args.no_balance, "random_state": args.seed}
    rec = named_recognizer(recipe, data_dir=args.data_dir, verbose=verbose, **options)
    return rec if recipe == "best" else rec.train()


# adaptation


def add_adapt(parser, **how):
    """Add the options of adaptation, see `adapted`; return the `add_argument` of their group.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    **how
        Arguments of the option --adapt, such as its help.
    """
    add = parser.add_argument_group("adaptation").add_argument
    add("--adapt", action="append", default=[], metavar="FOLDER|FILE", **how)
    add("--adapt-by", choices=BY, help="what they share (default speaker; with self: condition)")
    add("--save-adapted", metavar="FILE", help="save the adapted recognizer, for --model")
    return add


def adapted(rec, args, recordings=None, labels="names", name=None, **settings):
    """Adapt a recognizer by the options, with a report on stderr; return the adapted one.

    Parameters
    ----------
    rec : trained recognizer
    args : argparse.Namespace
        Has the options of `add_adapt`.
    recordings, labels, **settings
        See `recognizer.Predicts.adapt`. Default: those of --adapt.
    name : str, optional
        Their speaker, for the report.
    """
    if recordings is None:
        with found_recordings(args.adapt) as own:
            return adapted(rec, args, [*own.values()], labels)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\d+ recording\(s\) left out of the adaptation")
        rec = rec.adapt(recordings, labels, by=args.adapt_by or "speaker", **settings)
    left_out = [f"{path} ({reason})" for path, reason in rec.adaptation_.left_out.items()]
    note(f"  {name + ': ' if name else ''}adapted to {rec.adaptation_}")
    if left_out:
        note(f"  left out of the adaptation: {', '.join(left_out)}")
    if args.save_adapted:
        rec.save(args.save_adapted)
        note(f"  written: {args.save_adapted}")
    return rec


def _for_each(rec, recordings, args):
    """The recognizer for each recording, adapted by --adapt: dict by name."""
    if args.adapt in ([], ["running"]):
        return dict.fromkeys(recordings, rec)
    if args.adapt != ["self"]:
        return dict.fromkeys(recordings, adapted(rec, args))
    if args.speakers is None:
        return dict.fromkeys(recordings, adapted(rec, args, [*recordings.values()], None))
    speakers, found = {name: speaker_of(name, args.speakers) for name in recordings}, {}
    for who in dict.fromkeys(speakers.values()):
        own = [path for name, path in recordings.items() if speakers[name] == who]
        try:
            found[who] = adapted(rec, args, own, None, who)
        except NoSpeech as error:
            found[who] = rec
            note(f"  {who}: not adapted. {error}")
    return {name: found[who] for name, who in speakers.items()}


# results


PREDICT_HELP = """Recognise the emotions of recordings with a trained model.

    python emotion_recognition.py predict call.wav "my clip.m4a"
    python emotion_recognition.py predict recordings "talks/*.mp3" --csv > emotions.csv
    python emotion_recognition.py predict clips.csv       # columns path, optionally start and end
    python emotion_recognition.py predict call.wav -e angry,neutral,sad --json
    python emotion_recognition.py predict call.wav --adapt ann --save-adapted ann.ser
    python emotion_recognition.py predict calls --adapt self --speakers folder
    python emotion_recognition.py predict calls --rank --csv > label_next.csv
    ffmpeg -v error -i talk.mkv -f wav - | python emotion_recognition.py predict - --jsonl
"""


def add_abstain(add):
    """Add the option to abstain.

    Parameters
    ----------
    add : callable
        A parser's add_argument.
    """
    unsure = 'print "unsure" if no emotion is as probable as P, or the recording is novel'
    add("--abstain", type=probability_option, metavar="P", help=unsure)


def _add_predict(add):
    add_abstain(add)
    sets = "also print a set of emotions that includes the true one with probability P"
    add("--set", type=probability_option, metavar="P", help=sets)
    jobs = "processes (default: all cores for many recordings)"
    add("--n-jobs", type=int, metavar="N", help=jobs)
    add("--scheduler", metavar="ADDRESS", help="use a Dask cluster, e.g. tcp://host:8786")
    resume = "with --output FILE: continue an interrupted run"
    add("--resume", action="store_true", help=resume)
    rank = "sort for labelling: uncertain recordings first (default), or novel ones first"
    add("--rank", nargs="?", choices=RANKINGS, const=RANKINGS[0], help=rank)


WINDOWS = "window", "hop", "smooth"
TIMELINE_HELP = """Predict emotion over time, for each second of speech.

    python emotion_recognition.py timeline call.wav                      # print it
    python emotion_recognition.py timeline talk.mp4 --write srt,png      # talk.srt, talk.png
    python emotion_recognition.py timeline calls --channels split --csv > calls.csv
    python emotion_recognition.py timeline call.wav --jsonl              # row by row
    python emotion_recognition.py timeline talk.mp4 --adapt running      # for a single speaker
    python emotion_recognition.py timeline call.wav --segments turns.rttm  # a row for each turn
    python emotion_recognition.py timeline call.wav --reference truth.csv  # score it
"""


def _add_timeline(add):
    default = "(default %(default)s)"
    add("--window", type=float, default=3.0, help=f"seconds of speech for each row {default}")
    add("--hop", type=float, default=1.0, help=f"seconds from row to row {default}")
    add("--smooth", type=int, default=1, help=f"number of rows to average {default}")
    add("--no-vad", dest="vad", action="store_false", help="predict in silence, too")
    split = "split: a timeline for each channel"
    add("--channels", choices=("mix", "split"), default="mix", help=split)
    turns = "RTTM, or a table of start, end, speaker: a row for each turn, adapted to its speaker"
    add("--segments", metavar="FILE", help=turns)
    truth = "RTTM, or a table of start, end, emotion: print segment UAR and EDER"
    add("--reference", metavar="FILE", help=truth)
    for flag, form in (("--srt", "srt"), ("--plot", "png"), ("--audacity", "audacity")):
        add(flag, dest="write", action="append_const", const=form, help=argparse.SUPPRESS)


def _timeline(rec, name, path, args):
    """Yield the timeline of a recording, or of each channel."""
    split = args.channels == "split"

    def place(channel):
        return {"path": name} | ({"channel": channel + 1} if split else {})

    def chosen(row):
        return among(row, args.emotions) if args.emotions and row["emotion"] else row

    def on_row(channel, row):
        show(json.dumps(place(channel) | chosen(row)))

    names = "vad", "channels", "report", *(("segments",) if args.segments else WINDOWS)
    settings = {key: getattr(args, key) for key in names}
    settings |= {} if args.segments else {"adapt": args.adapt == ["running"]}
    settings["on_row"] = on_row if args.form == "jsonl" else None
    found = timeline.predict_timeline(rec, path, **settings)
    for channel, whole in enumerate(found if split else [found]):
        rows = [chosen(row) for row in records(whole)]
        names = [column for column in whole if column not in rec.emotions]
        table = pd.DataFrame(rows, columns=[*names, *(args.emotions or rec.emotions)])
        table.attrs = whole.attrs
        document = place(channel) | table.attrs | {"rows": rows}
        text = in_words(table, f"{printable(name)}{f', channel {channel + 1}' * split}")
        if args.reference:
            truth = read_segments(args.reference, "emotion", Path(name).stem)
            document["scores"] = evaluate_timeline(table, truth)
            text += f"\n  {timeline_scores_in_words(document['scores'])}"
        draw = partial(draw_timeline, path, table, channel=channel if split else None)
        yield Result(document, table, text, draw)


EXPLAIN_HELP = """Explain how much features and seconds of a recording contribute to an emotion.

    python emotion_recognition.py explain call.wav                     # why the predicted one
    python emotion_recognition.py explain call.wav --emotion sad       # why, or why not, sad
    python emotion_recognition.py explain recordings --write png --output why
"""


def _add_explain(add):
    add("--emotion", help="the emotion to explain (default: the predicted one)")
    add("--pictures", metavar="FOLDER", help=argparse.SUPPRESS)


def _explain(rec, name, path, args):
    """Yield the explanation of a recording."""
    emotion = args.emotion
    if args.emotions and not emotion:
        emotion = recognise(rec.predictor_, path, emotions=args.emotions)["emotion"]
    table = explain.explain(rec, path, emotion=emotion)
    document = {"path": name} | table.attrs
    document["effects"] = [row.dropna().to_dict() for _, row in table.iterrows()]
    document.pop("said", None)
    draw = partial(explain.draw_explanation, path, table)
    yield Result(document, table, f"\n{printable(name)}\n{explain.to_text(table)}", draw)


# the three commands


class Command(NamedTuple):
    """A command for a trained recognizer and recordings."""

    description: str
    add: Callable  # adds its options; takes a parser's add_argument
    results: Callable | None  # (rec, name, path, args), yields `Result`s; None: in batches
    forms: tuple  # values of --write


COMMANDS = {
    "predict": Command(PREDICT_HELP, _add_predict, None, ("csv", "json")),
    "timeline": Command(TIMELINE_HELP, _add_timeline, _timeline, tuple(FORMATS)),
    "explain": Command(EXPLAIN_HELP, _add_explain, _explain, ("csv", "json", "png")),
}


def _parse(command, argv):
    """The arguments of a command; `form` is the format on stdout, `write` those of files."""
    description, add_own, _, forms = COMMANDS[command]
    parser = make_parser(f"{PROGRAM} {command}", description)
    add = parser.add_argument
    recordings = "recordings, folders of them, patterns, tables of paths (.csv), - for stdin"
    add("files", nargs="*", metavar="FILE", help=recordings)
    add("--list", metavar="FILE", help="a file with a recording in each line; - for stdin")
    strict = "exit code 1 if any recording is unreadable or skipped; default: only if all are"
    add("--strict", action="store_true", help=strict)
    parser.set_defaults(form=None, write=[], pictures=None, resume=False)
    parser.set_defaults(rank=None, segments=None, reference=None)
    add_own(add)
    printed = parser.add_mutually_exclusive_group()
    texts = {"json": "one JSON document", "jsonl": "JSON, line by line", "csv": "a table"}
    for form, text in texts.items():
        how = {"dest": "form", "action": "store_const", "const": form, "help": f"print {text}"}
        printed.add_argument(f"--{form}", **how)
    write = f"files to write for each recording, comma-separated, out of {', '.join(forms)}"
    add("--write", type=names_option, action="extend", metavar="FORMATS", help=write)
    output = "folder for --write (default: beside each recording); predict: file of the results"
    add("--output", metavar="FOLDER", help=output)
    quiet = "print no warnings about noise, clipping, telephone quality, ..."
    raw = "don't escape names in CSV: those that begin with = + - @ may run in a spreadsheet"
    add("--raw-csv", action="store_true", help=raw)
    add("--no-warnings", dest="report", action="store_false", help=quiet)
    add_model(parser)
    adapt = "adapt to these first (with labels in names: ann_3_neutral.wav); self: to FILEs"
    adapt += "; running: to the speaker, as the recording goes on" * (command == "timeline")
    add_own = add_adapt(parser, help=adapt)
    who = f"with --adapt self, the speakers: {', '.join(SPEAKERS)}, or a pattern like '^([a-z]+)_'"
    add_own("--speakers", metavar="HOW", help=who)
    args = parser.parse_args(argv)
    if args.pictures:
        args.output, args.write = args.pictures, [*args.write, "png"]
    _check_adapt(parser, args, command)
    try:
        for form in args.write:
            check_name(form, forms, f"format of {command}")
    except ValueError as error:
        parser.error(str(error))
    if args.output and not args.write and command != "predict":
        parser.error("--output is the folder for --write; give --write, too")
    if args.resume and (not args.output or args.write):
        parser.error("--resume needs --output FILE, without --write")
    if not (args.files or args.list or args.data):
        parser.error("the following arguments are required: FILE, or --list or --data")
    by_name = Path(args.output or "").suffix[1:] if not args.write else ""
    args.form = args.form or (by_name if by_name in texts else "text")
    return args


def _check_adapt(parser, args, command):
    """Complete and check the options of adaptation."""
    to_self, running = ("self" in args.adapt), ("running" in args.adapt)
    no_names, needs = not args.adapt or running, args.adapt_by or args.save_adapted
    wrong = {
        "--adapt self and running take no recordings": (to_self or running) and len(args.adapt) > 1,
        "--adapt running is for timeline": running and command != "timeline",
        "--segments excludes --adapt running, --window, --hop and --smooth": args.segments
        and (running or any(getattr(args, key) != parser.get_default(key) for key in WINDOWS)),
        "--speakers needs --adapt self": args.speakers and not to_self,
        "--adapt-by and --save-adapted need --adapt FOLDER, or self": needs and no_names,
        "--save-adapted saves one recognizer: leave out --speakers": args.save_adapted
        and args.speakers,
    }
    for message in filter(wrong.get, wrong):
        parser.error(message)
    if to_self and not args.speakers:  # recordings of a folder usually have several speakers
        args.adapt_by = args.adapt_by or "condition"


def _each(command, recs, recordings, args, journal):
    """Yield the results of a command by recording: lists of `Result`."""
    if command == "predict":
        asked = [(recs[name].predictor_, path) for name, path in recordings.items()]
        where = {"n_jobs": args.n_jobs, "scheduler": args.scheduler, "known": journal}
        emotions = args.emotions or next(iter(recs.values())).emotions or None
        choices = {"emotions": emotions, "abstain": args.abstain, "coverage": args.set}
        every = recognised(asked, **where, **choices)
        for name, found in zip(recordings, every, strict=True):
            yield [predicted(recs[name], name, found, args)]
        return
    for name, path in recordings.items():
        try:
            yield list(COMMANDS[command].results(recs[name], name, path, args))
        except AudioError as error:
            failed = {"error": str(error)}
            text = f"\n{printable(name)}: can't be read"
            yield [Result({"path": name} | failed, pd.DataFrame([failed]), text)]


def _answer(command, argv):
    """Run predict, timeline or explain: int, the exit code."""
    args, skipped = _parse(command, argv), []
    with found_recordings(_wanted(args), skipped) as recordings:
        recordings |= _of_tables(args)
        if not recordings:
            raise ValueError(f"There are no recordings: {args.list or 'the table'} names none")
        if (args.segments or args.reference) and len(recordings) > 1:
            raise ValueError(
                f"--segments and --reference belong to one recording, not {len(recordings)}: run "
                "the command for each"
            )
        recs = _for_each(recognizer(args), recordings, args)
        with _to_file(args) as journal:
            results = _each(command, recs, recordings, args, journal)
            n_failed = _given(results, recs, args, command == "predict")
    if skipped:
        named = ", ".join(skipped[:NAMED]) + ", ..." * (len(skipped) > NAMED)
        note(f"  {len(skipped)} file(s) skipped that aren't recordings: {named}")
    if n_failed > 1:
        note(f"  {n_failed} of {len(recordings)} recordings can't be read")
    return int(n_failed == len(recordings) or (args.strict and bool(n_failed or skipped)))


def _given(every, recs, args, by_row):
    """Print and write all results, early if their format allows it: int, number of failures."""
    at_once = (args.form in ("text", "jsonl") or (by_row and args.form == "csv")) and not args.rank
    results, targets, n_failed = [], set(), 0  # targets: the files written so far
    with Progress(None, "Predicting", len(recs), unit="clip", disable=len(recs) < 2) as bar:
        for name, found in zip(recs, every, strict=True):
            how = recs[name].adaptation_
            found = [r._replace(document=r.document | {"adapted": how and str(how)}) for r in found]
            if at_once:
                give(found, args, targets, header=name == next(iter(recs)))
            else:
                results += found
            n_failed += any("error" in result.document for result in found)
            bar.update()
    if args.rank:
        results.sort(key=lambda result: -(result.document.get(args.rank) or -1.0))
    if not at_once:
        give(results, args, targets)
    return n_failed


def _wanted(args):
    """The files of a command line, and those of --list: list of str."""
    files = [file for file in args.files if not file.lower().endswith(TABLES)]
    if args.list is None:
        return files
    read = sys.stdin.buffer.read if args.list == "-" else partial(read_file, args.list, LARGEST)
    lines = os.fsdecode(read()).split("\n")
    return [*files, *(line.rstrip("\r") for line in lines if line.strip())]


def _of_tables(args):
    """The recordings of tables among the files, and of --data: dict by name.

    With a recipe, --data is for training, and isn't predicted.
    """
    tables = [file for file in args.files if file.lower().endswith(TABLES)]
    if args.data and _recipe(args.model) is None:
        tables, args.data = tables + args.data, None
    if not tables:
        return {}
    rows = read_table(tables, columns=args.columns, target=None)
    return dict(zip(names_of(rows), recordings_of(rows), strict=True))


@contextmanager
def _to_file(args):
    """Context manager: results go to the file of --output, if given; its Journal, or None."""
    if args.output is None or args.write:
        yield None
        return
    journal, complete = Journal(args.output, args.resume), False
    options = {"encoding": "utf-8", "errors": "backslashreplace"}
    try:
        with Path(args.output).open("w", **options) as file, redirect_stdout(file):
            yield journal
        complete = True
    finally:
        journal.close(complete)


# training


def _parse_training(argv):
    parser = make_parser(PROGRAM, emotion_recognition.__doc__)
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="recordings to predict")
    recipes = ", ".join(f"{name} ({RECIPES[name]})" if name in RECIPES else name for name in MODELS)
    known = f"comma-separated, out of {', '.join(AVAILABLE_EMOTIONS)} and the labels of your clips"
    emotions = f"{known} (default {','.join(DEFAULT_EMOTIONS)})"
    add_model(parser, f"a recipe: {recipes}; default recommended", emotions, help_line())
    add("--picture", metavar="FILE", help="draw the confusion matrix to a file")
    add("--json", action="store_true", help="print one JSON object instead")
    save = "train again on all clips, including the test part, and save that recognizer with "
    save += "its scores by folds of speakers, for --model"
    add("--save", metavar="FILE", help=save)
    return parser.parse_args(argv)


def _train(argv):
    """Train, score and predict; see `emotion_recognition`: int, the exit code."""
    args = _parse_training(argv)
    for path in args.files:
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no file {path}.")
    recipe = _recipe(args.model or "recommended")
    if recipe is None:
        raise ValueError(
            f"{args.model} is already trained: use it with predict, timeline or explain, or name a "
            "recipe to train; see --help"
        )
    rec = _trained(args, recipe, args.corpora, verbose=0 if args.json else 1)
    predictions = []
    for path in args.files:
        try:
            found = recognise(rec.predictor_, path)
            if not rec.targets:
                found["emotion"] = found["emotion"] or ""
            kept = "emotion", "probabilities", "numbers"
            found = {name: found[name] for name in kept if name in found}
        except AudioError as error:
            found = {"error": str(error)}
        predictions.append({"path": path} | found)
    if args.json:
        print(json.dumps(training_facts(rec, predictions)))
    else:
        print(training_in_words(rec, predictions))
    sys.stdout.flush()
    if args.picture:
        save_figure(rec.draw_confusion_matrix().figure, args.picture)
    if args.save:
        n_speakers = rec.clips().groupby("corpus")["speaker"].nunique().max()
        measured = evaluation.evaluate(rec.untrained(), f"group-{min(6, n_speakers)}", verbose=1)
        rec.untrained().fit(rec.clips()).save(args.save, measured=measured)
    errors = [prediction["error"] for prediction in predictions if "error" in prediction]
    for error in errors:
        report(error)
    return int(bool(errors))


# running


def main(argv=None):
    """Run the command line of emotion_recognition.py: int, the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Default: the program's.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and argv[0] in COMMANDS:
        return guarded(PROGRAM, _answer, argv[0], argv[1:])
    return guarded(PROGRAM, _train, argv)


__getattr__ = moved(
    __name__,
    {
        "audio": "load_audio",
        "checks": "replacing",
        "create_csv": "list_audio",
        "emotion_recognition": "DEFAULT_FILE corpora_options decided hear",
        "features": "FEATURES VOICE_FEATURES",
        "plotting": "bars",
    },
)

if __name__ == "__main__":
    sys.exit(main())
