"""Feature vectors cached on disk, by the content of clips.

The cache is one SQLite file, `cache/features.sqlite` (or $SER_CACHE_DIR/features.sqlite). Any
number of processes may share it, and it can be deleted at any time.
"""

import hashlib
import json
import os
import sqlite3
import struct
import time
import warnings
import zlib
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

import features as ft
from checks import open_file, printable, replacing
from segments import Segment

VERSION = 1  # to be raised if `audio.load_audio` or `augmentation` returns other samples
SQL_VARIABLES = 500  # names in one query: SQLite allows 999 everywhere
SEALED = 0x2144DF1C  # the CRC-32 of any bytes that end in their own CRC-32
FRESH = 2  # seconds; two edits within the resolution of file times give the same stamp
LARGEST = 2**32  # bytes; hashing a larger file would take too long
BLOCK = 2**20  # bytes that are hashed at a time
WAIT = 60  # seconds to wait for another process's write
_NAMED = set()  # files that can't be written, for one warning each
TABLES = (
    "clips (path BLOB PRIMARY KEY, stamp TEXT, digest BLOB)",
    "vectors (digest BLOB, settings TEXT, vector BLOB, PRIMARY KEY (digest, settings))",
)


def find_cache_dir(cache_dir=None):
    """The folder of the cache: Path.

    Parameters
    ----------
    cache_dir : path, optional
        Default $SER_CACHE_DIR, else `cache/` of the repository.
    """
    default = Path(__file__).resolve().parent / "cache"
    return Path(cache_dir or os.environ.get("SER_CACHE_DIR") or default).expanduser()


def extraction_version(features=tuple(ft.REGISTRY)):
    """The declared versions of the code that computes vectors: str.

    Parameters
    ----------
    features : sequence of str
        Default all, with the bundled encoder.
    """
    return f"{VERSION} {ft.version(features)}"


def cache_settings(features, options):
    """A key of everything that a vector depends on besides its clip: str, for `FeatureCache`.

    Parameters
    ----------
    features : sequence of str
    options : dict
        Other settings of the extraction, with values that JSON can represent.
    """
    names = [ft.ENCODER if ft.is_encoder(name) else name for name in features]
    return json.dumps([extraction_version(features), names, options])  # it says which encoder


class FeatureCache:
    """Vectors on disk, found by the content of a clip, not by its name.

    The hash of a clip is looked up by its path if its size, times and inode are unchanged; else the
    clip is read and hashed. The key of a vector is that hash and its settings, which include the
    version of the extraction. A checksum covers all three: a vector altered by a failing disk
    counts as missing.

    Parameters
    ----------
    cache_dir : path or False, optional
        See `find_cache_dir`; False keeps vectors in memory only. A damaged file is renamed and
        replaced. If the file can't be written to, it is read, and new vectors are kept in memory.
        Both give a warning.
    """

    def __init__(self, cache_dir=None):
        if cache_dir is False:
            self._db = _with_tables(sqlite3.connect(":memory:"))
            return
        self.path = find_cache_dir(cache_dir) / "features.sqlite"
        self._file_id = _file_id(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _with_tables(sqlite3.connect(self.path, timeout=WAIT))
        except (OSError, sqlite3.DatabaseError) as error:
            self._db = self._open_instead(error)

    def _open_instead(self, error):
        """Replace a file that fails: by a new one if it is damaged, else by a copy in memory."""
        if not isinstance(error, (OSError, sqlite3.OperationalError)):
            try:
                return self._replaced()
            except (OSError, sqlite3.Error) as second:
                error = f"it is damaged, and can't be replaced: {second}"
        if self.path not in _NAMED:
            _NAMED.add(self.path)
            warnings.warn(
                f"{printable(self.path)} can't be written ({error}); new features are not kept. "
                "Set SER_CACHE_DIR to a folder of your own.",
                stacklevel=4,
            )
        memory = sqlite3.connect(":memory:")
        with suppress(sqlite3.Error):
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as file:
                file.backup(memory)
        try:
            return _with_tables(memory)
        except sqlite3.Error:  # the copy is damaged, too
            return _with_tables(sqlite3.connect(":memory:"))

    def _replaced(self):
        """Rename a damaged file and open a new one."""
        with closing(sqlite3.connect(self.path.with_suffix(".lock"), timeout=WAIT)) as lock:
            lock.execute("BEGIN EXCLUSIVE")  # only one of several processes renames the file
            if _file_id(self.path) == self._file_id:  # else another process has already done it
                damaged = self.path.with_suffix(".damaged")
                with replacing(self.path) as new:  # with tables, as a journal is found by its name
                    _with_tables(sqlite3.connect(new)).close()
                    self.path.replace(damaged)
                warnings.warn(f"{self.path} was damaged; kept as {damaged.name}", stacklevel=5)
            db = _with_tables(sqlite3.connect(self.path, timeout=WAIT))
            self._file_id = _file_id(self.path)
        return db

    def _select(self, query, keys, *arguments):
        """Yield the rows of a query over many keys, a chunk of keys at a time."""
        rows = []
        try:
            for start in range(0, len(keys), SQL_VARIABLES):
                chunk = keys[start : start + SQL_VARIABLES]
                marks = ",".join("?" * len(chunk))
                rows += self._db.execute(query.format(marks=marks), [*arguments, *chunk])
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._db = self._open_instead(error)
        return rows

    def _insert(self, table, rows):
        """Write rows of three columns: all of them or, on failure, none."""
        try:
            with self._db:
                self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._db = self._open_instead(error)

    def digests(self, recordings):
        """The content hashes of the recordings that can be read: dict of recording to bytes.

        Parameters
        ----------
        recordings : list of str or Segment
            Absolute paths.
        """
        paths = {own: own.path if isinstance(own, Segment) else own for own in recordings}
        found = self._of_files([*dict.fromkeys(paths.values())])
        return {
            own: found[path] if own is path else _of_part(found[path], own)
            for own, path in paths.items()
            if path in found
        }

    def _of_files(self, paths):
        settled = time.time_ns() - FRESH * 10**9
        stamps = {path: stamp for path in paths if (stamp := _stamp(path))}
        names = {os.fsencode(path): path for path in stamps}  # not every file name is Unicode
        known = self._select(
            "SELECT path, stamp, digest FROM clips WHERE path IN ({marks})", list(names)
        )
        found = {
            names[name]: digest for name, stamp, digest in known if stamp == stamps[names[name]][0]
        }
        rows = []
        for path in stamps.keys() - found.keys():
            with suppress(OSError):
                found[path] = _hash(path)
                stamp, changed = stamps[path]
                if changed < settled:
                    rows.append((os.fsencode(path), stamp, found[path]))
        if rows:
            self._insert("clips", rows)
        return found

    def get(self, digests, settings, n_columns=None):
        """Look up vectors: dict of digest to ndarray (n_features,) float32, without missing ones.

        Parameters
        ----------
        digests : list of bytes
            See `digests`.
        settings : str
            See `cache_settings`.
        n_columns : int, optional
            Columns, if matrices (n_steps, n_columns) float16 are kept in place of vectors.
        """
        kind = np.dtype(np.float16 if n_columns else np.float32)
        rows = self._select(
            "SELECT digest, vector FROM vectors WHERE settings = ? AND digest IN ({marks})",
            list(dict.fromkeys(digests)),
            settings,
        )
        found = {
            digest: np.frombuffer(vector, kind, count=(len(vector) - 4) // kind.itemsize)
            for digest, vector in rows
            if isinstance(vector, bytes) and _checksum(digest, settings, vector) == SEALED
        }
        return {own: x.reshape(-1, n_columns) if n_columns else x for own, x in found.items()}

    def put(self, vectors, settings):
        """Store vectors: all of them or, on failure, none.

        Parameters
        ----------
        vectors : dict of bytes to ndarray
            By the clip's digest; see `get`.
        settings : str
            See `cache_settings`.
        """
        rows = []
        for digest, vector in vectors.items():
            data = vector.tobytes()
            checksum = _checksum(digest, settings, data).to_bytes(4, "little")
            rows.append((digest, settings, data + checksum))
        self._insert("vectors", rows)

    def close(self):
        """Close the file."""
        self._db.close()


def _with_tables(db):
    """Create missing tables in an open database; on failure, close it."""
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        with db:
            db.execute("BEGIN IMMEDIATE")  # several processes may start at once
            for table in TABLES:
                db.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _checksum(digest, settings, vector):
    """The CRC-32 of a vector and its key."""
    return zlib.crc32(vector, zlib.crc32(digest + settings.encode()))


def _hash(path):
    """The content hash of a file: 16 bytes."""
    digest = hashlib.sha256()
    with open_file(path, LARGEST, buffering=0) as file:
        while data := file.read(BLOCK):
            digest.update(data)
    return digest.digest()[:16]


def _of_part(digest, segment):
    """The hash of a segment, from that of its file: 16 bytes."""
    return hashlib.sha256(digest + struct.pack("<2d", segment.start, segment.end)).digest()[:16]


def _file_id(path):
    """The inode, which tells files of the same name apart; None if there is no file."""
    with suppress(OSError):
        return path.stat().st_ino
    return None


def _stamp(path):
    """(stamp, time of the last change in ns) of a file; None if there is none.

    The stamp changes when a file is edited or replaced, even if its size and date are restored.
    """
    with suppress(OSError, ValueError):  # the latter: a NUL in the name
        stat = os.stat(path)  # noqa: PTH116 - Path(path).stat() takes three times as long
        stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
        return stamp, max(stat.st_mtime_ns, stat.st_ctime_ns)
    return None
