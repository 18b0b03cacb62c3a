"""The command lines of emotion_recognition.py: train and score, predict, timeline, explain.

`emotion_recognition.py --help` and `emotion_recognition.py predict --help` say what they do.
"""

import argparse
import json
import sys
from glob import glob
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

import emotion_recognition
import evaluation
import explain
import timeline
from audio import AudioError, load_audio
from create_csv import list_audio
from data_extractor import DEFAULT_EMOTIONS
from emotion_recognition import (
    DEFAULT_FILE,
    bars,
    corpora_options,
    decided,
    hear,
    load_recognizer,
    named_recognizer,
)
from evaluation import save_figure
from features import FEATURES, VOICE_FEATURES
from parameters import CLASSIFIERS
from utils import AVAILABLE_EMOTIONS, check_name, replacing


def _parser(description, command=""):
    return argparse.ArgumentParser(
        prog=f"emotion_recognition.py {command}".strip(), description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _add_hearing_arguments(parser):
    """What a command line says about a recognizer that is there, and what it is to hear."""
    parser.add_argument("files", nargs="+", metavar="FILE",
                        help="recordings, folders of them, patterns")  # fmt: skip
    parser.add_argument("--model", metavar="FILE",
                        help=f"of rec.save (default models/{DEFAULT_FILE.name})")  # fmt: skip


def _complain(error):
    print(f"emotion_recognition.py: {error}", file=sys.stderr)


def _parse_args(argv):
    parser = _parser(emotion_recognition.__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings to predict")
    _add_model_arguments(parser)
    parser.add_argument("--picture", metavar="FILE", help="draw the confusion matrix to a file")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="train again on all clips, those of the test part too, and keep the recognizer for "
        "predict, with its scores by groups of speakers",
    )
    return parser.parse_args(argv)


def _add_model_arguments(parser):
    """What a command line says about the recognizer and what it learns from."""
    models = [name.removesuffix("Classifier") for name in CLASSIFIERS]
    parser.add_argument(
        "--model",
        default="default",
        help="default (the recommended one), classic (SVC on means of mfcc, chroma, mel), lstm "
        "(networks over the frames), ensemble (default with copies of each clip, lstm), "
        f"{', '.join(models)}, or best (of these, as tuned)",
    )
    parser.add_argument("--emotions", default=",".join(DEFAULT_EMOTIONS),
                        help=f"comma-separated, out of {', '.join(AVAILABLE_EMOTIONS)} and what "
                             "your clips are named (default %(default)s)")  # fmt: skip
    parser.add_argument("--corpora", help="comma-separated, out of ravdess, tess, emodb, custom; "
                        "default: whatever is there")  # fmt: skip
    parser.add_argument(
        "--features",
        help="comma-separated, out of "
        f"{', '.join(FEATURES + VOICE_FEATURES)}; default: the model's",
    )
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--no-balance", action="store_true", help="use all clips of each emotion")
    parser.add_argument("--voices", type=int, metavar="N",
                        help="learn from each clip in N other voices, too, up to 4 (default 0, of "
                             "lstm and ensemble 4)")  # fmt: skip
    parser.add_argument("--degraded", type=int, default=0, metavar="N",
                        help="learn from N copies of each clip, too, in noise, in a room or over "
                             "the telephone (default 0; 1 is enough)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")


PREDICT_HELP = """Name the emotions of recordings, at once: the model is there, nothing is trained.

    python emotion_recognition.py predict call.wav "my clip.m4a"
    python emotion_recognition.py predict recordings "talks/*.mp3" --csv > emotions.csv
    python emotion_recognition.py predict call.wav -e angry,neutral,sad --json
"""


def _parse_predict_args(argv):
    parser = _parser(PREDICT_HELP, "predict")
    _add_hearing_arguments(parser)
    parser.add_argument("-e", "--emotions",
                        help="choose among these only, comma-separated")  # fmt: skip
    parser.add_argument("--abstain", type=float, metavar="P",
                        help='say "unsure" where no emotion is as probable as P')  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all that was heard as JSON")
    form.add_argument("--csv", action="store_true", help="print a table, a row for each recording")
    parser.add_argument("--no-warnings", action="store_true",
                        help="say nothing about noise, clipping, telephone width, ...")  # fmt: skip
    return parser.parse_args(argv)


def _predict_command(argv):
    """emotion_recognition.py predict; see `PREDICT_HELP`."""
    args = _parse_predict_args(argv)
    paths = _recordings(args.files)
    rec = load_recognizer(args.model)
    emotions = args.emotions.split(",") if args.emotions else rec.emotions
    for emotion in emotions:
        check_name(emotion, rec.emotions, "emotion")
    results, form = [], "json" if args.json else "csv" if args.csv else "text"
    for path in tqdm(paths, "Listening", unit="clip", disable=len(paths) < 2):
        results.append(_heard(rec, path, emotions, args))
        if form == "text":
            tqdm.write(_in_text(results[-1]))
    if form == "json":
        print(json.dumps(results, indent=1))
    elif form == "csv":
        print(pd.json_normalize(results).rename(columns=lambda c: c.rpartition(".")[2])
              .to_csv(index=False, float_format="%.4f", lineterminator="\n"), end="")  # fmt: skip
    failures = [result["error"] for result in results if "error" in result]
    for failure in failures:
        _complain(failure)
    return int(bool(failures))


def _recordings(wishes):
    """The recordings that paths, folders and patterns stand for: list of str, none twice."""
    found = {}
    for wish in wishes:
        path = Path(wish)
        if path.exists():
            paths = list_audio(path) if path.is_dir() else [path]
        else:
            matches = sorted(glob(wish, recursive=True))  # noqa: PTH207  (absolute ones, too)
            paths = [match for match in matches if Path(match).is_file()]
        if not paths:
            raise FileNotFoundError(f"There is no recording {wish}, nor one in it or like it")
        found |= dict.fromkeys(map(str, paths))
    return list(found)


def _heard(rec, path, emotions, args):
    """What is heard in a recording: dict."""
    try:
        y = load_audio(path)
    except AudioError as error:
        return {"path": path, "error": str(error)}
    found = {"path": path} | hear(rec, y, emotions=emotions, abstain=args.abstain)
    return found | ({"warnings": []} if args.no_warnings else {})


def _in_text(result):
    if "error" in result:
        return f"\n{result['path']}: not heard"
    lines = [f"\n{result['path']}: {result['emotion']}", bars(result["probabilities"])]
    return "\n".join([*lines, *(f"  ! {warning}" for warning in result["warnings"])])


TIMELINE_HELP = """Emotion over time, second by second of speech, in recordings of any length.

    python emotion_recognition.py timeline call.wav                 # print it
    python emotion_recognition.py timeline talk.mp4 --srt --plot    # talk.srt, talk.png beside it
    python emotion_recognition.py timeline call.wav --channels split --csv
"""


def _parse_timeline_args(argv):
    parser = _parser(TIMELINE_HELP, "timeline")
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    for name, what in (("csv", "every row with all probabilities"), ("srt", "subtitles"),
                       ("audacity", "labels for Audacity"), ("json", "rows and warnings"),
                       ("plot", "a picture")):  # fmt: skip
        ending = timeline.ENDINGS[name]
        parser.add_argument(f"--{name}", action="store_true", help=f"write {what} (*{ending})")
    parser.add_argument("--output", metavar="FOLDER", help="where to; default: beside each file")
    parser.add_argument("--window", type=float, default=3.0,
                        help="seconds heard at a time (default %(default)s)")  # fmt: skip
    parser.add_argument("--hop", type=float, default=1.0,
                        help="seconds from row to row (default %(default)s)")  # fmt: skip
    parser.add_argument("--smooth", type=int, default=1,
                        help="rows that are averaged (default %(default)s)")  # fmt: skip
    parser.add_argument("--no-vad", action="store_true", help="name emotions in silence, too")
    parser.add_argument("--channels", choices=("mix", "split"), default="mix",
                        help="split: a timeline for each channel")  # fmt: skip
    parser.add_argument("--no-warnings", action="store_true",
                        help="say nothing about noise, clipping, telephone width, ...")  # fmt: skip
    _add_model_arguments(parser)
    return parser.parse_args(argv)


def _timeline_command(argv):
    """emotion_recognition.py timeline; see `TIMELINE_HELP`."""
    args = _parse_timeline_args(argv)
    _check_files(args.files)
    rec = _recognizer(args)
    failed = False
    for path in map(Path, args.files):
        try:
            found = rec.predict_timeline(
                path, window=args.window, hop=args.hop, smooth=args.smooth, vad=not args.no_vad,
                channels=args.channels, report=not args.no_warnings,
            )  # fmt: skip
        except AudioError as error:
            _complain(error)
            failed = True
            continue
        tables = found if args.channels == "split" else [found]
        for channel, table in enumerate(tables):
            _give_timeline(path, table, channel if args.channels == "split" else None, args)
    return int(failed)


def _give_timeline(path, table, channel, args):
    """Write the files that were asked for, or print the timeline; then its warnings."""
    wanted = [name for name in timeline.ENDINGS if getattr(args, name)]
    name = path.stem if channel is None else f"{path.stem}-{channel + 1}"
    of_channel = "" if channel is None else f", channel {channel + 1}"
    print(f"\n{path}{of_channel}: {len(table)} rows in {table.attrs['duration']:.1f} s")
    if not wanted:
        rows = timeline.segments(table)
        print(rows.to_string(index=False, float_format="{:.2f}".format) if len(rows)
              else "  no speech heard")  # fmt: skip
    for kind in wanted:
        target = Path(args.output or path.parent) / f"{name}{timeline.ENDINGS[kind]}"
        if kind == "plot":
            save_figure(timeline.draw_timeline(path, table, channel=channel), target)
        else:
            with replacing(target) as temporary:
                temporary.write_text(timeline.WRITERS[kind](table))
        print(f"  written: {target}")
    for warning in table.attrs["warnings"]:
        print(f"  {warning}", file=sys.stderr)


EXPLAIN_HELP = """Which features and which seconds of a recording spoke for its emotion.

    python emotion_recognition.py explain call.wav                  # by the model in the box
    python emotion_recognition.py explain call.wav --emotion sad    # why, or why not, sad
    python emotion_recognition.py explain recordings --pictures why # why/<recording>.png
"""


def _parse_explain_args(argv):
    parser = _parser(EXPLAIN_HELP, "explain")
    _add_hearing_arguments(parser)
    parser.add_argument("--emotion", help="default: the one that is heard")
    parser.add_argument("--pictures", metavar="FOLDER", help="draw each recording to a file there")
    return parser.parse_args(argv)


def _explain_command(argv):
    """emotion_recognition.py explain; see `EXPLAIN_HELP`."""
    args = _parse_explain_args(argv)
    paths = _recordings(args.files)
    rec = load_recognizer(args.model)
    failed = False
    for path in paths:
        try:
            table = rec.explain(path, emotion=args.emotion)
        except AudioError as error:
            _complain(error)
            failed = True
            continue
        print(f"\n{path}\n{explain.to_text(table)}")
        if args.pictures:
            target = Path(args.pictures) / f"{Path(path).stem}.png"
            save_figure(explain.draw_explanation(path, table), target)
            print(f"  written: {target}")
    return int(failed)


def _check_files(paths):
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no file {path}")


def _recognizer(args):
    """The trained recognizer that the command line asks for."""
    rec = named_recognizer(
        args.model,
        emotions=args.emotions.split(","),
        balance=not args.no_balance,
        degraded=args.degraded,
        verbose=0 if args.json else 1,
        data_dir=args.data_dir,
        random_state=args.seed,
        **({} if args.voices is None else {"voices": args.voices}),
        **({"features": args.features.split(",")} if args.features else {}),
        **(corpora_options(args.corpora.split(",")) if args.corpora else {}),
    )
    return rec if args.model == "best" else rec.train()


def _hear(rec, files):
    """Predict each file; a file that can't be read has an error in place of an emotion."""
    predictions = []
    for path in files:
        try:
            probabilities = rec.predict_proba(path)
        except ValueError as error:
            predictions.append({"path": path, "error": str(error)})
        else:
            emotion = decided(probabilities)
            predictions.append({"path": path, "emotion": emotion, "probabilities": probabilities})
    return predictions


def _print_report(rec, predictions):
    """Print samples, score, confusion matrix and predictions for people."""
    score = rec.scores()
    print(f"\nClips\n{rec.get_samples_by_class().to_string()}")
    print(f"\n{rec.model.__class__.__name__}, {rec.protocol()}")
    if "custom" in set(rec.test_rows_["corpus"]):
        print("(data/test-custom as bundled is synthetic speech: it shows that all works, "
              "not how well people are heard)")  # fmt: skip
    for name, label in (("accuracy", "accuracy"), ("uar", "UAR")):
        low, high = score[f"{name}_low"], score[f"{name}_high"]
        interval = "one speaker, no interval" if low is None else f"{low:.3f} to {high:.3f}"
        print(f"  {label:8s} {score[name]:.3f}  (95 % by speaker: {interval})")
    print(f"  chance   {1 / len(rec.emotions):.3f}")
    print("\nConfusion matrix, percent of the true emotion")
    print(rec.confusion_matrix().round(1).to_string())
    for prediction in predictions:
        print(f"\n{prediction['path']}: {prediction.get('emotion', 'not heard')}")
        if "probabilities" in prediction:
            print(bars(prediction["probabilities"]))


def _train_command(argv):
    """Train, score and predict; see `emotion_recognition`."""
    args = _parse_args(argv)
    _check_files(args.files)
    rec = _recognizer(args)
    predictions = _hear(rec, args.files)
    if args.picture:
        save_figure(rec.draw_confusion_matrix().figure, args.picture)
    if args.save:
        measured = evaluation.evaluate(rec.untrained(), "group-6", verbose=0)
        rec.untrained(verbose=0).fit(rec.clips()).save(args.save, measured=measured)
    if args.json:
        result = {
            "protocol": rec.protocol(),
            "corpora": sorted(set(rec.train_rows_["corpus"]) | set(rec.test_rows_["corpus"])),
            "model": rec.model.__class__.__name__,
            "emotions": rec.emotions,
            "n_train": len(rec.y_train),
            "n_test": len(rec.y_test),
            **rec.scores(),
            "confusion": rec.confusion_matrix(percentage=False, labeled=False).tolist(),
            "predictions": predictions,
        }
        print(json.dumps(result))
    else:
        _print_report(rec, predictions)
    for prediction in predictions:
        if "error" in prediction:
            _complain(prediction["error"])
    return int(any("error" in prediction for prediction in predictions))


COMMANDS = {
    "predict": _predict_command, "timeline": _timeline_command, "explain": _explain_command,
}  # fmt: skip


def main(argv=None):
    """The command line; see `emotion_recognition`."""
    argv = sys.argv[1:] if argv is None else list(argv)
    named = bool(argv) and argv[0] in COMMANDS
    command, argv = (COMMANDS[argv[0]], argv[1:]) if named else (_train_command, argv)
    try:
        return command(argv)
    except (ValueError, OSError) as error:
        sys.exit(f"emotion_recognition.py: {error}")
