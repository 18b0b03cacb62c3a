"""Recognise the emotion of speech from a microphone.

    python test.py                                    # the bundled model; one utterance
    python test.py -e angry,neutral,sad               # choose only among these emotions
    python test.py -e angry,neutral,sad -m SVC        # another model, trained on the corpora first
    python test.py -m my.ser --continuous             # your own model, until Ctrl-C
    python test.py --adapt                            # read some sentences first: better results
    python test.py --adapt ann --save-adapted ann.ser # adapt to recordings in a folder, and save it
    python test.py --continuous --adapt running       # adapt while you speak
    python test.py --list-devices                     # then: --device 3, or --device USB
    python test.py --file "my clip.m4a"               # a recording in place of the microphone

The microphone needs PyAudio, which needs PortAudio: `make mic` installs both.
"""

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("test.py")

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

from audio import stream_audio
from checks import guarded, make_parser, moved, printable, replacing
from commands import adapted, add_abstain, add_adapt, add_model, recognizer
from listening import Microphone, NothingHeard, Recorder, list_devices
from live import Live
from parameters import SAMPLE_RATE
from plotting import bars
from predictor import recognise
from results import NO_SPEECH

HOP = 0.2  # seconds between predictions in continuous mode
METER = 10  # steps of the level meter, of 6 dB each
SENTENCES = (
    "The sun was already low when we came out of the wood.",
    "Please put the two chairs beside the window.",
    "I have been waiting here since a quarter past nine.",
    "She says that the train to the coast leaves every hour.",
    "We could have tea first, and then go through your list.",
)
"""Sentences that a speaker reads for adaptation."""
READ = ""  # --adapt without a name


def _parse_args(argv):
    parser = make_parser("test.py", __doc__)
    add_model(parser)
    add = parser.add_argument
    switch = {"action": "store_true"}
    add("--continuous", help="predict while you speak, until Ctrl-C", **switch)
    adapt = "adapt first: to recordings or, without a value, to sentences that you read in a "
    adapt += "neutral voice; running: while you speak, with --continuous"
    add_adapt(parser, nargs="?", const=READ, help=adapt)
    hidden = {"action": "append_const", "const": READ, "help": argparse.SUPPRESS}
    add("--calibrate", dest="adapt", **hidden)
    add_abstain(add)
    timeout = "end after so long without speech (default 10; with --continuous never)"
    add("--timeout", type=float, metavar="SECONDS", help=timeout)
    add("--device", help="an input device, by number or a part of its name")
    add("--list-devices", help="print the input devices", **switch)
    add("--file", metavar="FILE", help="a recording in place of the microphone")
    add("--save", metavar="FOLDER", help="save the utterances as WAV")
    args = parser.parse_args(argv)
    if {READ, "running"} & set(args.adapt) and len(args.adapt) > 1:
        parser.error("--adapt without a value and --adapt running take no recordings")
    if "running" in args.adapt and not args.continuous:
        parser.error("--adapt running needs --continuous")
    if (args.adapt_by or args.save_adapted) and args.adapt in ([], ["running"]):
        parser.error("--adapt-by and --save-adapted need --adapt, or --adapt FOLDER")
    return args


def _source(args):
    """The blocks of the file or the microphone, after a check that it can be read."""
    if args.file:
        if not Path(args.file).is_file():
            raise FileNotFoundError(f"There is no file {args.file}.")
        return stream_audio(args.file, block_duration=0.02)
    microphone = Microphone(
        args.device, on_open=lambda name: print(f"Please talk ({name})", flush=True)
    )
    microphone.check()
    return microphone


def _first_adapted(rec, utterances, args):
    """The recognizer; with --adapt without a value, adapted to a speaker who reads sentences."""
    if args.adapt != [READ]:
        return rec
    spoken = []
    print("Read each of these sentences aloud in a neutral, relaxed voice.")
    for i, sentence in enumerate(SENTENCES, 1):
        print(f"Read aloud ({i} of {len(SENTENCES)}): {sentence}", flush=True)
        utterance = next(utterances, None)
        if utterance is None:
            raise NothingHeard(f"Only {len(spoken)} of {len(SENTENCES)} sentences were recorded.")
        spoken.append(utterance.y)
    rec = adapted(rec, args, spoken, "neutral", sr=SAMPLE_RATE)
    print("Thank you, the model is adapted to your voice. Please talk", flush=True)
    return rec


def _check_neutral(rec):
    if "neutral" not in rec.emotions:
        raise ValueError(
            f"--adapt without a value needs neutral sentences, and this model knows only "
            f"{', '.join(rec.emotions)}: give recordings in various emotions, --adapt FOLDER"
        )


def _predict_once(rec, source, args):
    """Predict the emotion of one utterance, and print it with warnings."""
    utterances = iter(Recorder(source, timeout=args.timeout or 10))
    rec = _first_adapted(rec, utterances, args)
    utterance = next(utterances, None)
    if utterance is None:
        raise NothingHeard(f"There is no speech in {args.file}.")
    found = recognise(rec.predictor_, utterance.y, emotions=args.emotions, abstain=args.abstain)
    emotion = found["emotion"] or NO_SPEECH
    print(f"{emotion}  (from {utterance.start:.2f} s to {utterance.end:.2f} s)")
    print(bars(found["probabilities"]), flush=True)
    for code, sentence in found["warnings"].items():
        print(f"  {code}: {sentence}", file=sys.stderr)
    if args.save:
        _save(utterance.y, emotion, args.save)


def _save(y, emotion, folder):
    """Write an utterance under the next free number."""
    folder = Path(folder)
    name = emotion.replace(" ", "-")
    paths = (folder / f"utterance_{i:03d}_{name}.wav" for i in itertools.count(1))
    path = next(p for p in paths if not any(folder.glob(f"{p.stem[:13]}_*.wav")))
    with replacing(path) as temporary:
        sf.write(temporary, y, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    print(f"  saved: {printable(path)}", flush=True)


def _predict_on(rec, source, args):
    """Predict emotions continuously, in a line that is overwritten on a terminal."""
    blocks = iter(source)
    rec = _first_adapted(rec, iter(Recorder(blocks, timeout=args.timeout)), args)
    settings = {"hop": HOP, "emotions": args.emotions, "abstain": args.abstain}
    settings |= {"adapt": args.adapt == ["running"], "utterances": bool(args.save)}
    live, level, on_terminal = Live(rec, timeout=args.timeout, **settings), {}, sys.stdout.isatty()
    for event in itertools.chain.from_iterable(_events(live, blocks)):
        if event["type"] == "utterance":
            _save(event["y"], event["emotion"] or NO_SPEECH, args.save)
            continue
        level = event if event["type"] == "level" else level
        if event is not level or on_terminal:
            print(_line(level, event), end="\r" if on_terminal else "\n", flush=True)


def _events(live, blocks):
    """Yield the events of each block, and those of the end of the stream."""
    yield from map(live.push, blocks)
    yield live.finish()


def _line(level, event):
    """Format time, level, emotion and probabilities as a line: str."""
    steps = int(np.clip(METER + level.get("dbfs", -np.inf) / 6, 0, METER))
    meter = "▮" * steps + "▯" * (METER - steps)
    if event["type"] == "level":
        return f"{event['time']:8.1f} s  {meter}  {'':90s}"
    if "numbers" in event:
        emotion, shares = "", event["numbers"]
    else:
        emotion, shares = event["emotion"], event["probabilities"]
    shares = "  ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return f"{event['end']:8.1f} s  {meter}  {emotion:8s} {shares}"


def _run(args):
    """Run with parsed arguments: int, the exit code."""
    if args.list_devices:
        for device in list_devices():
            star = "*" if device["default"] else " "
            print(f"{star} {device['index']:3d}  {device['name']}  ({device['rate']} Hz)")
        print("(* is the default)")
        return 0
    source = _source(args)  # fails before anything is loaded or trained
    rec = recognizer(args)
    if args.adapt == [READ]:
        _check_neutral(rec)
    elif args.adapt not in ([], ["running"]):
        rec = adapted(rec, args)
    if not args.continuous:
        _predict_once(rec, source, args)
        return 0
    try:
        _predict_on(rec, source, args)
    except KeyboardInterrupt:  # the way to end it
        print()
    return 0


def main(argv=None):
    """Run the command line, see the module's docstring: int, the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Default: the program's.
    """
    return guarded("test.py", _run, _parse_args(argv))


__getattr__ = moved(
    __name__,
    {
        "emotion_recognition": "hear named_recognizer",
        "listening": "DeviceError",
        "parameters": "AVAILABLE_EMOTIONS CLASSIFIERS DEFAULT_EMOTIONS",
        "timeline": "Timeline",
    },
)


if __name__ == "__main__":
    sys.exit(main())
