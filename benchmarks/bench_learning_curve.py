"""From how many speakers on do networks beat the recommended recognizer?

    python benchmarks/bench_learning_curve.py                 # 4, 8, 16, 32, 64 speakers
    python benchmarks/bench_learning_curve.py --speakers 8,32 --seed 1
    python benchmarks/bench_learning_curve.py --picture images/learning_curve.png

Four emotions that nearly all corpora have. A fourth of the speakers of each corpus is for the test;
of the others, in an order drawn by the seed, the first few train both. So both have the same clips,
and all sizes the same test. The 95 % intervals are resampled by speaker. The first run extracts
features; the rest takes about ten minutes on two cores.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded
from corpora import wishes
from create_csv import labelled_clips
from deep_emotion_recognition import DeepEmotionRecognizer
from emotion_recognition import recommended
from evaluation import compare, evaluate
from plotting import PALETTE, new_figure, save_figure
from tables import speaker_groups

CORPORA = ["ased", "emodb", "nemo", "ravdess", "tess", "turev"]
EMOTIONS = ["angry", "happy", "neutral", "sad"]
SIZES = "4,8,16,32,64"
TEST = 4  # every fourth speaker of a corpus
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


def draw(curves, path):
    """Draw UAR by the number of training speakers, to a file."""
    figure = new_figure(6.4, 4)
    ax = figure.subplots()
    for (name, points), colour in zip(curves.items(), (PALETTE[4], PALETTE[5]), strict=True):
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
    parser.add_argument("--picture", metavar="FILE", help="draw the curves (PNG)")
    args = parser.parse_args(argv)
    clips = labelled_clips(wishes(CORPORA), data_dir=args.data_dir, verbose=0)
    clips = clips[clips["emotion"].isin(EMOTIONS)]
    if clips.empty:
        sys.exit("bench_learning_curve.py: there is no corpus to measure on")
    speakers, test = drawn_speakers(clips, args.seed)
    curves = {name: [] for name in SYSTEMS}
    for size in (min(int(text), len(speakers)) for text in args.speakers.split(",")):
        found = measured(clips, speakers[:size], test, args.seed)
        print(f"{size} speakers, {np.isin(speaker_groups(clips), speakers[:size]).sum()} clips:")
        for name, evaluation in found.items():
            scores = evaluation.scores()
            curves[name].append((size, *(scores[key] for key in ("uar", "uar_low", "uar_high"))))
            print(f"  {name}: UAR {scores['uar']:.3f} ({scores['uar_low']:.3f} to ", end="")
            print(f"{scores['uar_high']:.3f}) on {len(test)} others")
        print(f"  {compare(found['networks'], found['recommended'])}", flush=True)
    if args.picture:
        draw(curves, args.picture)
    return 0


if __name__ == "__main__":
    sys.exit(guarded("bench_learning_curve.py", main))
