"""Trained recognizers as single files that are safe to open, even if they are untrusted.

A `.ser` file is a zip with these members, and ends with the SHA-256 of all bytes before. Nothing in
it is run or unpickled, and its unpacked size is checked before it is unpacked.

    header.json         labels, settings, versions, protocol, score: everything but arrays
    arrays/0.npy        arrays that the header refers to
    models/0.skops      scikit-learn models with other content, as skops writes them
    networks/0.keras    networks, as Keras writes them
    card.md             what the model is and what it isn't
    manifest.json       the SHA-256 of each of these
"""

import hashlib
import html
import importlib.metadata
import io
import json
import math
import platform
import re
import stat
import zipfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np

import estimators
from checks import SourceError, check_clock, check_name, moved, printable, read_file, replacing
from corpora import licences
from encoder import EncoderError
from estimators import ModelFileError, is_plain
from features import is_encoder
from metrics import scores_in_words
from utils import AS_FEATURES

FORMAT = 2
RECOGNIZERS = {  # classes that can be saved, and their modules
    "EmotionRecognizer": "emotion_recognition",
    "DeepEmotionRecognizer": "deep_emotion_recognition",
    "EnsembleRecognizer": "deep_emotion_recognition",
}
LIBRARIES = ("numpy", "scipy", "scikit-learn", "librosa", "numba", "soundfile", "soxr")
LIMIT = 2**30  # bytes of a file, packed and unpacked
SMALL, RATIO = 2**24, 100  # a file may unpack to SMALL bytes, or to RATIO times its size
MAX_MEMBERS = 2**16  # skops makes about six for each tree of a forest
LONGEST = 10_000  # characters of a text
REFUSED = 0.05  # a larger difference of probabilities means that the model is another one

MEMBERS = re.compile(
    r"(header|manifest)\.json|card\.md|arrays/[0-9]+\.npy|"
    r"models/[0-9]+\.skops|networks/[0-9]+\.keras"
)
SKOPS_MEMBERS = re.compile(r"schema\.json|[0-9]+\.npy|[0-9a-f-]{36}\.bin")
SEAL = 64  # hexadecimal digits of a SHA-256

CARD = """\
# A speech emotion recognizer
{measured}
| | |
|---|---|
{rows}

```python
from emotion_recognition import load_recognizer

rec = load_recognizer("model.ser")
print(rec.predict("call.wav"), rec.predict_proba("call.wav"))
```

## The recordings' licences

{licences}

## Limits

The model was trained on people who were asked to sound so, most of them actors, in a few sentences
and languages. Felt emotions sound different, and less clear. The model names how a voice sounds,
not what somebody feels, and its probabilities hold on average over recordings like those it was
trained on. Don't decide about people by it.
"""


class ModelFileWarning(UserWarning):
    """A loaded recognizer gives other results than it did when it was saved."""


# writing and reading


def pack(content, card):
    """Make the bytes of a file: bytes.

    Parameters
    ----------
    content : dict
        Values are None, bool, numbers, str, bytes (a .keras file), arrays, lists, dicts, plain
        objects (`estimators.is_plain`) and scikit-learn models.
    card : str
        The model card in Markdown.
    """
    members = {}
    header = {"format": FORMAT, "content": _encode(content, members)}
    members["header.json"] = json.dumps(header).encode()
    members["card.md"] = card.encode()
    return _sealed(members)


def _sealed(members):
    manifest = {name: _digest(data) for name, data in members.items()}
    members = members | {"manifest.json": json.dumps(manifest).encode()}
    data = zipped(members, zipfile.ZIP_DEFLATED, comment=b"0" * SEAL)[:-SEAL]
    return data + _digest(data).encode()


def read(path, trusted=()):
    """Read the content of a file, the argument of `pack`: dict.

    Parameters
    ----------
    path : path
    trusted : sequence of types
        See `estimators.build`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is damaged, of another kind, too large, or needs something that this scikit-learn
        lacks.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; rec.save(path) makes one.")
    with naming(path):
        try:
            data = read_file(path, LIMIT)
        except SourceError as error:
            raise ModelFileError(f"{error.strerror}; only files of rec.save() load") from error
        return unpack(data, trusted)


def unpack(data, trusted=()):
    """Read the content of a file from its bytes, see `read`: dict.

    Parameters
    ----------
    data : bytes
    trusted : sequence of types
        See `estimators.build`.

    Raises
    ------
    ModelFileError
        If they are damaged. A forged file may raise any other error; see `naming`.
    """
    members = unzip(data, MEMBERS, min(LIMIT, max(SMALL, RATIO * len(data))))
    manifest = _json(members.pop("manifest.json"))
    for name in sorted(manifest.keys() | members.keys()):
        if name not in members or manifest.get(name) != _digest(members[name]):
            raise ModelFileError(f"its member {name} is missing or was changed")
    if data[-SEAL:] != _digest(data[:-SEAL]).encode():
        raise ModelFileError("damaged outside its members; copy it again from where it was made")
    header = _json(members["header.json"])
    if header["format"] != FORMAT:
        raise ModelFileError(
            f"its format is {header['format']}, this version of the project reads {FORMAT}; update "
            "the project, or save the recognizer with this version"
        )
    return _decode(header["content"], members, trusted)


@contextmanager
def naming(path):
    """Context manager: turn any error, except a missing library, into a `ModelFileError`.

    Parameters
    ----------
    path : path

    Raises
    ------
    ModelFileError
        For any error in the block; the message names the path.
    """
    try:
        yield
    except (ModelFileError, EncoderError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    except ModuleNotFoundError:  # TensorFlow or skops
        raise
    except Exception as error:  # a forged file may cause any error
        raise ModelFileError(
            f"{path}: damaged, or not a recognizer's file ({type(error).__name__}: {error}); copy "
            "it again from where it was made, or save the recognizer again"
        ) from error


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def _json(data, **options):
    if len(data) > SMALL:  # parsed, it takes up to 25 times its bytes
        raise ModelFileError(f"it has {len(data):,} bytes of JSON, the limit is {SMALL:,}; refused")
    return json.loads(data, **options)


# zips


def zipped(members, compression=zipfile.ZIP_STORED, comment=b""):
    """Make a zip: bytes.

    Parameters
    ----------
    members : dict of str to bytes
    compression, comment
        See `zipfile.ZipFile`.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def unzip(data, names, limit):
    """Read the members of a zip: dict of name to bytes.

    Parameters
    ----------
    data : bytes
    names : Pattern
        Matches the allowed names of members.
    limit : int
        Bytes of all members together.

    Raises
    ------
    ModelFileError
        For a name that isn't allowed, the same name twice, a damaged member, or more bytes than
        `limit`.
    """
    if data.count(b"PK\x01\x02") > MAX_MEMBERS:
        raise ModelFileError(f"more than {MAX_MEMBERS:,} members; refused")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if not names.fullmatch(entry.filename) or kind not in (0, stat.S_IFREG):
                raise ModelFileError(f"a recognizer's file has no member {entry.filename!r}")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ModelFileError(f"its member {entry.filename} is packed in an unknown way")
        size = sum(entry.file_size for entry in entries)
        if size > limit:
            raise ModelFileError(
                f"it would unpack to {size:,} bytes, the limit for its size is {limit:,}; refused"
            )
        members = {}
        for entry in entries:
            if entry.filename in members:
                raise ModelFileError(f"it has two members {entry.filename}")
            try:
                with archive.open(entry) as file:  # file_size may be forged: read no more
                    members[entry.filename] = file.read(entry.file_size + 1)
            except Exception as error:  # zlib, zipfile and struct raise their own
                raise ModelFileError(f"its member {entry.filename} is damaged: {error}") from error
    return members


# values


def _encode(value, members):
    """A value in JSON's types; other values become members of the zip that it refers to."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == "O"):
        return [_encode(element, members) for element in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): _encode(element, members) for key, element in value.items()}
        return {"$pairs": [[_encode(part, members) for part in pair] for pair in value.items()]}
    cls = type(value)
    if is_plain(cls):
        return {"$object": cls.__name__, "state": _encode(_state(value), members)}
    if isinstance(value, np.ndarray):
        kind, form, data = "$array", "arrays/{}.npy", _from_array(value)
    elif isinstance(value, bytes):
        kind, form, data = "$network", "networks/{}.keras", value
    else:
        kind, form, data = "$model", "models/{}.skops", _from_model(value)
    name = form.format(len(members))
    members[name] = data
    return {kind: name}


def _decode(value, members, trusted):
    """The inverse of `_encode`. Each member is read once only, or it could fill the memory."""

    def decoded(value):
        if isinstance(value, list):
            return [decoded(element) for element in value]
        if not isinstance(value, dict):
            return value
        if "$pairs" in value:
            return {decoded(k): decoded(v) for k, v in value["$pairs"]}
        if "$array" in value:
            return _to_array(members.pop(value["$array"]))
        if "$network" in value:
            return members.pop(value["$network"])
        if "$object" in value:
            cls = estimators.plain_class(value["$object"])
            return estimators.restored(cls, decoded(value["state"]), trusted)
        if "$model" in value:
            return _to_model(members.pop(value["$model"]), trusted)
        return {key: decoded(element) for key, element in value.items()}

    return decoded(value)


def _state(value):
    """The state of a plain object: dict."""
    state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)  # Python 3.10
    return _saved(type(value), state or {})  # object.__getstate__ may return None


def _saved(cls, state):
    apart = {"_sklearn_version", *getattr(cls, "not_saved", ())}
    return {name: part for name, part in state.items() if name not in apart}


def _from_array(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _to_array(data):
    """Read a .npy file if its length agrees with its header."""
    file = io.BytesIO(data)
    major, _ = np.lib.format.read_magic(file)
    shape, by_columns, dtype = getattr(np.lib.format, f"read_array_header_{major}_0")(file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ModelFileError(f"an array of shape {shape} has another length; refused")
    order = "F" if by_columns else "C"
    return np.ndarray(shape, dtype, data, file.tell(), order=order).copy(order)


# scikit-learn models


def _from_model(model):
    """A model as skops stores it, its JSON without whitespace."""
    import skops.io

    check_clock()
    try:
        members = unzip(skops.io.dumps(model), SKOPS_MEMBERS, LIMIT)
    except TypeError as error:
        raise ModelFileError(f"{type(model).__name__} can't be saved: {error}") from error
    schema = json.loads(members["schema.json"])
    members["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    return zipped(members)


def _to_model(data, trusted):
    """A scikit-learn model, if it is one that files may have."""
    members = unzip(data, SKOPS_MEMBERS, len(data))
    arrays = {name: _to_array(data) for name, data in members.items() if name.endswith(".npy")}
    return estimators.build(_json(members["schema.json"]), arrays, trusted)


def versions(libraries=LIBRARIES):
    """The versions of Python and libraries, and the kind of processor: dict of str to str.

    Parameters
    ----------
    libraries : tuple of str, default `LIBRARIES`
    """
    found = {name: importlib.metadata.version(name) for name in libraries}
    return {"python": platform.python_version(), **found, "processor": platform.machine()}


# the card


def model_card(record):
    """Write the model card of a recognizer, with its training data, scores and limits: str.

    Parameters
    ----------
    record : dict
        model, hears (features), says (emotions), protocol: str; corpora: name to (n_clips,
        n_speakers); clips: emotion to n_clips; score: dict of name, name_low, name_high to number
        or None; versions: see `versions`; adaptation: `adaptation.Adaptation`, or None; measured:
        see `Evaluation.recorded`.
    """
    corpora = record["corpora"].items()
    trained_on = [f"{name}: clips {n:,}, speakers {speakers}" for name, (n, speakers) in corpora]
    rows = {
        "model": record["model"],
        "features": record["hears"],
        "predicts": record["says"],
        "trained on": "; ".join(trained_on),
        "clips": ", ".join(f"{emotion} {n:,}" for emotion, n in record["clips"].items()),
        "adapted": f"to {record['adaptation']}" if record.get("adaptation") else "no",
        "score": "not measured",
        "measured on": record["protocol"],
        "saved with": ", ".join(" ".join(pair) for pair in record["versions"].items()),
    }
    if score := record["score"]:
        error = "" if score.get("ece") is None else f", ECE {score['ece']:.3f}"
        rows["score"] = f"{scores_in_words(score)}{error}; in brackets 95 % intervals by speaker"
    cells = {name: _in_markdown(text).replace("|", "&#124;") for name, text in rows.items()}
    return CARD.format(
        measured="\n".join(map(_in_markdown, (record.get("measured") or "").split("\n"))),
        rows="\n".join(f"| {name} | {text} |" for name, text in cells.items()),
        licences="\n".join(f"- {_in_markdown(own)}" for own in licences(record["corpora"])),
    )


def _in_markdown(text):
    """Escape a text for one line of Markdown: no HTML, links, code or control characters."""
    text = re.sub(r"[\\`\[\]!]", r"\\\g<0>", html.escape(printable(text), quote=False))
    return text.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")


class Savable:
    """Base of the classes in `RECOGNIZERS`, which can be saved in a file.

    Subclasses have the methods `_record()` (see `model_card`), `_content()` (everything that
    predictions need, see `pack`) and the class method `_restored(content, record, encoder)`.
    """

    def save(self, path, *, measured=None, trusted=()):
        """Save everything that predictions need in one file for `load_recognizer`: self.

        The content is checked by reading it before it is written, and an incomplete file is never
        left. It has no recordings, but the features of some.

        Parameters
        ----------
        path : path
            Usually *.ser; an existing file is replaced.
        measured : evaluation.Evaluation, or dict of str to Evaluation, optional
            Its protocol and scores (of several, those of the first) are saved in place of those of
            the test part. If they have names, they are the first table of the card.
        trusted : sequence of types
            Classes of the model that aren't in `allowed.FITTED`; see `load`.

        Raises
        ------
        ModelFileError
            If the recognizer has a part that files may not have; the message names it.
        """
        record = self._record()
        if measured is not None:
            named = measured if isinstance(measured, dict) else {}
            record = record | next(iter(named.values()), measured).recorded(named)
        data = pack({"record": record, "recognizer": self._content()}, model_card(record))
        with naming(path):
            content = unpack(data, trusted)
            _check_content(**content)
            restored(**content, encoder=AS_FEATURES)  # raises if the file couldn't be loaded
        with replacing(path) as temporary:
            temporary.write_bytes(data)
        return self

    @classmethod
    def load(cls, path, *, encoder=None, trusted=()):
        """Load a recognizer of this class from a file, see `load_recognizer`: Recognizer.

        Parameters
        ----------
        path : path
        encoder : str, optional
            Its encoder on this machine, as for `encoder.load_encoder`. Default: the saved name.
        trusted : sequence of types, optional
            Classes and functions that its model may have beside those of `allowed.FITTED`; they are
            run without checks. Give only those that you know, for files whose origin you know.

        Raises
        ------
        FileNotFoundError, ModelFileError
            As `read` does; also for a recognizer of another class.
        """
        content = read(path, trusted)
        with naming(path):
            _check_content(**content)
            if not trusted:
                estimators.try_out(_to_try(content["recognizer"]))
            rec = restored(**content, encoder=encoder)
            rec.card()  # fails for a record of another form
            if encoder is not None and not any(map(is_encoder, rec.predictor_.names)):
                raise ModelFileError(f"it has no encoder: leave out encoder={str(encoder)!r}")
        if not isinstance(rec, cls):
            raise ModelFileError(
                f"{path} holds a recognizer of the class {type(rec).__name__}, not "
                f"{cls.__name__}; load_recognizer(path) loads any."
            )
        return rec

    def card(self):
        """The model card in Markdown, which `save` puts into the file: str."""
        return model_card(self._record())

    @property
    def protocol_(self):
        """The protocol of `score_`, in one line: str."""
        return self._record()["protocol"]

    @property
    def score_(self):
        """Scores of the test part, or of the evaluation given to `save`: dict, or None."""
        return self._record()["score"]


load = Savable.load  # any of `RECOGNIZERS`


def restored(recognizer, record, encoder=None):
    """Make a recognizer from the content of a file: Recognizer.

    Parameters
    ----------
    recognizer, record : dict
        See `Savable`.
    encoder : str, optional
        See `Savable.load`.
    """
    name = check_name(recognizer["class"], RECOGNIZERS, "class of recognizer")
    return getattr(import_module(RECOGNIZERS[name]), name)._restored(recognizer, record, encoder)


def _check_content(recognizer, record):
    """Refuse parts of other types, and texts that aren't printable."""
    check_words({name: value for name, value in record.items() if name != "measured"})
    check_words((record.get("measured") or "").split("\n"))
    members = recognizer.get("members", [])
    for member in members:
        _check_content(member, {})
    if not members:
        check_words(recognizer["settings"])
        _check_encoder(recognizer["settings"]["features"])
        estimators.check_parts(recognizer)


def _check_encoder(features):
    """Refuse an encoder that isn't a regular local file: reading a device may never end."""
    for name in filter(is_encoder, features):
        path = re.sub(r"@[\d,]*$", "", name.partition(":")[2])
        other = path and Path(path).exists() and not Path(path).is_file()
        if other or path.startswith(("//", "\\\\")):
            raise ModelFileError(f"its encoder {path!r} isn't a file of this machine; refused")


def _to_try(recognizer):
    """The models that aren't plain, each with clips of the probe: list of pairs."""
    fits = recognizer.get("fits", {}).values()
    own = [fit for fit in fits if not is_plain(type(fit["model"]))]
    pairs = [(f["model"], f["scaler"].transform(recognizer["probe"]["X"])) for f in own]
    return sum(map(_to_try, recognizer.get("members", ())), pairs)


def check_words(value):
    """Refuse texts that aren't printable, one line and at most `LONGEST` characters long.

    Parameters
    ----------
    value : str, dict, list, or anything else
        Texts are found at any depth.

    Raises
    ------
    ModelFileError
        For such a text.
    """
    if isinstance(value, str) and not (len(value) <= LONGEST and printable(value) == value):
        raise ModelFileError(
            f"it has a text that isn't one printable line of at most {LONGEST:,} characters: "
            f"{value!a:.80}; refused"
        )
    if isinstance(value, dict):
        value = [*value, *value.values()]
    for part in value if isinstance(value, (list, tuple)) else ():
        check_words(part)


__getattr__ = moved(
    __name__,
    {
        "corpora": "LICENCES",
        "allowed": "LOSSES TRUSTED=FITTED",
        "estimators": "FORMER_HOMES HOMES PLAIN plain",
        "networks": "network_bytes n_weights load_weights KERAS_MEMBERS",
        "probe": "check_same",
    },
)
