"""Each feature by itself: its size, what it tells of people, what disturbs it, how well it does.

    python benchmarks/bench_each_feature.py                     # all tables, some minutes
    python benchmarks/bench_each_feature.py --only rates,recordings   # without the real corpora
    python benchmarks/bench_each_feature.py --data-dir ~/corpora

The tables of docs/FEATURES.md. rates: numbers a frame, a second and a vector. emotions:
elements of the vectors of the two clips that `images/draw_features.py` draws, and their means over
the speakers of EMO-DB and RAVDESS, angry and sad. recordings: how far a vector moves when the same
speech is recorded otherwise, in percent of the way from angry to sad, over all bundled pairs of
these. alone: UAR of the recommended recognizer with one feature only, on new speakers.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from measured import add_write, cells_of, markdown, write
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import features
from audio import load_audio
from checks import check_name, guarded
from create_csv import list_audio, list_clips
from emotion_recognition import recommended
from evaluation import evaluate
from features import FEATURES, FUNCTIONALS, SPEECH_FEATURES
from metrics import in_words
from parameters import SAMPLE_RATE
from speech_features import HOP

NAMES = [*FEATURES, *SPEECH_FEATURES]
BUNDLED = Path(__file__).resolve().parents[1] / "data" / "train-custom"
DRAWN = "v02_s2"  # the voice and the sentence that images/draw_features.py draws
BITS = 32  # of a float32
DECIBEL = 10 / np.log(10)  # of a natural logarithm of power
CORPORA = {"EMO-DB": ("emodb", "emodb", "loso"), "RAVDESS": ("tess_ravdess", "ravdess", "group-6")}
"""Title to the corpus group, the corpus, and the protocol that keeps its speakers apart."""


# rates


def rates(_):
    """Numbers and kbit of frames and vectors, beside those of the recording: list of dict."""
    rows = [rates_row("the recording itself", 1, SAMPLE_RATE, 16, "")]
    for name in NAMES:
        columns = len(features.REGISTRY[name].columns)
        hop = features.HOP_LENGTH / SAMPLE_RATE if name in FEATURES else HOP
        vector = len(features.feature_names([name]))
        rows.append(rates_row(name, columns, 1 / hop, BITS, vector))
    return rows


def rates_row(name, columns, per_second, bits, vector):
    """One line: what a second of frames takes, and a clip's vector."""
    frames = {
        "numbers a frame": columns,
        "frames a second": f"{per_second:,g}",
        "kbit a second": f"{columns * per_second * bits / 1000:g}",
    }
    if not columns:
        frames = dict.fromkeys(frames, "")
    kbit = f"{vector * bits / 1000:.1f}" if vector else ""
    numbers = f"{vector:,}" if vector else ""
    return {"": name, **frames, "numbers a vector": numbers, "kbit a vector": kbit}


# emotions


class Measure(NamedTuple):
    """What is computed of elements of a vector."""

    feature: str
    words: str
    value: Callable  # of a dict of elements


def element(name, scale=1.0):
    """An element as it is, times a constant."""
    return lambda found: scale * found[name]


def together(prefix, reduce):
    """A function of all elements whose names begin so."""
    return lambda found: reduce([value for name, value in found.items() if name.startswith(prefix)])


MEASURES = (
    Measure("mfcc", "`mfcc_1_mean`, the level (dB)", element("mfcc_1_mean")),
    Measure("mfcc", "`mfcc_2_mean`, low against high (dB)", element("mfcc_2_mean")),
    Measure("chroma", "mean of the 12 classes (1 = all alike)", together("chroma_", np.mean)),
    Measure(
        "mel",
        "sum of the 128 bands (dB)",
        together("mel_", lambda powers: 10 * np.log10(np.sum(powers))),
    ),
    Measure("contrast", "`contrast_4_mean`, 800 to 1,600 Hz (dB)", element("contrast_4_mean")),
    Measure("tonnetz", "distance from the centre (no unit)", together("tonnetz_", np.linalg.norm)),
    Measure(
        "spectrum",
        "`active_cepstrum_2_mean`, low against high (dB)",
        element("active_cepstrum_2_mean", DECIBEL),
    ),
    Measure("prosody", "`voiced_pitch_mean` (semitones)", element("voiced_pitch_mean")),
    Measure("prosody", "`voiced_pitch_iqr`, middle half (semitones)", element("voiced_pitch_iqr")),
    Measure("prosody", "`duration` (s)", lambda found: HOP * np.exp(found["duration"])),
    Measure(
        "quality",
        "`voiced_alpha_mean`, high against low (dB)",
        element("voiced_alpha_mean", DECIBEL),
    ),
    Measure(
        "quality", "`voiced_harmonicity_mean` (dB)", element("voiced_harmonicity_mean", DECIBEL)
    ),
    Measure(
        "modulation",
        "`modulation_energy_4_6`, at 4 to 6 Hz (dB)",
        element("modulation_energy_4_6", DECIBEL),
    ),
)


def measured(path):
    """All measures of a recording: (n_measures,)."""
    vector = features.extract(load_audio(path), features=NAMES)
    found = dict(zip(features.feature_names(NAMES), vector.astype(float), strict=True))
    return [measure.value(found) for measure in MEASURES]


def emotions(data_dir):
    """Elements of angry and sad clips, of the drawn clips and of people: list of dict."""
    rows = [{"feature": m.feature, "what": m.words} for m in MEASURES]
    for emotion in ("angry", "sad"):
        add(rows, emotion, map(in_short, measured(BUNDLED / f"{DRAWN}_{emotion}.wav")))
    for title, (group, corpus, _) in CORPORA.items():
        clips = list_clips(group, data_dir=data_dir)
        clips = clips[clips["emotion"].isin(("angry", "sad")) & (clips["corpus"] == corpus)]
        if len(clips):
            paths = tqdm(clips["path"], title, unit="clip")
            add_people(rows, title, clips, np.array([measured(path) for path in paths]))
    return rows


def add(rows, column, values):
    """Add a column to a table."""
    for row, value in zip(rows, values, strict=True):
        row[column] = value


def add_people(rows, title, clips, values):
    """Add the means over speakers of either emotion, and how many are higher when angry."""
    by = [clips["emotion"].to_numpy(), clips["speaker"].to_numpy()]
    means = pd.DataFrame(values).groupby(by).mean()
    angry, sad = means.loc["angry"], means.loc["sad"]
    add(rows, f"{title}: angry", angry.mean().map(in_short))
    add(rows, f"{title}: sad", sad.mean().map(in_short))
    add(rows, f"{title}: angry higher", (f"{n} of {len(angry)}" for n in (angry > sad).sum()))


def in_short(value):
    """Three digits, as far as they are there."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{1 if abs(value) >= 10 else 2}f}"


# recordings


def quieter(y):
    return y / 2


def brighter(y):
    """The first difference, half of it: some 9 dB more at 8 kHz than at 0."""
    return np.append(y[:1], y[1:] - y[:-1] / 2)


def noisy(y):
    """White noise, 20 dB under the speech."""
    noise = np.random.default_rng(0).standard_normal(len(y))
    return y + noise * y.std() / 10


def telephone(y):
    """Nothing under 300 Hz or over 3,400."""
    spectrum, hz = np.fft.rfft(y), np.fft.rfftfreq(len(y), 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum * ((hz > 300) & (hz < 3400)), len(y))


CHANGES = {
    "half as loud": quieter,
    "a brighter microphone": brighter,
    "noise, -20 dB": noisy,
    "telephone": telephone,
}
"""What a recording may go through, to what does that to a signal."""


def recordings(_):
    """How far a change moves each vector, in percent of the way from angry to sad: list of dict."""
    clips = {path.stem: load_audio(path) for path in list_audio(BUNDLED)}
    return [moved(name, clips) for name in tqdm(NAMES, "recordings", unit="feature")]


def moved(name, clips):
    """The line of one feature, over all angry clips: dict."""
    angry = [stem for stem in clips if stem.endswith("angry")]
    scale = np.std([vector(y, name) for y in list(clips.values())[::3]], axis=0)
    start = np.array([vector(clips[stem], name) for stem in angry])
    sad = [vector(clips[stem.replace("angry", "sad")], name) for stem in angry]
    way, row = distance(start, sad, scale), {"": name}
    for words, change in CHANGES.items():
        changed = [vector(change(clips[stem]), name) for stem in angry]
        row[words] = f"{100 * np.mean(distance(start, changed, scale) / way):.0f} %"
    return row


def vector(y, name):
    return features.extract(y, features=[name])


def distance(a, b, scale):
    """Root mean square over the elements, each in its standard deviations: (n_clips,)."""
    return np.sqrt(np.mean(((a - b) / np.where(scale > 0, scale, 1)) ** 2, axis=1))


# alone


SETS = {
    **{name: [name] for name in FEATURES},
    "these five": [*FEATURES],
    **{name: [name] for name in SPEECH_FEATURES},
    "these four": [*SPEECH_FEATURES],
}


def alone(data_dir):
    """UAR of the recommended recognizer with one feature, by mean and by all functionals."""
    sums = {"the mean": ["mean"], f"all {len(FUNCTIONALS)}": [*FUNCTIONALS]}
    rows = [{"": title} for title in SETS]
    for title, (group, corpus, protocol) in CORPORA.items():
        clips = list_clips(group, data_dir=data_dir)
        labels = sorted(set(clips.loc[clips["corpus"] == corpus, "emotion"]))
        options = {"emotions": labels, "data_dir": data_dir, "corpora": [corpus]}
        for words, functionals in sums.items() if labels else ():
            bar = tqdm(SETS.values(), f"{title}, {words}", unit="set")
            found = [
                uar(protocol, features=names, functionals=functionals, **options) for names in bar
            ]
            add(rows, f"{title}, {words}", found)
    return rows


def uar(protocol, **options):
    """UAR with its 95 % interval, in words."""
    scores = evaluate(recommended(verbose=0, **options), protocol, verbose=0).scores()
    return in_words(scores["uar"], scores["uar_low"], scores["uar_high"])


# the command line


TABLES = {"rates": rates, "emotions": emotions, "recordings": recordings, "alone": alone}
DATA = {
    "rates": "computed",
    "emotions": "the bundled pair, 10 speakers of EMO-DB, 18 of RAVDESS",
    "recordings": "21 pairs of the bundled clips",
    "alone": "EMO-DB, leave one speaker out; RAVDESS, six groups of speakers",
}


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(TABLES), help="default %(default)s")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add_write(parser)
    args = parser.parse_args(argv)
    for name in [check_name(name, TABLES, "table") for name in args.only.split(",")]:
        cells = cells_of(TABLES[name](args.data_dir))
        print(f"\n{name}\n\n{markdown(cells)}", flush=True)
        if args.write:
            write(f"each_feature_{name}", DATA[name], {name: cells})


if __name__ == "__main__":
    sys.exit(guarded("bench_each_feature.py", main))
