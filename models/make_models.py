"""Make the bundled models anew: train them on all clips, and measure the same training.

    python models/make_models.py                 # models/default.ser, an hour on two cores
    python models/make_models.py free            # models/free.ser, some minutes
    python models/make_models.py --unmeasured    # without scores, a third of the time

default.ser learns from six corpora, most of which are not for commercial use; free.ser only from
those that allow it. Each learns from all clips and a copy of each in noise, in a room or by
telephone. What the card says is measured by the same training on clips that were left out:
strangers by six groups of speakers, unseen corpora by leaving each out. The cards are written
beside the models. The same clips and libraries give the same model.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import check_name, guarded, replacing
from emotion_recognition import load_recognizer, recommended
from evaluation import State, evaluate_states

FOLDER = Path(__file__).resolve().parent
EIGHT = "neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "ps"
SEVEN = "neutral", "happy", "sad", "angry", "fear", "disgust", "boredom"
MODELS = {
    "default": {
        "corpora": ["emodb", "ravdess", "tess", "nemo", "ased", "turev"],
        "emotions": EIGHT,
    },
    "free": {"corpora": ["emodb"], "emotions": SEVEN},
}
STRANGERS = {
    "strangers, of the same corpora": State(),
    "strangers in noise, rooms, by telephone": State(noisy=True),
    "strangers, adapted to each with 10 clips": State(10),
}
UNSEEN = {
    "an unseen corpus, as it is": State(),
    "unseen, in noise, rooms, by telephone": State(noisy=True),
    "unseen, adapted to its recording condition with 30 clips": State(30, "condition"),
    "unseen, adapted to each speaker with 10 clips": State(10),
    "unseen, adapted to each speaker with all clips": State("all"),
}
"""Rows of the card, and how the clips are predicted."""


def measured(rec):
    """The evaluations of a recognizer by their names on the card: dict."""
    ways = {"group-6": STRANGERS} | ({"loco": UNSEEN} if len(rec.corpora) > 1 else {})
    return {
        name: evaluation
        for protocol, states in ways.items()
        for name, evaluation in zip(
            states, evaluate_states(rec, protocol, [*states.values()]), strict=True
        )
    }


def make(name, args):
    """Train, measure and save a model with its card."""
    corpora, emotions = MODELS[name]["corpora"], [*MODELS[name]["emotions"]]
    settings = {"corpora": corpora, "emotions": emotions, "data_dir": args.data_dir}
    rec = recommended(noisy=1, **settings)
    evaluations = None if args.unmeasured else measured(rec)
    path = FOLDER / f"{name}.ser"
    rec.untrained().fit(rec.clips()).save(path, measured=evaluations)
    card = load_recognizer(path).card()
    with replacing(path.with_suffix(".md")) as temporary:
        temporary.write_text(card)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n\n{card}")


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"{', '.join(MODELS)}; default: default")
    add("--unmeasured", action="store_true", help="leave the scores out")
    add("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    args = parser.parse_args(argv)
    for name in args.names or ["default"]:
        make(check_name(name, MODELS, "model"), args)


if __name__ == "__main__":
    sys.exit(guarded("make_models.py", main))
