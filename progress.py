"""Progress of long work: a bar on a terminal or in a notebook, else a line every half minute."""

import sys
import threading
import time
import weakref

from tqdm.auto import tqdm

EVERY = 30.0  # seconds between lines
IN_NOTEBOOK = tqdm.__name__ == "tqdm_notebook"


class Progress(tqdm):
    """A tqdm bar on a terminal or in a notebook; elsewhere, as in a log file, lines on stderr.

    Parameters
    ----------
    *args, **how
        As for `tqdm.tqdm`.

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
        """Draw the bar, unless lines are printed."""
        return None if self._lines else super().display(*args, **how)

    def clear(self, *args, **how):
        """Erase the bar, if there is one."""
        return None if self._lines else super().clear(*args, **how)

    def close(self):
        """End the bar or the lines."""
        self._ended.set()
        super().close()


def _tell(bar, ended):
    """Print the progress of a bar until it has ended or has been garbage-collected."""
    start = time.monotonic()
    while not ended.wait(EVERY) and (own := bar()) is not None:
        print(in_words(own, time.monotonic() - start), file=sys.stderr, flush=True)
        del own


def in_words(bar, seconds):
    """Describe the progress of a bar, and the time left: str.

    Parameters
    ----------
    bar : tqdm
    seconds : float
        Since it started.
    """
    scaled = bar.format_sizeof if bar.unit_scale else "{:,.0f}".format
    total = f" of {scaled(bar.total)}" if bar.total else ""
    left = f", about {seconds / bar.n * (bar.total - bar.n):.0f} s to go" if total and bar.n else ""
    unit = bar.unit if bar.unit_scale else f" {bar.unit}s"
    title = " ".join(filter(None, [bar.desc.removesuffix(": "), getattr(bar, "postfix", None)]))
    return f"  {title}: {scaled(bar.n)}{total}{unit} in {seconds:.0f} s{left}"
