"""Say something, and read which emotion it was.

    python test.py                                    # sad, neutral or happy; one utterance
    python test.py -e angry,neutral,sad -m SVC        # other emotions, another model
    python test.py --continuous                       # goes on until Ctrl-C
    python test.py --calibrate                        # read some sentences first: it hears better
    python test.py --list-devices                     # then: --device 3, or --device USB
    python test.py --file "my clip.m4a"               # a recording in place of the microphone

It trains first, on whatever recordings are in the data folder. The microphone needs PyAudio, which
needs PortAudio: `make mic` installs both.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

from audio import stream_audio
from data_extractor import DEFAULT_EMOTIONS
from emotion_recognition import bars, hear, named_recognizer
from listening import (
    DeviceError,
    Microphone,
    NothingHeard,
    Recorder,
    list_devices,
)
from parameters import CLASSIFIERS, SAMPLE_RATE
from timeline import Timeline
from utils import AVAILABLE_EMOTIONS, replacing

HOP = 0.2  # seconds between the labels of the continuous mode
METER = 10  # steps of the level meter, of 6 dB each
SENTENCES = (
    "The sun was already low when we came out of the wood.",
    "Please put the two chairs beside the window.",
    "I have been waiting here since a quarter past nine.",
    "She says that the train to the coast leaves every hour.",
    "We could have tea first, and then go through your list.",
)
"""What a voice reads to be known by."""


def _parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-e", "--emotions", default=",".join(DEFAULT_EMOTIONS),
        help=f"emotions to tell apart, comma-separated, out of {', '.join(AVAILABLE_EMOTIONS)} "
        '(default "%(default)s")',
    )  # fmt: skip
    parser.add_argument(
        "-m", "--model", default="BaggingClassifier",
        help=f"one of the tuned models {', '.join(CLASSIFIERS)}; or default, the one that hears "
        'strangers best (default "%(default)s")',
    )  # fmt: skip
    parser.add_argument("--continuous", action="store_true",
                        help="name emotions as they are heard, until Ctrl-C")  # fmt: skip
    parser.add_argument("--calibrate", action="store_true",
                        help="read a few sentences first, to adapt to the voice")  # fmt: skip
    parser.add_argument("--timeout", type=float, metavar="SECONDS",
                        help="end when nobody has spoken for that long (default 10; with "
                        "--continuous never)")  # fmt: skip
    parser.add_argument("--device", metavar="DEVICE",
                        help="an input device: its number, or a part of its name")  # fmt: skip
    parser.add_argument("--list-devices", action="store_true", help="print the input devices")
    parser.add_argument("--file", metavar="FILE", help="listen to a recording instead")
    parser.add_argument("--save", metavar="FOLDER", help="keep the utterances, as WAV")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    return parser.parse_args(argv)


def _print_devices():
    for device in list_devices():
        star = "*" if device["default"] else " "
        print(f"{star} {device['index']:3d}  {device['name']}  ({device['rate']} Hz)")
    print("(* is the default)")


def _source(args):
    """Blocks of the microphone or of the file, and a word when it is really listening."""
    if args.file:
        return stream_audio(args.file, block_duration=0.02)
    return Microphone(args.device, on_open=lambda name: print(f"Please talk ({name})", flush=True))


def _calibrated(rec, utterances):
    """Let a voice read some sentences, and adapt to it."""
    heard = []
    for i, sentence in enumerate(SENTENCES, 1):
        print(f"Read aloud ({i} of {len(SENTENCES)}): {sentence}", flush=True)
        utterance = next(utterances, None)
        if utterance is None:
            raise NothingHeard(f"Only {len(heard)} of {len(SENTENCES)} sentences were heard.")
        heard.append(utterance.y)
    calm = "neutral" if "neutral" in rec.emotions else None  # as people read
    rec = _ready(rec.calibrate(heard, labels=calm, sr=SAMPLE_RATE))
    print("Thank you, this voice is known now. Please talk", flush=True)
    return rec


def _ready(rec):
    """The recognizer, with all that is fitted when it first hears something fitted before."""
    rec.listen(np.random.default_rng(0).normal(scale=0.1, size=SAMPLE_RATE).astype(np.float32))
    return rec


def _hear_once(rec, source, args):
    """Name the emotion of one utterance."""
    utterances = iter(Recorder(source, timeout=args.timeout or 10))
    if args.calibrate:
        rec = _calibrated(rec, utterances)
    utterance = next(utterances, None)
    if utterance is None:
        raise NothingHeard(f"There is no speech in {args.file}.")
    _name(rec, utterance, args)


def _name(rec, utterance, args):
    """Print the emotion of an utterance, how sure that is, and what makes it doubtful."""
    found = hear(rec, utterance.y)
    emotion = found["emotion"]
    print(f"{emotion}  (heard from {utterance.start:.2f} s to {utterance.end:.2f} s)")
    print(bars(found["probabilities"]), flush=True)
    for warning in found["warnings"]:
        print(f"  {warning}", file=sys.stderr)
    if args.save:
        print(f"  saved: {_save(utterance.y, emotion, args.save)}", flush=True)


def _save(y, emotion, folder):
    """Write an utterance under the next free number."""
    folder = Path(folder)
    paths = (folder / f"utterance_{i:03d}_{emotion}.wav" for i in itertools.count(1))
    path = next(p for p in paths if not any(folder.glob(f"{p.stem[:13]}_*.wav")))
    with replacing(path) as temporary:
        sf.write(temporary, y, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return path


def _hear_on(rec, source, args):
    """Name emotions as they are heard, in a line that is written over again on a terminal."""
    recorder = Recorder(timeout=args.timeout)
    blocks = iter(source)
    if args.calibrate:
        rec = _calibrated(rec, iter(Recorder(blocks, timeout=args.timeout)))
    stream = Timeline(rec, hop=HOP)
    end = "\r" if sys.stdout.isatty() else "\n"
    power, time, next_line = [], 0.0, 0.0
    for block in blocks:
        power.append(float(np.mean(np.square(block))) if len(block) else 0.0)
        time += len(block) / SAMPLE_RATE
        rows = stream.push(block)
        if rows or (time >= next_line and end == "\r"):
            next_line = time + HOP
            print(_line(time, rows[-1] if rows else None, power, rec.emotions), end=end, flush=True)
            power = []
        for utterance in recorder.push(block) if args.save or args.timeout else ():
            if args.save:
                label = rec.predict(utterance.y, sr=SAMPLE_RATE)
                print(f"  saved: {_save(utterance.y, label, args.save)}", flush=True)


def _line(time, row, power, emotions):
    """One line: time, emotion, probabilities, level."""
    level = 10 * np.log10(np.mean(power or [0.0]) + 1e-10)
    steps = int(np.clip(METER + level / 6, 0, METER))
    meter = "▮" * steps + "▯" * (METER - steps)
    if row is None:
        return f"{time:8.1f} s  {meter}  {'':90s}"
    shares = "  ".join(f"{emotion} {row[emotion]:.2f}" for emotion in emotions)
    return f"{row['end']:8.1f} s  {meter}  {row['emotion']:8s} {shares}"


def main(argv=None):
    """The command line; see the module's docstring."""
    args = _parse_args(argv)
    try:
        if args.list_devices:
            return _print_devices()
        if args.file and not Path(args.file).is_file():
            raise FileNotFoundError(f"There is no file {args.file}")
        rec = named_recognizer(
            args.model, emotions=args.emotions.split(","), data_dir=args.data_dir, verbose=1
        ).train()
        rec.verbose = 0
        (_hear_on if args.continuous else _hear_once)(_ready(rec), _source(args), args)
    except KeyboardInterrupt:
        print()
    except (DeviceError, NothingHeard, ValueError, OSError) as error:
        sys.exit(f"test.py: {error}")
    return None


if __name__ == "__main__":
    sys.exit(main())
