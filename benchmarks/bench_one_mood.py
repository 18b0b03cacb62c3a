"""What adaptation does with clips of one mood: a call of an angry man stays angry.

    python benchmarks/bench_one_mood.py                          # some minutes for each corpus
    python benchmarks/bench_one_mood.py --n 30 --corpora emodb,ravdess,tess

For each speaker of a corpus that took no part in training, clips of a single emotion, and clips of
all of them, are adapted to without labels and recognised themselves: as they are, fully adapted,
and adapted as `rec.adapt` does, by how far it trusts the clips. The figures are UARs, each the mean
over the corpora.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_loco import there
from measured import add_write, table_of, write

from checks import guarded
from corpora import wishes
from create_csv import labelled_clips
from emotion_recognition import recommended
from protocols import make_folds
from tables import speaker_groups
from utils import names_option

FEWEST = 5  # clips of a set, else it is left out
WAYS = "as they are", "fully adapted", "adapted as by rec.adapt"


def sets_of(rows, n, rng):
    """Clips of single emotions of a speaker, and as many sets of several: (kind, rows)."""
    emotions = sorted(set(rows["emotion"]))
    for emotion in emotions:
        own = np.flatnonzero(rows["emotion"] == emotion)
        if len(own) >= FEWEST:
            yield "one emotion", rng.permutation(own)[:n]
    for _ in emotions:
        yield "several emotions", rng.permutation(len(rows))[:n]


def answers(predictor, X):
    """The label of each clip in each of the `WAYS`: list of ndarray."""
    adapted = predictor.adapted(X)
    return [p.predict(X) for p in (predictor, replace(adapted, trust=1.0), adapted)]


def bench(args):
    """The UAR by kind of set, corpus and way: DataFrame."""
    corpora = there(args)
    clips = labelled_clips(wishes(corpora), data_dir=args.data_dir, verbose=0)
    emotions = sorted(set(clips["emotion"]))
    rec = recommended(corpora=corpora, emotions=emotions, data_dir=args.data_dir, verbose=0)
    clips, rng, found = rec.clips(), np.random.default_rng(args.seed), []
    for fold in tqdm(make_folds("loco", clips), unit="corpus"):
        train, test = clips.iloc[fold.train], clips.iloc[fold.test]
        own = [emotion for emotion in emotions if emotion in set(train["emotion"])]
        fitted, groups = rec.untrained(emotions=own).fit(train), speaker_groups(test)
        X = fitted.features_of(test["path"].tolist())
        for speaker in np.unique(groups):
            places = np.flatnonzero(groups == speaker)
            for kind, few in sets_of(test.iloc[places], args.n, rng):
                rows = places[few]
                labels = dict(zip(WAYS, answers(fitted.predictor_, X[rows]), strict=True))
                truth = test.iloc[rows][["corpus", "emotion"]].reset_index(drop=True)
                found.append(truth.assign(kind=kind, **labels))
    return pd.concat(found)


def uar(rows, way):
    """The UAR of one way of recognising: float."""
    return (rows[way] == rows["emotion"]).groupby(rows["emotion"]).mean().mean()


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("--n", type=int, default=10, help="clips of a set (default 10)")
    add("--corpora", type=names_option, help="default: the six that are there")
    add("--seed", type=int, default=0, help="of the draws (default 0)")
    add("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add_write(parser)
    args = parser.parse_args(argv)
    rows, tables = bench(args), {}
    for kind, own in rows.groupby("kind"):
        scores = {
            corpus: {way: uar(part, way) for way in WAYS} for corpus, part in own.groupby("corpus")
        }
        table = pd.DataFrame(scores).T
        table.loc["mean"] = table.mean()
        title = f"sets of {kind}, {args.n} clips at most"
        print(f"\n{title}\n{table.round(3).to_string()}")
        tables[title] = table_of(table.map("{:.3f}".format), "UAR")
    if args.write:
        write("one_mood", f"{len(rows):,} answers, each corpus by the others", tables)


if __name__ == "__main__":
    sys.exit(guarded("bench_one_mood.py", main))
