"""UAR on new speakers in noise, through telephones and MP3, at other loudness and in rooms.

    python benchmarks/bench_robustness.py                                  # an hour on two cores
    python benchmarks/bench_robustness.py --write                          # for docs/RESULTS.md
    python benchmarks/bench_robustness.py --jobs 1 --seed 1 --data-dir ~/corpora
    python benchmarks/bench_robustness.py --only "white noise, 20 dB" "telephone, GSM"
    pip install imageio-ffmpeg                                             # if MP3 is left out

The recommended recognizer, with and without the encoder, and the same with a noisy copy of each
training clip (noisy=1), are trained on clean clips of EMO-DB, RAVDESS and TESS by group-6, the
protocol of models/default.ser, and predict every clip of the speakers left out under each
condition. The ratio of speech to noise counts the frames with speech. Babble: six other speakers of
the test part. Telephone: 300 to 3,400 Hz at 8 kHz through a codec. Room: synthetic, decaying noise,
as much echo as direct sound. The 95 % intervals are resampled by speaker, those of the losses on
the same drawn speakers. Two lines at the end compare the losses with what they may be at most.
"""

import argparse
import io
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import soundfile as sf
from joblib import delayed
from measured import add_write, markdown, write
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import augmentation as aug
from audio import load_audio
from checks import guarded
from corpora import gender
from emotion_recognition import recommended
from evaluation import ClassificationEvaluation, compare
from features import RECOMMENDED_FEATURES, extract, feature_names
from metrics import in_words
from parameters import SAMPLE_RATE
from plotting import AGAINST, FOR, PALETTE, new_figure, save_figure
from processes import parallel
from protocols import make_folds
from tables import COLUMNS, speaker_groups

EMOTIONS = ["neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "ps"]
CORPORA = ["emodb", "ravdess", "tess"]
PROTOCOL = "group-6"
SYSTEMS = {
    "clean clips": {},
    "and a noisy copy of each": {"noisy": 1},
    "clean clips, without the encoder": {"encoder": None},
    "and a noisy copy of each, without the encoder": {"encoder": None, "noisy": 1},
}
"""What the recommended recognizer is trained on, and its options."""
STYLES = ("o", AGAINST), ("s", FOR), ("^", PALETTE[0]), ("D", PALETTE[1])
LIMITS = {
    "and a noisy copy of each": (0.08, None),
    "clean clips": (
        0.10,
        ("white noise, 20 dB", "pink noise, 20 dB", "telephone, mu-law", "telephone, GSM"),
    ),
}
"""System to the UAR that it may lose at most, and the conditions of which; None: all but babble."""
TOO_MUCH = "babble, 10 dB", "babble, 5 dB"
"""Other speakers that loud are speech, too: no limit is set."""


# conditions


def ffmpeg():
    """The path of an ffmpeg, or None."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:
        return None
    return get_ffmpeg_exe()


def mp3(y, kbit=32):
    """A signal through LAME at a constant rate and back."""
    gain = aug.HEADROOM / max(np.abs(y).max(), 1e-9)
    options = f"-v error -f f32le -ar {SAMPLE_RATE} -ac 1 -i pipe:0 -threads 1 -b:a {kbit}k -f mp3"
    command = [ffmpeg(), *options.split(), "-c:a", "libmp3lame", "pipe:1"]
    samples = (y * gain).astype("<f4").tobytes()
    coded = subprocess.run(command, input=samples, capture_output=True, check=True).stdout
    return sf.read(io.BytesIO(coded), dtype="float32")[0] / np.float32(gain)


def in_noise(kind, snr):
    return lambda y, rng, _: aug.mixed(y, aug.noise(kind, len(y), rng), snr)


def in_babble(snr):
    return lambda y, rng, talkers: aug.mixed(y, aug.babble(talkers(rng), len(y), rng), snr)


CONDITIONS = {
    "clean": lambda y, *_: y,
    **{
        f"{kind} noise, {snr} dB": in_noise(kind, snr) for kind in aug.NOISES for snr in (20, 10, 5)
    },
    **{f"babble, {snr} dB": in_babble(snr) for snr in (20, 10, 5)},
    "telephone, mu-law": lambda y, *_: aug.telephone(y, "ULAW"),
    "telephone, GSM": lambda y, *_: aug.telephone(y, "GSM610"),
    "MP3, 32 kbit/s": lambda y, *_: mp3(y),
    "20 dB quieter": lambda y, *_: y * np.float32(0.1),
    "20 dB louder": lambda y, *_: y * np.float32(10),
    "room, RT60 0.5 s": lambda y, rng, _: aug.in_room(y, rng, rt60=0.5, direct=0.0),
}
"""Name to a function of a signal, a Generator and talkers (a function that draws other clips)."""


def features_under(condition, path, others, seed):
    """The features of a clip under a condition, with babble of others: ndarray (n_features,)."""
    rng = np.random.default_rng([*seed, zlib.crc32(condition.encode())])

    def talkers(rng):
        drawn = rng.choice(len(others), aug.N_TALKERS, replace=False)
        return [load_audio(others[i]) for i in drawn]

    y = CONDITIONS[condition](load_audio(path), rng, talkers)
    return extract(y, features=RECOMMENDED_FEATURES)


def features_by_condition(conditions, clips, args):
    """Condition to the features of all clips under it, (n_clips, n_features): dict."""
    groups, folds, paths = (clips[name].to_numpy() for name in ("group", "fold", "path"))
    others = [
        paths[(folds == fold) & (groups != group)].tolist()
        for fold, group in zip(folds, groups, strict=True)
    ]
    tasks = [
        (condition, path, others[i] if "babble" in condition else [], [args.seed, i])
        for condition in conditions
        for i, path in enumerate(paths)
    ]
    workers = parallel(args.jobs, return_as="generator", batch_size=16)
    vectors = workers(delayed(features_under)(*task) for task in tasks)
    X = np.empty((len(tasks), len(feature_names(RECOMMENDED_FEATURES))), np.float32)
    for i, vector in enumerate(tqdm(vectors, "Extracting features", len(tasks), unit="clip")):
        X[i] = vector
    return dict(zip(conditions, X.reshape(len(conditions), len(clips), -1), strict=True))


# scores


def labels_of(X, clips, system, options):
    """Condition to the label of each clip, by a recognizer that wasn't trained on its speaker."""
    labels = {condition: np.empty(len(clips), dtype=object) for condition in X}
    names = feature_names(RECOMMENDED_FEATURES)
    for fold in tqdm(sorted(set(clips["fold"])), system, unit="fold"):
        test = (clips["fold"] == fold).to_numpy()
        rec = recommended(**options, **SYSTEMS[system]).fit(clips.loc[~test, COLUMNS])
        own = np.isin(names, feature_names(rec.features))
        for condition, vectors in X.items():
            labels[condition][test] = rec.predictor_.predict(vectors[test][:, own])
    return labels


def scored(clips, labels, name, seed):
    """The evaluation of predicted labels."""
    return ClassificationEvaluation(
        clips.assign(predicted=labels, confidence=np.nan),
        EMOTIONS,
        protocol=PROTOCOL,
        protocol_name=PROTOCOL,
        model=name,
        random_state=seed,
    )


def with_folds(clips):
    """The clips with their fold, gender and speaker's group."""
    clips = clips.assign(
        fold="",
        group=speaker_groups(clips),
        gender=[gender(*pair) for pair in zip(clips["corpus"], clips["speaker"], strict=True)],
    )
    for fold in make_folds(PROTOCOL, clips):
        clips.iloc[fold.test, clips.columns.get_loc("fold")] = fold.name
    return clips


def bench(args):
    """System to condition to its evaluation: dict of dict."""
    options = {
        "emotions": EMOTIONS,
        "data_dir": args.data_dir,
        "random_state": args.seed,
        "n_jobs": args.jobs,
        "verbose": 0,
        "corpora": CORPORA,
    }
    clips = with_folds(recommended(**options).clips())
    chosen = dict.fromkeys(["clean", *(args.only or CONDITIONS)])
    conditions = [name for name in chosen if ffmpeg() or not name.startswith("MP3")]
    X = features_by_condition(conditions, clips, args)
    return {
        system: {
            condition: scored(clips, labels, condition, args.seed)
            for condition, labels in labels_of(X, clips, system, options).items()
        }
        for system in SYSTEMS
    }


# text and picture


def uar(evaluation):
    """UAR and the bounds of its interval."""
    scores = evaluation.scores()
    return [scores[name] for name in ("uar", "uar_low", "uar_high")]


def lost(evaluations, condition):
    """How much UAR a condition costs against clean clips, with its interval: str."""
    loss = compare(evaluations["clean"], evaluations[condition])
    return in_words(loss.difference, loss.low, loss.high)


def table(found):
    """For each condition and system UAR, and what the second loses: list of rows."""
    first, copies, without, both = SYSTEMS
    rows = [["UAR", f"trained on {first}", copies, "lost with copies", without, both]]
    for condition in found[first]:
        cells = [in_words(*uar(found[system][condition])) for system in SYSTEMS]
        cells.insert(2, lost(found[copies], condition) if condition != "clean" else "")
        rows.append([condition, *cells])
    return rows


def limits_in_words(found):
    """For each limit a line: the largest loss, in which condition, and whether it is kept."""
    lines = []
    for system, (limit, conditions) in LIMITS.items():
        clean = found[system]["clean"]
        named = conditions or [c for c in found[system] if c != "clean" and c not in TOO_MUCH]
        named = [c for c in named if c in found[system]]
        if not named:
            continue
        losses = {c: compare(clean, found[system][c]).difference for c in named}
        worst = max(losses, key=losses.get)
        over = [f"{c} ({loss:.3f})" for c, loss in losses.items() if loss > limit]
        verdict = f"over {limit:.2f}: {', '.join(over)}" if over else f"none is over {limit:.2f}"
        of = f"in {', '.join(conditions)}" if conditions else f"but for {' and '.join(TOO_MUCH)}"
        lines.append(f"{system}: largest loss {of}: {losses[worst]:.3f} ({worst}); {verdict}")
    return "\n".join(lines)


def draw(found, path):
    """Draw the UAR of each system under each condition with its interval, to a file."""
    figure = new_figure(8, 9)
    ax = figure.subplots()
    curves = found["uar"]
    conditions = list(next(iter(curves.values())))
    for i, (system, (marker, colour)) in enumerate(zip(curves, STYLES, strict=True)):
        values = np.array([curves[system][condition] for condition in conditions])
        places = np.arange(len(conditions)) + 0.2 * (i - (len(curves) - 1) / 2)
        errors = np.abs(values[:, 1:] - values[:, :1]).T
        label = system if system.startswith("and") else f"trained on {system}"
        style = {"fmt": marker, "color": colour, "capsize": 2, "label": label}
        ax.errorbar(values[:, 0], places, xerr=errors, **style)
        ax.axvline(values[0, 0], color=colour, linewidth=0.8, linestyle=":")
    ax.axvline(1 / len(EMOTIONS), color="black", linestyle="--", linewidth=1, label="chance")
    ax.set_yticks(range(len(conditions)), conditions)
    ax.invert_yaxis()
    ax.set(xlabel="UAR, eight emotions, unknown speakers (bars: 95 % by speaker)", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    save_figure(figure, path, dpi=110)


# the command line


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add_write(parser)
    only = "some conditions, each in quotes, beside clean; default all"
    parser.add_argument("--only", nargs="+", choices=CONDITIONS, metavar="CONDITION", help=only)
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: all cores)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    args = parser.parse_args(argv)
    found = bench(args)
    clips = found["clean clips"]["clean"].clips
    data = (
        f"{PROTOCOL} of {', '.join(CORPORA)}: {len(clips)} clips of {clips['group'].nunique()} "
        "speakers, each predicted by a model without its speaker"
    )
    rows, limits = table(found), limits_in_words(found)
    print(f"{data}\n\n{markdown(rows)}\n\n{limits}")
    if args.write:
        curves = {
            system: {condition: uar(evaluation) for condition, evaluation in each.items()}
            for system, each in found.items()
        }
        write("robustness", data, {"UAR": rows}, limits.splitlines(), uar=curves)


if __name__ == "__main__":
    sys.exit(guarded("bench_robustness.py", main))
