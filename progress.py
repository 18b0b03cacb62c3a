"""How far long work is: a bar where people look on, else a line every half minute."""

import sys
import threading
import time
import weakref

from tqdm.auto import tqdm

EVERY = 30.0  # seconds between lines
IN_NOTEBOOK = tqdm.__name__ == "tqdm_notebook"


class Progress(tqdm):
    """A tqdm bar on a terminal or in a notebook; lines on stderr where it would fill a log file.

    Parameters
    ----------
    *args, **how
        See `tqdm.tqdm`, which this is in every other way.

    Examples
    --------
    >>> [clip for clip in Progress(["a.wav", "b.wav"], "Predicting", unit="clip")]
    ['a.wav', 'b.wav']
    """

    def __init__(self, *args, **how):
        self._lines = not (IN_NOTEBOOK or sys.stderr.isatty())
        self._ended = threading.Event()
        super().__init__(*args, **how, **({"gui": True} if self._lines else {}))  # draws nothing
        if self._lines and not self.disable:
            own = weakref.ref(self), self._ended
            threading.Thread(target=_tell, args=own, daemon=True).start()

    def display(self, *args, **how):
        """Draw the bar, unless lines take its place."""
        return None if self._lines else super().display(*args, **how)

    def clear(self, *args, **how):
        """Take the bar away for a moment, if there is one."""
        return None if self._lines else super().clear(*args, **how)

    def close(self):
        """End the bar, and the lines."""
        self._ended.set()
        super().close()


def _tell(bar, ended):
    """Print how far a bar is, until it has ended or nobody has it any more."""
    start = time.monotonic()
    while not ended.wait(EVERY) and (own := bar()) is not None:
        print(in_words(own, time.monotonic() - start), file=sys.stderr, flush=True)
        del own


def in_words(bar, seconds):
    """How far a bar is after some seconds, and how long it will take: str.

    Parameters
    ----------
    bar : tqdm
    seconds : float
    """
    scaled = bar.format_sizeof if bar.unit_scale else "{:,.0f}".format
    total = f" of {scaled(bar.total)}" if bar.total else ""
    left = f", about {seconds / bar.n * (bar.total - bar.n):.0f} s to go" if total and bar.n else ""
    unit = bar.unit if bar.unit_scale else f" {bar.unit}s"
    title = " ".join(filter(None, [bar.desc.removesuffix(": "), getattr(bar, "postfix", None)]))
    return f"  {title}: {scaled(bar.n)}{total}{unit} in {seconds:.0f} s{left}"
