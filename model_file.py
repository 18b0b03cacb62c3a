"""Trained recognizers as single files that are safe to open, whoever made them.

A `.ser` file is a zip of

    header.json         labels, settings, versions, protocol, score: all that is no array
    arrays/0.npy        arrays, numbered; the header says where each belongs
    models/0.skops      scikit-learn models but for those of `PLAIN`, as skops writes them
    networks/0.keras    networks, as Keras writes them
    card.md             what the model is and what it isn't, for people
    manifest.json       the SHA-256 of each of these

and its last bytes are the SHA-256 of all others. Nothing in it is run or unpickled; it is read in
memory, whose size is bounded before anything is unpacked.
"""

import hashlib
import importlib.metadata
import io
import json
import math
import platform
import re
import stat
import tempfile
import warnings
import zipfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

FORMAT = 2
LIBRARIES = ("numpy", "scipy", "scikit-learn", "librosa", "numba", "soundfile", "soxr")
"""What features and models are computed with."""

LIMIT = 2**30  # bytes of a file, and of what is in it
SMALL, RATIO = 2**24, 100  # more than SMALL bytes may come of a RATIO-th of them at least
MAX_MEMBERS = 2**16  # skops makes some six of every tree of a forest
REFUSED = 0.05  # probabilities that are off by more are another model's

MEMBERS = re.compile(r"(header|manifest)\.json|card\.md|arrays/[0-9]+\.npy|"
                     r"models/[0-9]+\.skops|networks/[0-9]+\.keras")  # fmt: skip
SKOPS_MEMBERS = re.compile(r"schema\.json|[0-9]+\.npy|[0-9a-f-]{36}\.bin")
KERAS_MEMBERS = re.compile(r"config\.json|metadata\.json|model\.weights\.h5")
SEAL = 64  # hexadecimal digits of a SHA-256

TRUSTED = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # see _check_indices
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",  # see _check_indices
    "sklearn.utils._bunch.Bunch",
)
"""Types that may be in a model beside those of `PLAIN` and those that skops trusts."""

LOSSES = "_loss", "sklearn._loss._loss"
"""What a module of scikit-learn took itself for until 1.7, and its name."""

LICENCES = {
    "ravdess": "RAVDESS (Livingstone and Russo 2018): CC BY-NC-SA 4.0, not for commercial use; "
               "best don't use what was learned from it so, either.",
    "tess": "TESS (Pichora-Fuller and Dupuis 2020): CC BY-NC-ND 4.0, not for commercial use; best "
            "don't use what was learned from it so, either.",
    "emodb": "EMO-DB (Burkhardt et al. 2005): free to use, to be cited.",
    "custom": "custom: those of whoever trained it; the synthetic ones that are bundled with this "
              "project are under the MIT licence.",
}  # fmt: skip
CARD = """\
# A speech emotion recognizer

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

It learned from people who were asked to sound so, most of them actors, in a few sentences and
languages. Who feels something sounds less clear, and differs. It names how a voice sounds, not what
somebody feels, and its probabilities hold on average over recordings like those it learned from.
Don't decide about people by it.
"""
"""The Markdown of `model_card`."""


class ModelFileError(ValueError):
    """A file that no recognizer comes out of; the message says why."""


class ModelFileWarning(UserWarning):
    """A loaded recognizer computes something else than the one that was saved."""


PLAIN = {cls.__name__: cls for cls in (StandardScaler, Ridge)}
"""Classes whose objects are stored as plain values and arrays, which every version reads."""


def plain(cls):
    """Decorator of a class whose state is nothing but values, arrays and objects of `PLAIN`.

    Parameters in `cls.not_saved` are of the machine, and not part of a file.
    """
    PLAIN.setdefault(cls.__name__, cls)
    return cls


# writing and reading


def pack(content, card):
    """The bytes of a file.

    Parameters
    ----------
    content : dict
        Of None, bool, numbers, str, bytes (of a .keras file), arrays, lists, dicts, objects of
        `PLAIN` and scikit-learn models.
    card : str
        In Markdown.

    Returns
    -------
    bytes

    Raises
    ------
    ModelFileError
        For a model that skops can't store.
    """
    members = {}
    header = {"format": FORMAT, "content": _encode(content, members)}
    members["header.json"] = json.dumps(header).encode()
    members["card.md"] = card.encode()
    return _sealed(members)


def _sealed(members):
    manifest = {name: _digest(data) for name, data in members.items()}
    members = members | {"manifest.json": json.dumps(manifest).encode()}
    data = _zip(members, zipfile.ZIP_DEFLATED, comment=b"0" * SEAL)[:-SEAL]
    return data + _digest(data).encode()


def read(path):
    """The content of a file, as it was given to `pack`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ModelFileError
        If it isn't sound or not of this kind, would fill the memory, or needs something that this
        scikit-learn doesn't have.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; rec.save(path) makes one.")
    with naming(path):
        if not path.is_file():
            raise ModelFileError("a file of rec.save(path) is needed; this is something else")
        if path.stat().st_size > LIMIT:
            raise ModelFileError(f"larger than {LIMIT:,} bytes; refused")
        return unpack(path.read_bytes())


def unpack(data):
    """The content of the bytes of a file; see `read`. Errors may be of any kind; see `naming`."""
    members = unzip(data, MEMBERS, min(LIMIT, max(SMALL, RATIO * len(data))))
    manifest = _json(members.pop("manifest.json"))
    for name in sorted(manifest.keys() | members.keys()):
        if name not in members or manifest.get(name) != _digest(members[name]):
            raise ModelFileError(f"its member {name} is missing, or not as it was written")
    if data[-SEAL:] != _digest(data[:-SEAL]).encode():
        raise ModelFileError("damaged outside its members; copy it anew from where it was made")
    header = _json(members["header.json"])
    if header["format"] != FORMAT:
        raise ModelFileError(
            f"its format is {header['format']}, this version of the project reads {FORMAT}; update "
            "the project, or save the recognizer anew"
        )
    return _decode(header["content"], members)


@contextmanager
def naming(path):
    """A block whose errors, of whatever kind, are a `ModelFileError` that names the file."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except ModuleNotFoundError:  # TensorFlow or skops isn't there
        raise
    except Exception as error:  # made-up content may run into any
        raise ModelFileError(
            f"{path}: damaged, or no file of a recognizer ({type(error).__name__}: {error}); copy "
            "it anew from where it was made, or save the recognizer anew"
        ) from error


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def _json(data, **options):
    """What JSON says, which takes up to 25 times its bytes in memory."""
    if len(data) > SMALL:
        raise ModelFileError(f"it has {len(data):,} bytes of JSON, {SMALL:,} are the most; refused")
    return json.loads(data, **options)


# zips


def _zip(members, compression=zipfile.ZIP_STORED, comment=b""):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def unzip(data, names, limit):
    """The members of a zip: dict of name to bytes.

    Parameters
    ----------
    data : bytes
    names : Pattern
        Of the names that members may have.
    limit : int
        Bytes of all members together.
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
                f"it would unpack to {size:,} bytes, {limit:,} are the most for its size; refused"
            )
        members = {}
        for entry in entries:
            if entry.filename in members:
                raise ModelFileError(f"it has two members {entry.filename}")
            try:
                with archive.open(entry) as file:  # read() alone unpacks more than it says
                    members[entry.filename] = file.read(entry.file_size + 1)
            except Exception as error:  # zlib, zipfile and struct have their own
                raise ModelFileError(f"its member {entry.filename} is damaged: {error}") from error
    return members


# values


def _encode(value, members):
    """A value as JSON knows it; what JSON doesn't know becomes a member that it refers to."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == "O"):
        return [_encode(element, members) for element in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): _encode(element, members) for key, element in value.items()}
        return {"$pairs": [[_encode(key, members), _encode(element, members)]
                           for key, element in value.items()]}  # fmt: skip
    if isinstance(value, np.ndarray):
        return {"$array": _add(members, "arrays/{}.npy", _from_array(value))}
    if isinstance(value, bytes):
        return {"$network": _add(members, "networks/{}.keras", value)}
    if _is_plain(value):
        return {"$object": type(value).__name__, "state": _encode(_state(value), members)}
    return {"$model": _add(members, "models/{}.skops", _from_model(value))}


def _add(members, form, data):
    """Add a member; its name."""
    name = form.format(len(members))
    members[name] = data
    return name


def _decode(value, members):
    """The value that `_encode` was given; no member may be read twice, which could fill memory."""
    if isinstance(value, list):
        return [_decode(element, members) for element in value]
    if not isinstance(value, dict):
        return value
    if "$pairs" in value:
        return {_decode(k, members): _decode(v, members) for k, v in value["$pairs"]}
    if "$array" in value:
        return _to_array(members.pop(value["$array"]))
    if "$network" in value:
        return members.pop(value["$network"])
    if "$object" in value:
        return _to_object(value["$object"], _decode(value["state"], members))
    if "$model" in value:
        return _to_model(members.pop(value["$model"]))
    return {key: _decode(element, members) for key, element in value.items()}


def _is_plain(value):
    cls = PLAIN.get(type(value).__name__)
    if cls is None:
        return False
    # a module that runs as the command line has two names
    return len({cls.__module__, type(value).__module__} - {"__main__"}) < 2


def _state(value):
    """What an object of `PLAIN` is made of: dict."""
    state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
    apart = {"_sklearn_version", *getattr(value, "not_saved", ())}
    return {name: part for name, part in state.items() if name not in apart}


def _to_object(name, state):
    cls = PLAIN[name]
    value = cls()
    state = {key: part for key, part in state.items() if key not in getattr(cls, "not_saved", ())}
    if "__setstate__" in vars(cls):  # scikit-learn's would compare versions
        value.__setstate__(state)
    else:
        vars(value).update(state)
    return value


def _from_array(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _to_array(data):
    """Read a .npy file that is as long as its header says."""
    file = io.BytesIO(data)
    headers = {(1, 0): np.lib.format.read_array_header_1_0,
               (2, 0): np.lib.format.read_array_header_2_0}  # fmt: skip
    shape, _, dtype = headers[np.lib.format.read_magic(file)](file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ModelFileError(f"an array of shape {shape} isn't as long as that; refused")
    return np.load(io.BytesIO(data), allow_pickle=False)


# scikit-learn models


def _from_model(model):
    """A model as skops stores it, without the blanks."""
    import skops.io

    try:
        members = unzip(skops.io.dumps(model), SKOPS_MEMBERS, LIMIT)
    except TypeError as error:
        raise ModelFileError(f"{type(model).__name__} can't be saved: {error}") from error
    schema = json.loads(members["schema.json"])
    members["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    return _zip(members)


def _to_model(data):
    """A scikit-learn model of types that are trusted, and whose indices are in range."""
    members = unzip(data, SKOPS_MEMBERS, len(data))
    arrays = {name: _to_array(data) for name, data in members.items() if name.endswith(".npy")}
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    ours = [f"{cls.__module__}.{cls.__name__}" for cls in PLAIN.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)  # the probe says how it is
        try:
            members["schema.json"] = _checked(members["schema.json"], arrays)
            model = skops.io.loads(_zip(members), trusted=[*TRUSTED, *ours])
        except skops.io.exceptions.UntrustedTypesFoundException as error:
            hint = (
                ' Neighbours with algorithm="brute" have none.' if "neighbors" in f"{error}" else ""
            )
            raise ModelFileError(
                f"its model holds types that aren't trusted, for they could do harm. {error}{hint}"
            ) from error
        except (ImportError, AttributeError) as error:
            raise ModelFileError(
                f"its model needs what this scikit-learn doesn't have ({error}); install the "
                "version that card.md inside names, or train it anew"
            ) from error
    _check_indices(model)
    return model


def _checked(schema, arrays):
    """The schema of skops, unless an array would be read many times, or a tree beyond its arrays.

    A module that has another name in this scikit-learn than in the one that saved is renamed.
    """
    owners = {}

    def check(node):
        if "file" in node:
            name, owner = node["file"], node["__id__"]
            if not owner or owners.setdefault(name, owner) != owner:
                raise ModelFileError(f"parts of its model share {name}; refused")
        if node.get("__loader__") == "TreeNode":
            _, n_classes, n_outputs = node["__reduce__"]["args"]["content"]
            if arrays[n_classes["file"]].shape != (json.loads(n_outputs["content"]),):
                raise ModelFileError("a tree of its model has other outputs than it says; refused")
        if node.get("__module__") in LOSSES:
            node["__module__"] = import_module(LOSSES[-1]).CyHalfSquaredError.__module__
        return node

    return json.dumps(_json(schema, object_hook=check)).encode()


ENSEMBLES = ("sklearn.ensemble._forest", "sklearn.ensemble._gb",
             "sklearn.ensemble._hist_gradient_boosting.gradient_boosting")  # fmt: skip


def _check_indices(part, n_features=math.inf, seen=None):
    """Refuse indices that point outside, which scikit-learn's compiled code would follow.

    Parameters
    ----------
    part : object
        A model, or whatever is inside one.
    n_features : int
        Of what the forest around it is given.
    seen : dict
        Of the parts that are done.
    """
    seen = {} if seen is None else seen
    if (id(part), n_features) in seen:  # a tree may also stand in a forest that is given less
        return
    seen[id(part), n_features] = part
    own, module = getattr(part, "__dict__", {}), type(part).__module__
    if module == "sklearn.tree._tree":
        leaf = part.children_left == -1
        _check_nodes(part.children_left, part.children_right, part.feature, leaf, n_features)
        _check(part.n_features <= n_features)
    elif module == "sklearn.ensemble._hist_gradient_boosting.predictor":
        nodes = [part.nodes[name] for name in ("left", "right", "feature_idx", "is_leaf")]
        _check_nodes(*nodes, n_features)
        _check(not part.nodes["is_categorical"].any())
    elif module == "sklearn.tree._classes":
        n_features = min(n_features, own.get("n_features_in_", math.inf))
    elif module in ENSEMBLES and "n_features_in_" in own:
        n_features = part.n_features_in_  # their trees don't look at the width of X themselves
        if module == "sklearn.ensemble._gb":
            _check(part.estimators_.shape[1] == part.n_trees_per_iteration_)
    elif "n_features_in_" in own:
        n_features = math.inf
    if "_dual_coef_" in own:
        _check_support_vectors(part)
    if module == "sklearn.neighbors._classification" and "_y" in own:
        _check(part._y.min() >= 0 and part._y.max() < len(part.classes_))
    children = own.values()
    if isinstance(part, np.ndarray) and part.dtype == "O":
        children = part.ravel()
    elif isinstance(part, (list, tuple, dict)):
        children = part.values() if isinstance(part, dict) else part
    for child in children:
        _check_indices(child, n_features, seen)


def _check(right):
    if not right:
        raise ModelFileError("its model has indices that point outside; refused")


def _check_nodes(left, right, feature, leaf, n_features):
    """Children come after their parents, and features are among those that there are."""
    inner = np.flatnonzero(leaf == 0)
    for children in (left, right):
        _check(((children[inner] > inner) & (children[inner] < len(leaf))).all())
    _check(((feature[inner] >= 0) & (feature[inner] < n_features)).all())


def _check_support_vectors(svm):
    n_classes, n_vectors = len(svm._n_support), len(svm.support_vectors_)
    n_pairs = n_classes * (n_classes - 1) // 2
    _check(not svm._sparse and len(svm.support_) == n_vectors and n_classes > 1)
    _check(((svm._n_support >= 0) & (svm._n_support <= n_vectors)).all())
    _check(svm._dual_coef_.shape == (n_classes - 1, n_vectors))
    _check(svm._intercept_.shape == (n_pairs,))
    _check(svm._probA.shape == svm._probB.shape and svm._probA.size in (0, n_pairs))


# networks


def network_bytes(network):
    """A Keras model as a .keras file: bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        network.save(path)
        return path.read_bytes()


def n_weights(data):
    """How many numbers the .keras file of these bytes holds.

    Raises
    ------
    ModelFileError
        If it refers to other files, or unpacks to more than it is.
    """
    import h5py

    weights = unzip(data, KERAS_MEMBERS, len(data))["model.weights.h5"]
    sizes = []

    def visit(group):
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ModelFileError(f"its network has a link in place of {name}; refused")
            if isinstance(group[name], h5py.Group):
                visit(group[name])
            elif group[name].external or group[name].is_virtual:
                raise ModelFileError(f"its network has {name} in another file; refused")
            else:
                sizes.append(group[name].size)
                if sum(sizes) > len(weights):
                    raise ModelFileError("its network unpacks to more than there is; refused")

    with h5py.File(io.BytesIO(weights), "r") as file:
        visit(file)
    return sum(sizes)


def load_weights(network, data):
    """Fill a Keras model with the weights of the .keras file of these bytes.

    Nothing but numbers is taken from it: stricter than Keras's safe mode, which builds the layers
    that the file describes.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        path.write_bytes(_zip(unzip(data, KERAS_MEMBERS, len(data))))
        network.load_weights(path)


# is it still the same?


def versions(libraries=LIBRARIES):
    """The versions of Python, of libraries and the kind of processor: dict of str to str."""
    found = {name: importlib.metadata.version(name) for name in libraries}
    return {"python": platform.python_version(), **found, "processor": platform.machine()}


def check_same(what, found, expected, tolerance, saved, here, refused=REFUSED):
    """See whether a loaded model computes what the saved one did.

    Parameters
    ----------
    what : str
        What is compared, for messages.
    found, expected : ndarray
    tolerance : float
        A difference up to which they count as the same.
    saved, here : dict of str to str
        Versions (see `versions`) then and now.
    refused : float
        A difference beyond which it is an error whatever the versions.

    Raises
    ------
    ModelFileError
        If they differ though the versions don't, or by more than `refused`.

    Warns
    -----
    ModelFileWarning
        If they differ by less: names the versions that changed.
    """
    alike = found.shape == expected.shape
    off = float(np.abs(found - expected).max(initial=0)) if alike else math.inf
    if off <= tolerance:
        return
    changed = sorted(n for n in saved.keys() | here.keys() if saved.get(n) != here.get(n))
    message = f"its {what} are no longer the same, but off by {off:.2g}"
    if not changed:
        raise ModelFileError(
            f"{message}, though all libraries are as they were: somebody changed the file or the "
            "code of this project; refused"
        )
    changes = [f"{n} {saved.get(n, 'none')} (here {here.get(n, 'none')})" for n in changed]
    message += f"; it was saved with {', '.join(changes)}"
    if not off <= refused:
        raise ModelFileError(f"{message}. Refused: install these, or train it anew")
    warnings.warn(message, ModelFileWarning, stacklevel=6)  # where load_recognizer is called


# the card


def model_card(record):
    """What a recognizer is and what it isn't, in Markdown.

    Parameters
    ----------
    record : dict
        model, says, hears: texts; emotions: list of str; corpora: name to (n_clips, n_speakers);
        clips: emotion to n_clips; protocol: text; score: dict of name, name_low, name_high to
        number or None; versions: see `versions`.

    Returns
    -------
    str
    """
    corpora = record["corpora"].items()
    licences = [LICENCES.get(name, f"{name}: see its own") for name, _ in corpora]
    rows = {
        "model": record["model"],
        "hears": record["hears"],
        "says": record["says"],
        "learned from": "; ".join(f"{name}: clips {clips:,}, speakers {speakers}"
                                  for name, (clips, speakers) in corpora),
        "clips": ", ".join(f"{emotion} {n:,}" for emotion, n in record["clips"].items()),
        "score": _in_words(record["score"]),
        "measured on": record["protocol"],
        "saved with": ", ".join(" ".join(pair) for pair in record["versions"].items()),
    }  # fmt: skip
    return CARD.format(
        rows="\n".join(f"| {name} | {text} |" for name, text in rows.items()),
        licences="\n".join(f"- {licence}" for licence in licences),
    )


def _in_words(score):
    """A score with its intervals, as text."""
    words = []
    for name in score or {}:
        if name.endswith(("_low", "_high")) or score[name] is None:
            continue
        low, high = score.get(f"{name}_low"), score.get(f"{name}_high")
        words.append(f"{name} {score[name]:.3f}" + (f" ({low:.3f} to {high:.3f})" if low else ""))
    return ", ".join(words) + "; in brackets 95 % intervals by speaker" if words else "not measured"
