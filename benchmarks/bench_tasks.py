"""Accuracy and UAR on the three classic tasks, on the standard split of the real corpora.

    python benchmarks/bench_tasks.py                     # SVC, RandomForest, MLP; seed 0
    python benchmarks/bench_tasks.py --models SVC,Bagging --seed 1 --data-dir ~/corpora
    python benchmarks/bench_tasks.py --json

The models have the parameters of grid/, the features are the means of mfcc, chroma and mel, the
classes are balanced. The bundled synthetic recordings take no part.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emotion_recognition import EmotionRecognizer, corpora_options, tuned_classifier

TASKS = {
    "sad,neutral,happy": ["emodb", "ravdess", "tess"],
    "angry,neutral,sad": ["ravdess", "tess"],
    "angry,sad,neutral,ps,happy": ["emodb", "ravdess", "tess"],
}
"""Emotions to the corpora they are told apart in."""


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="SVC,RandomForest,MLP", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args(argv)
    rows = []
    for emotions, corpora in TASKS.items():
        for model in args.models.split(","):
            rec = EmotionRecognizer(
                tuned_classifier(model),
                emotions=emotions.split(","),
                data_dir=args.data_dir,
                verbose=0,
                random_state=args.seed,
                **corpora_options(corpora),
            ).train()
            protocol = {"emotions": emotions, "protocol": rec.protocol(), "model": model}
            rows.append(protocol | rec.scores())
    if args.json:
        print(json.dumps(rows))
        return
    for (_, protocol), group in pd.DataFrame(rows).groupby(["emotions", "protocol"], sort=False):
        print(f"\n{group['emotions'].iloc[0]}: {protocol}")
        print(group.drop(columns=["emotions", "protocol"]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
