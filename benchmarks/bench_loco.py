"""How well the recordings of an unseen corpus are recognised: leave one corpus out, and adapt.

    python benchmarks/bench_loco.py                       # the six corpora, those that are there
    python benchmarks/bench_loco.py --without-encoder     # without the pre-trained encoder, too
    python benchmarks/bench_loco.py --corpora emodb,ravdess,tess --seed 1
    python benchmarks/bench_loco.py --without-encoder --write   # for docs/RESULTS.md, too
    python benchmarks/bench_loco.py --train emodb         # what EMO-DB alone teaches of the others

Each corpus is predicted by the recommended recognizer as it learned from the others, on the
emotions that both have: as it is, adapted to the recording condition with 30 of the corpus's clips,
to each speaker with 10 clips, and with all. The clips are unlabelled, and never the scored one,
except in the last. Each recognizer is trained once for all four. The 95 % intervals are resampled
by speaker. The picture is the reliability in each corpus, before and after 10 clips. Features are
cached; after the first run it takes some minutes for each corpus on two cores.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from measured import add_write, table_of, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded
from corpora import CORPORA, find_data_dir, groups, how_to_get, wishes
from create_csv import labelled_clips, list_clips
from emotion_recognition import recommended
from evaluation import evaluate_states
from metrics import SURE, in_words
from plotting import draw_reliabilities, save_figure
from utils import names_option

SIX = "emodb", "ravdess", "tess", "nemo", "ased", "turev"
STATES = {
    "as it is": (0, "speaker"),
    "by condition, 30 clips": (30, "condition"),
    "by speaker, 10 clips": (10, "speaker"),
    "by speaker, all clips": ("all", "speaker"),
}
"""Number of clips to adapt with, and what they have in common; see `evaluation.evaluate`."""

DRAWN = "as it is", "by speaker, 10 clips"

MEASURES = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "ece": "calibration error",
    "confidence_right": "mean confidence of right answers",
    "confidence_wrong": "mean confidence of wrong answers",
    "over": f"share of answers with a confidence over {SURE}",
    "right_over": "share of these that is right",
}
IN_RESULTS = "uar", "ece"  # what the tables of docs/RESULTS.md show


def there(args):
    """The wished corpora, or those of the six that are there: list of str."""
    if args.corpora:
        return args.corpora
    found = {c for g in groups() for c in list_clips(g, data_dir=args.data_dir)["corpus"]}
    corpora = [corpus for corpus in SIX if corpus in found]
    if len(corpora) < 2:
        lacking = [corpus for corpus in SIX if corpus not in found]
        raise ValueError(
            f"there are no two corpora in {find_data_dir(args.data_dir)}; {how_to_get(*lacking)}"
        )
    return corpora


def bench(args):
    """Evaluate every system in every state: dict of system to dict of state to Evaluation."""
    corpora = there(args)
    clips = labelled_clips(wishes(corpora), data_dir=args.data_dir, verbose=0)
    own = clips["corpus"].isin(args.train or corpora)
    emotions = set(clips["emotion"][own])
    if args.train:
        emotions &= set(clips["emotion"][~own])
    options = {"corpora": corpora, "emotions": sorted(emotions), "verbose": 0}
    options |= {"data_dir": args.data_dir, "random_state": args.seed}
    if args.features:
        options["features"] = args.features
    systems = {"recommended": recommended(**options)}
    if args.without_encoder:
        systems["without the encoder"] = recommended(encoder=None, **options)
    settings, protocol = {"random_state": args.seed, "verbose": 1}, "loco"
    if args.train:
        others = [corpus for corpus in corpora if corpus not in args.train]
        settings |= {"train_corpora": args.train, "test_corpora": others}
        protocol = "cross-corpus"
    ways = [*STATES.values()]
    return {
        name: dict(zip(STATES, evaluate_states(rec, protocol, ways, **settings), strict=True))
        for name, rec in systems.items()
    }


def table(states, measure):
    """A measure in each corpus and its mean, a column for each state: DataFrame of str."""
    cells = {}
    for state, evaluation in states.items():
        means = evaluation.scores() | evaluation.confidences().loc["all", ""].to_dict()
        rows = {described(name, x): x for name, x in evaluation.to_dict()["by_corpus"].items()}
        rows |= {"mean of the corpora" if evaluation.over_corpora else "all clips": means}
        cells[state] = {title: score_in_words(scores, measure) for title, scores in rows.items()}
    return pd.DataFrame(cells)


def described(corpus, found):
    """A corpus with its language, and how many emotions and speakers it is tested on: str."""
    info, n_speakers = CORPORA[corpus], found["n_speakers"]
    speakers = f"{n_speakers} speaker{'s' * (n_speakers > 1)}"
    return f"{info.title}, {info.language}, {len(found['emotions'])} emotions, {speakers}"


def score_in_words(scores, measure):
    """A score with its interval, where it has one: str."""
    value, *bounds = (scores.get(f"{measure}{ending}") for ending in ("", "_low", "_high"))
    if value is None:
        return "-"
    return in_words(value) if None in bounds else in_words(value, *bounds)


def show(found):
    """Print the tables."""
    for name, states in found.items():
        print(f"\n{name}, {states['as it is'].protocol}")
        for measure, title in MEASURES.items():
            print(f"\n{title}\n{table(states, measure).to_string()}")


def reliabilities(states):
    """How often answers of each confidence are right in each corpus, before and after: list.

    Each entry has the corpus and its calibration errors as `title`, and two tables in columns.
    """
    drawn, found = [states[state] for state in DRAWN], []
    for corpus in drawn[0].by_corpus():
        errors = [each.confidences().loc[("corpus", corpus), "ece"] for each in drawn]
        title = f"{corpus}, ECE {', adapted '.join(f'{error:.3f}' for error in errors)}"
        before, after = (each.reliability(corpus).astype(object) for each in drawn)
        tables = {"before": before, "after": after}
        found.append({"title": title})
        found[-1] |= {k: x.where(x.notna(), None).to_dict("list") for k, x in tables.items()}
    return found


def draw(found, path):
    """Draw the reliability in each corpus, before and after adaptation, to a file."""
    panels = {
        panel["title"]: [pd.DataFrame(panel[key], dtype=float) for key in ("before", "after")]
        for panel in found["reliability"]
    }
    figure = draw_reliabilities(panels)
    figure.suptitle("leave one corpus out; adapted: by speaker, with 10 clips", fontsize=10)
    save_figure(figure, path)


def keep(found, args):
    """Keep the tables of docs/RESULTS.md and what its picture shows."""
    tables = {}
    for name, states in found.items():
        for measure in IN_RESULTS:
            title = f"{MEASURES[measure]}, {name}"
            tables[title] = table_of(table(states, measure), title)
    states = found["recommended"]
    name = f"trained_on_{'_'.join(args.train)}" if args.train else "loco"
    write(name, states["as it is"].protocol, tables, reliability=reliabilities(states))


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("--corpora", type=names_option, help=f"default: those of {','.join(SIX)} that are there")
    add("--train", type=names_option, help="corpora to learn from, in place of all others")
    add("--features", type=names_option, help="default: the recommended ones")
    add("--without-encoder", action="store_true", help="measure that recognizer, too")
    add("--seed", type=int, default=0, help="of all that is random (default 0)")
    add("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add_write(parser)
    args = parser.parse_args(argv)
    found = bench(args)
    show(found)
    if args.write:
        keep(found, args)


if __name__ == "__main__":
    sys.exit(guarded("bench_loco.py", main))
