"""What every module needs: names that are checked, files that are written whole, moved names."""

import difflib
import os
import tempfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path


def check_name(name, legal, what):
    """Return `name` if it is one of `legal`.

    Parameters
    ----------
    name : str
    legal : iterable of str
    what : str
        What the name is of, for the message.

    Raises
    ------
    ValueError
        If it isn't; the message names the legal set and the nearest match.

    Examples
    --------
    >>> check_name("mel", ("mfcc", "mel"), "feature")
    'mel'
    """
    if name in legal:
        return name
    near = difflib.get_close_matches(str(name), map(str, legal), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Unknown {what} {name!r}; choose from {', '.join(map(str, legal))}.{hint}")


def check_names(names, legal, what):
    """Check several names; return each once, in the order of `legal`: tuple of str.

    Parameters
    ----------
    names : sequence of str, or one str
    legal : sequence of str
    what : str
        What one of them is a name of, for the message.

    Raises
    ------
    ValueError
        For an unknown name, or for none at all.

    Examples
    --------
    >>> check_names(["mel", "mfcc", "mel"], ("mfcc", "chroma", "mel"), "feature")
    ('mfcc', 'mel')
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise ValueError(f"No {what} given; choose from {', '.join(legal)}.")
    for name in names:
        check_name(name, legal, what)
    return tuple(name for name in legal if name in names)


def renamed(options, legal, former, what="option"):
    """Keyword arguments under their present names: dict.

    Parameters
    ----------
    options : dict
    legal : iterable of str
    former : dict of str to str
        Former name to the present one.
    what : str
        What a name is of, for the message; default "option".

    Raises
    ------
    TypeError
        For a name that is neither; it names the legal ones and the nearest.

    Examples
    --------
    >>> renamed({"voices": 2}, ["speeds"], {"voices": "speeds"})
    {'speeds': 2}
    """
    options = {former.get(name, name): value for name, value in options.items()}
    for name in options:
        try:
            check_name(name, sorted(legal), what)
        except ValueError as error:
            raise TypeError(str(error)) from None
    return options


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place only if the block succeeds.

    Parameters
    ----------
    path : path
        Folders on the way are made.

    Examples
    --------
    >>> with replacing("notes.txt") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(temporary)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 is for secrets
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def moved(module, places):
    """Make the `__getattr__` of a module for names that now live elsewhere (PEP 562): function.

    The other module is imported when one of the names is first used.

    Parameters
    ----------
    module : str
        `__name__` of the module that once had them.
    places : dict of str to str
        Module to the names that it has now, separated by spaces; "old=new" for a new name.

    Examples
    --------
    >>> moved("old", {"math": "sqrt root=sqrt"})("root")(4.0)
    2.0
    """
    homes = {
        old: (place, new or old)
        for place, names in places.items()
        for old, _, new in (name.partition("=") for name in names.split())
    }

    def getattribute(name):
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, new = homes[name]
        return getattr(import_module(place), new)

    return getattribute
