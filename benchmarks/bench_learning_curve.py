"""From how many speakers on do networks beat the recommended recognizer?

    python benchmarks/bench_learning_curve.py                 # 4, 8, 16, 32, 64 speakers
    python benchmarks/bench_learning_curve.py --speakers 8,32 --seed 1
    python benchmarks/bench_learning_curve.py --write    # for docs/RESULTS.md

Four emotions that nearly all corpora have. A fourth of the speakers of each corpus is for the test;
of the others, in an order drawn by the seed, the first few train both. So both have the same clips,
and all sizes the same test. The 95 % intervals are resampled by speaker. The first run extracts
features; the rest takes about ten minutes on two cores.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from bench_loco import SIX
from measured import add_write, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded
from corpora import wishes
from create_csv import labelled_clips
from deep_emotion_recognition import DeepEmotionRecognizer
from emotion_recognition import recommended
from evaluation import compare, evaluate
from metrics import in_words
from plotting import PALETTE, new_figure, save_figure
from tables import speaker_groups

CORPORA = sorted(SIX)
EMOTIONS = ["angry", "happy", "neutral", "sad"]
SIZES = "4,8,16,32,64"
TEST = 4  # every fourth speaker of a corpus
HEAD = [
    "training speakers (clips)",
    "recommended",
    "networks",
    "difference, 95 % interval, probability",
]
SYSTEMS = {"recommended": recommended, "networks": DeepEmotionRecognizer}


def drawn_speakers(clips, seed):
    """Speakers to train with, in a random order, and those to test with: two lists of str."""
    speakers = sorted(set(speaker_groups(clips)))
    by_corpus = [[s for s in speakers if s.startswith(f"{name}/")] for name in CORPORA]
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(own).tolist() for own in by_corpus]
    test = [speaker for own in shuffled for speaker in own[: len(own) // TEST]]
    return rng.permutation([s for own in shuffled for s in own[len(own) // TEST :]]), test


def measured(clips, train, test, seed):
    """What both recognise of the test speakers' clips: dict of name to evaluation."""
    groups = speaker_groups(clips)
    partition = np.select([np.isin(groups, train), np.isin(groups, test)], ["train", "test"], "")
    rows = clips.assign(partition=partition)[partition != ""]
    settings = {"emotions": EMOTIONS, "data": rows, "random_state": seed, "verbose": 0}
    settings["normalize"] = None  # nobody is adapted to
    return {
        name: evaluate(system(**settings), "standard", name=name, random_state=seed, verbose=0)
        for name, system in SYSTEMS.items()
    }


def difference_in_words(found):
    """How far the networks are ahead, its interval, and the probability that they are: str."""
    ahead = compare(found["networks"], found["recommended"])
    interval = f"({ahead.low:+.3f} to {ahead.high:+.3f})"
    return f"{ahead.difference:+.3f} {interval}, {ahead.probability:.2f}"


def draw(found, path):
    """Draw UAR by the number of training speakers, to a file."""
    figure = new_figure(6.4, 4)
    ax = figure.subplots()
    for (name, points), colour in zip(
        found["curves"].items(), (PALETTE[4], PALETTE[5]), strict=True
    ):
        sizes, uar, low, high = zip(*points, strict=True)
        ax.plot(sizes, uar, "o-", color=colour, label=name)
        ax.fill_between(sizes, low, high, color=colour, alpha=0.15, lw=0)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="training speakers (number)", ylabel="UAR", xticks=sizes, xticklabels=sizes)
    ax.axhline(1 / len(EMOTIONS), color="black", ls="--", lw=1, label="chance")
    ax.legend(frameon=False)
    save_figure(figure, path, dpi=110)


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--speakers", default=SIZES, help="numbers (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add_write(parser)
    args = parser.parse_args(argv)
    clips = labelled_clips(wishes(CORPORA), data_dir=args.data_dir, verbose=0)
    clips = clips[clips["emotion"].isin(EMOTIONS)]
    if clips.empty:
        sys.exit("bench_learning_curve.py: there is no corpus to measure on")
    speakers, test = drawn_speakers(clips, args.seed)
    curves, rows = {name: [] for name in SYSTEMS}, [HEAD]
    for size in (min(int(text), len(speakers)) for text in args.speakers.split(",")):
        n_clips = np.isin(speaker_groups(clips), speakers[:size]).sum()
        found = measured(clips, speakers[:size], test, args.seed)
        rows.append([f"{size} ({n_clips:,})"])
        for name, evaluation in found.items():
            scores = evaluation.scores()
            points = [scores[key] for key in ("uar", "uar_low", "uar_high")]
            curves[name].append((size, *points))
            rows[-1].append(in_words(*points))
        rows[-1].append(difference_in_words(found))
        print("; ".join(f"{head}: {cell}" for head, cell in zip(HEAD, rows[-1], strict=True)))
        sys.stdout.flush()
    if args.write:
        n_test = np.isin(speaker_groups(clips), test).sum()
        data = f"four emotions, tested on {n_test} clips of {len(test)} speakers of six corpora"
        write("learning_curve", data, {"UAR": rows}, curves=curves)
    return 0


if __name__ == "__main__":
    sys.exit(guarded("bench_learning_curve.py", main))
