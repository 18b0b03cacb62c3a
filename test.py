"""Recognise the emotion of what is said into a microphone.

    python test.py                                    # the bundled model; one utterance
    python test.py -e angry,neutral,sad               # choose among these of its emotions
    python test.py -e angry,neutral,sad -m SVC        # another model, trained on the corpora first
    python test.py -m my.ser --continuous             # a model of your own, until Ctrl-C
    python test.py --adapt                            # read some sentences first: better results
    python test.py --list-devices                     # then: --device 3, or --device USB
    python test.py --file "my clip.m4a"               # a recording in place of the microphone

The microphone needs PyAudio, which needs PortAudio: `make mic` installs both.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

from audio import stream_audio
from checks import moved, replacing
from commands import add_model, among, guarded, make_parser, recognizer
from listening import Microphone, NothingHeard, Recorder, list_devices
from parameters import SAMPLE_RATE
from plotting import bars
from predictor import recognise
from timeline import Timeline

HOP = 0.2  # seconds between the labels of the continuous mode
METER = 10  # steps of the level meter, of 6 dB each
SENTENCES = (
    "The sun was already low when we came out of the wood.",
    "Please put the two chairs beside the window.",
    "I have been waiting here since a quarter past nine.",
    "She says that the train to the coast leaves every hour.",
    "We could have tea first, and then go through your list.",
)
"""What a speaker reads for the recognizer to adapt."""


def _parse_args(argv):
    parser = make_parser("test.py", __doc__)
    add_model(parser)
    add = parser.add_argument
    switch = {"action": "store_true"}
    add("--continuous", help="predict while you speak, until Ctrl-C", **switch)
    add("--adapt", help="read a few sentences first, to adapt to your voice", **switch)
    add("--calibrate", dest="adapt", help=argparse.SUPPRESS, **switch)
    timeout = "end when nobody has spoken for so long (default 10; with --continuous never)"
    add("--timeout", type=float, metavar="SECONDS", help=timeout)
    add("--device", help="an input device: its number, or a part of its name")
    add("--list-devices", help="print the input devices", **switch)
    add("--file", metavar="FILE", help="a recording in place of the microphone")
    add("--save", metavar="FOLDER", help="keep the utterances, as WAV")
    return parser.parse_args(argv)


def _source(args):
    """Blocks of the file, or of the microphone, which is checked before it is opened."""
    if args.file:
        if not Path(args.file).is_file():
            raise FileNotFoundError(f"There is no file {args.file}")
        return stream_audio(args.file, block_duration=0.02)
    microphone = Microphone(
        args.device, on_open=lambda name: print(f"Please talk ({name})", flush=True)
    )
    microphone.check()
    return microphone


def _adapted(rec, utterances):
    """The recognizer, adapted to a speaker who reads some sentences."""
    spoken = []
    for i, sentence in enumerate(SENTENCES, 1):
        print(f"Read aloud ({i} of {len(SENTENCES)}): {sentence}", flush=True)
        utterance = next(utterances, None)
        if utterance is None:
            raise NothingHeard(f"Only {len(spoken)} of {len(SENTENCES)} sentences were heard.")
        spoken.append(utterance.y)
    calm = "neutral" if "neutral" in rec.emotions else None  # as people read
    rec = rec.adapt(spoken, labels=calm, sr=SAMPLE_RATE)
    print("Thank you, the model is adapted to your voice. Please talk", flush=True)
    return rec


def _predict_once(rec, source, args):
    """Predict the emotion of one utterance, and print what makes it doubtful."""
    utterances = iter(Recorder(source, timeout=args.timeout or 10))
    if args.adapt:
        rec = _adapted(rec, utterances)
    utterance = next(utterances, None)
    if utterance is None:
        raise NothingHeard(f"There is no speech in {args.file}.")
    found = recognise(rec.predictor_, utterance.y, emotions=args.emotions)
    print(f"{found['emotion']}  (from {utterance.start:.2f} s to {utterance.end:.2f} s)")
    print(bars(found["probabilities"]), flush=True)
    for warning in found["warnings"]:
        print(f"  {warning}", file=sys.stderr)
    if args.save:
        _save(utterance.y, found["emotion"], args.save)


def _save(y, emotion, folder):
    """Write an utterance under the next free number."""
    folder = Path(folder)
    paths = (folder / f"utterance_{i:03d}_{emotion}.wav" for i in itertools.count(1))
    path = next(p for p in paths if not any(folder.glob(f"{p.stem[:13]}_*.wav")))
    with replacing(path) as temporary:
        sf.write(temporary, y, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    print(f"  saved: {path}", flush=True)


def _predict_on(rec, source, args):
    """Predict emotions while somebody speaks, in a line that a terminal writes over again."""
    recorder, blocks = Recorder(timeout=args.timeout), iter(source)
    if args.adapt:
        rec = _adapted(rec, iter(Recorder(blocks, timeout=args.timeout)))
    stream = Timeline(rec, hop=HOP)
    on_terminal = sys.stdout.isatty()
    power, time, next_line = [], 0.0, 0.0
    for block in blocks:
        power.append(float(np.mean(np.square(block))) if len(block) else 0.0)
        time += len(block) / SAMPLE_RATE
        rows = stream.push(block)
        if rows or (time >= next_line and on_terminal):
            row = among(rows[-1], args.emotions or rec.emotions) if rows else None
            print(_line(time, row, power), end="\r" if on_terminal else "\n", flush=True)
            power, next_line = [], time + HOP
        for utterance in recorder.push(block) if args.save or args.timeout else ():
            if args.save:
                found = recognise(rec.predictor_, utterance.y, emotions=args.emotions)
                _save(utterance.y, found["emotion"], args.save)


def _line(time, row, power):
    """One line: time, level, emotion, probabilities."""
    level = 10 * np.log10(np.mean(power or [0.0]) + 1e-10)
    steps = int(np.clip(METER + level / 6, 0, METER))
    meter = "▮" * steps + "▯" * (METER - steps)
    if row is None:
        return f"{time:8.1f} s  {meter}  {'':90s}"
    shares = "  ".join(f"{emotion} {share:.2f}" for emotion, share in list(row.items())[4:])
    return f"{row['end']:8.1f} s  {meter}  {row['emotion']:8s} {shares}"


def _run(args):
    """Do what the command line says: int, the exit code."""
    if args.list_devices:
        for device in list_devices():
            star = "*" if device["default"] else " "
            print(f"{star} {device['index']:3d}  {device['name']}  ({device['rate']} Hz)")
        print("(* is the default)")
        return 0
    source = _source(args)  # before anything is loaded or trained
    rec = recognizer(args)
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
    },
)


if __name__ == "__main__":
    sys.exit(main())
