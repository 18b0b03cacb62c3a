"""Score recognizers on speakers outside their training, with intervals and a leak guard.

    python evaluation.py --corpus emodb --protocol loso --model SVC
    python evaluation.py --corpus ravdess --protocol group-6 --model recommended --calibrate 10
    python evaluation.py --corpus emodb,ravdess,tess,nemo --protocol loco
    python evaluation.py --corpus emodb,ravdess --protocol loco --adapt condition --calibrate 30
    python evaluation.py --corpus emodb --noisy                # in noise, rooms, by telephone
    python evaluation.py --corpus emodb --train-corpora ravdess,tess --protocol cross-corpus \\
        --emotions angry,happy,sad,neutral,calm --label-map calm=neutral
    python evaluation.py --corpus emodb --model SVC --leakage
    python evaluation.py --data clips.csv --protocol group-5   # your own clips
    python evaluation.py --corpus ravdess,emodb --regression --model SVR --protocol group-6
    python evaluation.py --corpus custom --protocol standard --model classic --json > result.json
    python evaluation.py --data calls.csv --target arousal,valence --protocol group-5

The table's first line is the protocol. Pictures go to `results/`, or to the folder of --pictures.
"""

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("evaluation.py")

import argparse
import json
import numbers
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_regressor

import plotting
import protocols
from adaptation import BY
from checks import check_name, guarded, make_parser, moved, writable
from clip_tables import Labelled, chosen_corpora, read_data
from corpora import gender, help_line, wishes
from create_csv import labelled_clips
from deep_emotion_recognition import named_recognizer
from emotion_recognition import EmotionRecognizer
from parameters import CLASSIFIERS, DEFAULT_EMOTIONS, RECIPES, REGRESSORS
from progress import Progress
from protocols import PROTOCOLS, calibration_blocks, make_folds, parse_protocol
from recognizer import Recognizer
from reports import ClassificationEvaluation, NumbersEvaluation, RegressionEvaluation, compare
from table_files import add_data
from tables import as_read, map_labels, recordings, speaker_groups
from utils import AS_FEATURES, emotion_scale, encoder_option, names_option

CORPORA_OPTIONS = "corpora", "tess_ravdess", "emodb", "custom_db"


class State(NamedTuple):
    """Settings of the prediction of held-out clips; see `evaluate`."""

    calibrate: int | str = 0
    adapt: str = "speaker"
    noisy: bool = False


def evaluate(system, protocol="loso", *, calibrate=0, adapt="speaker", noisy=False, **settings):
    """Score a recognizer by a protocol: ClassificationEvaluation or RegressionEvaluation.

    A leak guard compares both sides of every fold (see `protocols.find_leaks`). Then a new
    recognizer is fitted only on the training clips of each fold: scaling, selection, tuning,
    calibration and early stopping never use a held-out clip. A warning names files that can't be
    read, which are left out.

    Parameters
    ----------
    system : EmotionRecognizer or scikit-learn estimator
        It isn't changed, and its training isn't used. An estimator is wrapped as
        EmotionRecognizer(system, balance=False, **options); a regressor is scored as one.
    protocol : str, default "loso"
        standard, loso, group-K (a number for K), loco, cross-corpus or random; see `make_folds`.
        In "standard" a recognizer with balance=True draws test clips by its own seed, too.
    calibrate : int or "all", default 0
        Adapt by this many other clips of the fold, without labels; see `calibration_blocks`. "all":
        by all clips, including the scored one (transductive, as in much of the literature).
    adapt : {"speaker", "condition"}
        Adapt to each speaker, or to the recording condition of each corpus by clips of all its
        speakers.
    noisy : bool, default False
        Predict a copy of each clip in noise, in a room or by telephone, like the copies of training
        with noisy=1; see `augmentation.noisy_copy`.
    **settings
        See `evaluate_states`.

    Raises
    ------
    LeakError
        If a speaker or a recording is on both sides in loso, group-K, loco or cross-corpus.
    ValueError
        For an unknown name, clips that the protocol can't split, corpora with different labels, an
        emotion without training clips in a fold, or calibrate without normalize="speaker".
    """
    (result,) = evaluate_states(system, protocol, [(calibrate, adapt, noisy)], **settings)
    return result


def evaluate_states(
    system,
    protocol,
    states,
    *,
    data=None,
    train_corpora=None,
    test_corpora=None,
    label_map=None,
    name=None,
    random_state=0,
    verbose=1,
    **options,
):
    """Score a recognizer with several prediction settings, trained once: list of Evaluation.

    Parameters
    ----------
    system, protocol
        See `evaluate`.
    states : list of State, or tuples like it
        One evaluation is made for each.
    data : table, or a list of them, optional
        Labelled clips in place of the corpora; see `clip_tables.read_table`.
    train_corpora, test_corpora : list of str, optional
        For "cross-corpus"; train_corpora defaults to all corpora that aren't test corpora.
    label_map : dict of str to (str or None), optional
        For "cross-corpus"; see `map_labels`.
    name : str, optional
        Name of the system in reports; default the recognizer's.
    random_state : int, default 0
        Seed of the random folds, of the clips for adaptation and of the bootstrap.
    verbose : int, default 1
        0 draws no progress bars.
    **options
        Settings of the EmotionRecognizer that an estimator is wrapped in: emotions, features, ...
    """
    kind, _ = parse_protocol(protocol)
    states = [State(*state) for state in states]
    for state in states:
        _check_adaptation(state.calibrate, state.adapt)
    if label_map and kind != "cross-corpus":
        raise ValueError(f"label_map is for 'cross-corpus', not {protocol!r}.")
    rec = _recognizer(system, options, read_data(data))
    clips = protocols.with_digests(rec.untrained(verbose=0).clips(), rec.n_jobs, verbose)
    clips = map_labels(clips, label_map)
    sides = {"train_corpora": train_corpora, "test_corpora": test_corpora}
    seed = rec.random_state if kind == "standard" else random_state
    folds = make_folds(protocol, clips, balance=rec.balance, random_state=seed, **sides)
    emotions = protocols.trained_emotions(protocol, clips, folds, list(rec.emotions), label_map)
    shared = {
        "protocol_name": protocol,
        "model": name or (rec.name if rec.comparison_ is None else "best of each fold"),
        "leaks": protocols.guard(protocol, clips, folds),
        "random_state": random_state,
    }
    spared = {} if any(state.calibrate for state in states) else {"normalize": None}  # saves a fit
    if rec.data is not None:
        spared["data"] = Labelled(clips, rec.data.name)  # with mapped labels
    fresh = rec.untrained(emotions=emotions, verbose=0, **spared)
    predicted = [[] for _ in states]
    for fold in Progress(folds, desc=protocol, unit="fold", disable=not verbose):
        fitted = _fit(
            fresh, as_read(clips.iloc[fold.train], rec.targets), rec.comparison_ is not None
        )
        rows = as_read(clips.iloc[fold.test], rec.targets).assign(fold=fold.name)
        for found, state in zip(predicted, states, strict=True):
            found.append(_predict_fold(fitted, rows, state, random_state))
    return [
        _kind(rec)(
            pd.concat(found).sort_index(kind="stable"),
            emotions,
            protocol=protocols.describe(protocol, clips, folds, label_map, *state),
            **shared,
        )
        for found, state in zip(predicted, states, strict=True)
    ]


def _kind(rec):
    """The class of evaluations of a recognizer."""
    if rec.targets:
        return NumbersEvaluation
    return ClassificationEvaluation if rec.classification else RegressionEvaluation


def _check_adaptation(calibrate, adapt):
    is_count = isinstance(calibrate, numbers.Integral) and not isinstance(calibrate, bool)
    if calibrate != "all" and not (is_count and calibrate >= 0):
        raise ValueError(f"calibrate must be a number of clips, or 'all'; got {calibrate!r}.")
    if check_name(adapt, BY, "adapt") == "condition" and calibrate == 0:
        raise ValueError("Adaptation to a condition needs clips: give calibrate, too.")


def _fit(fresh, rows, chosen):
    """Fit a recognizer on clips and their emotions; `chosen`: with the best tuned model."""
    known = set(rows["emotion"])
    # a regressor's scale needs all of its emotions
    own = [emotion for emotion in fresh.emotions if emotion in known or not fresh.classification]
    fitted = fresh.untrained(emotions=own).fit(rows)
    if chosen:  # the system's model was chosen by clips that folds test on
        fitted.determine_best_model()
    return fitted


def _recognizer(system, options, data=None):
    """The recognizer itself, or one around an estimator; with other clips, if given."""
    if isinstance(system, Recognizer):
        if options:
            raise TypeError(
                f"{', '.join(options)}: options are only for an estimator; this is a recognizer, "
                "pass them to its constructor."
            )
        own = dict.fromkeys(CORPORA_OPTIONS) | {"data": data}
        return system if data is None else system.untrained(**own)
    if not hasattr(system, "get_params") or isinstance(system, type):
        raise TypeError(
            "evaluate() needs an EmotionRecognizer or a scikit-learn estimator (not its class or "
            f"its name); got {system!r}."
        )
    defaults = {"balance": False, "classification": not is_regressor(system), "data": data}
    return EmotionRecognizer(system, **(defaults | options))


def _predict_fold(fitted, rows, state, random_state):
    """Predict the test clips of a fold: DataFrame, the rows with predictions."""
    calibrate, adapt, noisy = state
    predictor, paths = fitted.predictor_, recordings(rows)
    X = fitted.features_of(paths, noisy=0 if noisy else None)
    if calibrate == 0:
        return _predict(predictor, X, rows)
    groups = speaker_groups(rows) if adapt == "speaker" else rows["corpus"].to_numpy()
    predicted = []
    for group in dict.fromkeys(groups):
        own = np.flatnonzero(groups == group)
        for block, handful in calibration_blocks(len(own), calibrate, random_state):
            few = own[handful]
            adapted = predictor.adapted(X[few], by=adapt) if len(few) else predictor
            predicted.append(_predict(adapted, X[own[block]], rows.iloc[own[block]]))
    return pd.concat(predicted)


def _predict(predictor, X, rows):
    """The rows with predictions and, for a classifier, probabilities: DataFrame."""
    if "gender" not in rows:
        rows = rows.assign(gender=list(map(gender, rows["corpus"], rows["speaker"])))
    if predictor.targets:
        numbers = predictor.predict(X).reshape(len(X), -1)
        columns = [f"predicted_{name}" for name in predictor.targets]
        names = {name: f"target_{name}" for name in predictor.targets}
        return rows.rename(columns=names).join(pd.DataFrame(numbers, rows.index, columns))
    if not predictor.classification:
        targets = rows["emotion"].map(emotion_scale(predictor.emotions))
        return rows.assign(target=targets, predicted=predictor.predict(X))
    shares = predictor.probabilities(X)
    labels = predictor.labels[shares.argmax(axis=1)]
    rows = rows.assign(predicted=labels, confidence=shares.max(axis=1))
    return rows.join(pd.DataFrame(shares, rows.index, [f"p_{label}" for label in predictor.labels]))


# the command line


def _parse_args(argv):
    parser = make_parser("evaluation.py", __doc__)
    add = parser.add_argument
    recipes = "; ".join(f"{name} ({text})" for name, text in RECIPES.items())
    tuned = ", ".join(name.removesuffix("Classifier") for name in CLASSIFIERS)
    regressors = ", ".join(name.removesuffix("Regressor") for name in REGRESSORS)
    add("--corpus", type=names_option, help=help_line())
    add("--protocol", default="loso", help=f"{', '.join(PROTOCOLS)} (default loso)")
    models = f"{recipes}; as tuned {tuned}, with --regression {regressors}"
    add("--model", default="recommended", help=models)
    counts = "number of unlabelled clips for adaptation: 0 (default), 5, 10, ... or all"
    add("--calibrate", type=_count, default=0, metavar="N", help=counts)
    whose = "adapt to each speaker (default), or to the recording condition of each corpus"
    add("--adapt", choices=BY, default="speaker", help=whose)
    noisy = "predict a copy of each clip in noise, in a room or by telephone"
    add("--noisy", action="store_true", help=noisy)
    emotions = f"default: all of the corpora, with --regression {','.join(DEFAULT_EMOTIONS)}"
    add("--emotions", type=names_option, help=emotions)
    balance = "train on the same number of clips of each emotion; standard: test, too"
    add("--balance", action="store_true", help=balance)
    add("--regression", action="store_true", help="predict a number on a scale of emotions")
    add("--train-corpora", type=names_option, help="for cross-corpus; --corpus is tested on")
    add_data(parser, labels="with --data, or for cross-corpus")
    add("--features", type=names_option, help="comma-separated; default: the model's")
    encoder = "PATH.onnx or hf:NAME in place of the bundled one, or none; default: the model's"
    add("--encoder", type=encoder_option, default=AS_FEATURES, metavar="NAME|none", help=encoder)
    add("--functionals", type=names_option, help="comma-separated; default: the model's")
    add("--leakage", action="store_true", help="compare random and speaker-independent folds")
    add("--data-dir", help="the data folder (default: $SER_DATA_DIR, else data/)")
    add("--seed", type=int, default=0, help="random seed (default 0)")
    add("--pictures", metavar="FOLDER", help="of pictures (default results/; with --json none)")
    add("--json", action="store_true", help="print one JSON object instead")
    return parser.parse_args(argv)


def _count(text):
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"it must be a number of clips, or all; got {text!r}")
    return text if text == "all" else int(text)


def _evaluate(args, protocol):
    """Evaluate by a protocol with the settings of the command line: Evaluation."""
    cross = protocol == "cross-corpus"
    if cross and not (args.corpus and args.train_corpora):
        raise ValueError("cross-corpus needs --train-corpora, and --corpus to test on")
    if args.train_corpora and not cross:
        raise ValueError(f"--train-corpora is for --protocol cross-corpus, not {protocol}")
    corpora = [*(args.corpus or ()), *(args.train_corpora or ())] or None
    emotions, clips = args.emotions, None
    if args.data:  # --corpus then chooses among the corpora of the tables
        clips = read_data(args.data, args.columns, args.label_map, args.target)
        clips, corpora = chosen_corpora(clips, corpora), None
    elif isinstance(args.label_map, str):
        raise ValueError(f"--label-map {args.label_map} is for the labels of --data")
    if emotions in (None, ["all"]) and (args.regression or args.data):
        emotions = list(DEFAULT_EMOTIONS) if args.regression else None
    elif emotions in (None, ["all"]):
        found = labelled_clips(wishes(corpora), data_dir=args.data_dir, verbose=0)
        emotions = sorted(set(found["emotion"]))
    vectors = {name: vars(args)[name] for name in ("features", "functionals") if vars(args)[name]}
    vectors["encoder"] = args.encoder
    data = {"emotions": emotions, "corpora": corpora, "data_dir": args.data_dir, "data": clips}
    kind = {"classification": not args.regression, "balance": args.balance, "target": args.target}
    system = named_recognizer(
        args.model, random_state=args.seed, verbose=0, **data, **kind, **vectors
    )
    sides = {"train_corpora": args.train_corpora, "test_corpora": args.corpus} if cross else {}
    settings = {name: getattr(args, name) for name in State._fields} | {"name": args.model}
    settings |= {"label_map": None if args.data else args.label_map, "random_state": args.seed}
    settings |= {"verbose": 0 if args.json else 1}
    return evaluate(system, protocol, **sides, **settings)


def _pictures(evaluation, args, folder):
    """Paths of pictures to the methods that draw them: dict."""
    corpora = "-".join(sorted(set(evaluation.clips["corpus"])))
    parts = [corpora, evaluation.protocol_name, evaluation.model]
    if args.calibrate:
        parts.append(f"adapted-{'condition-' * (args.adapt != 'speaker')}{args.calibrate}")
    if args.noisy:
        parts.append("noisy")
    stem, names = Path(folder) / "_".join(parts), evaluation.drawn
    return {f"{stem}_{name}.png": getattr(evaluation, f"draw_{name}") for name in names}


def _run(args):
    kind, _ = parse_protocol(args.protocol)
    if args.leakage and kind not in ("loso", "group-K"):
        raise ValueError("--leakage compares random with loso or group-K")
    evaluations = [_evaluate(args, name) for name in ["random"] * args.leakage + [args.protocol]]
    if args.leakage:
        difference = compare(*evaluations, same_folds=False)
        rows = {e.protocol_name: e.summary().loc["all"].to_dict() for e in evaluations}
        table = pd.DataFrame.from_dict(rows, orient="index").to_string()
        worth = f"What leakage is worth: {difference}"
        text = "\n".join([*(e.protocol for e in evaluations), "", table, "", worth])
        plain = {e.protocol_name: e.to_dict() for e in evaluations}
        plain["difference"] = asdict(difference)
    else:
        text, plain = str(evaluations[0]), evaluations[0].to_dict()
    folder, pictures = args.pictures or (None if args.json else "results"), {}
    for evaluation in evaluations if folder else ():
        pictures |= _pictures(evaluation, args, folder)
    print(json.dumps(plain | {"pictures": list(pictures)}) if args.json else text, flush=True)
    if pictures and writable(folder):
        import matplotlib.pyplot as plt

        for path, draw in pictures.items():
            figure = draw().figure
            plotting.save_figure(figure, path)
            plt.close(figure)
        if not args.json:
            print(f"\npictures: {', '.join(pictures)}", flush=True)


def main(argv=None):
    """Run the command line, see the module's docstring: int, the exit code.

    Parameters
    ----------
    argv : list of str, default sys.argv[1:]
    """
    return guarded("evaluation.py", lambda: _run(_parse_args(argv)))


__getattr__ = moved(
    __name__,
    {
        "audio": "AudioError AudioWarning load_audio",
        "checks": "replacing",
        "corpora": "EMODB_MALE sentence",
        "create_csv": "CORPUS_GROUPS list_clips",
        "data_extractor": "AudioExtractor",
        "metrics": "CONFIDENCE N_BINS NO_INTERVAL N_RESAMPLES TITLES calibration_error "
        "classification_measures confusion_by_speaker in_words labeled_confusion "
        "moments_by_speaker percentiles regression_measures reliability resample_speakers score "
        "scores_in_words with_intervals",
        "plotting": "ALIGNED draw_confusion html_table new_axes new_figure save_figure",
        "protocols": "Fold LeakError Leaks NAMED N_RANDOM_FOLDS Protocol audio_digests "
        "describe_split find_leaks",
        "reports": "Comparison Evaluation",
        "sampling": "speaker_folds",
        "tables": "COLUMNS",
    },
)

if __name__ == "__main__":
    sys.exit(main())
