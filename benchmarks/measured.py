"""What the benchmarks measured: kept in results/, and shown in the pages.

    python benchmarks/measured.py            # write the tables and pictures of the pages anew

A benchmark leaves `results/NAME.json` with `--write`: its command, the day, the machine, what it
measured on, its tables and remarks as it printed them, and what its picture is drawn from. In a
page, a line `<!-- results/NAME.json: TABLE -->` stands above each table that is written from there.
"""

import contextlib
import importlib
import io
import json
import os
import platform
import re
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded, replacing

REPO = Path(__file__).resolve().parents[1]
FOLDER = REPO / "results"
PAGES = [REPO / "README.md", REPO / "README.zh-CN.md", *sorted((REPO / "docs").glob("*.md"))]
TABLE = re.compile(r"(<!-- results/([\w-]+)\.json: (.+?) -->\n+)(?:\|.*\n)*")
PICTURES = {
    "calibration": ("bench_accuracy", "new_speakers"),
    "learning_curve": ("bench_learning_curve", "learning_curve"),
    "loco": ("bench_loco", "loco"),
    "robustness": ("bench_robustness", "robustness"),
}
"""Pictures in images/, the benchmarks whose `draw` makes them, and of which file in results/."""
PACKAGES = "numpy", "scipy", "scikit-learn", "librosa", "numba", "onnxruntime", "tensorflow"


def add_write(parser):
    """Give a benchmark the option that leaves its results where the pages find them."""
    parser.add_argument("--write", action="store_true", help="keep the figures in results/")


def cores():
    """The processor in words: str."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        name = found[1] if found else name
    return f"{os.cpu_count()} cores of {name}"


def write(name, data, tables, remarks=(), **drawn):
    """Keep what a benchmark measured as `results/NAME.json`.

    Parameters
    ----------
    name : str
    data : str
        What was measured on, in words.
    tables : dict of str to list of list of str
        The cells of each table, its head first.
    remarks : iterable
        Further lines that it printed.
    **drawn
        What pictures are drawn from, as plain Python values.
    """
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    found = {
        "command": command.removesuffix(" --write"),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{cores()}, {platform.system()}, Python {platform.python_version()}",
        "packages": {package: version(package) for package in PACKAGES},
        "data": data,
        "tables": {title: [list(map(str, row)) for row in rows] for title, rows in tables.items()},
        "remarks": [str(remark) for remark in remarks],
        **drawn,
    }
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    FOLDER.mkdir(exist_ok=True)
    with replacing(FOLDER / f"{name}.json") as path:
        path.write_text(text.replace(f"{REPO}{os.sep}", ""), encoding="utf-8")


class _Both(io.StringIO):
    """Text that is shown, and kept as well."""

    def write(self, text):
        sys.__stdout__.write(text)
        return super().write(text)

    def flush(self):
        sys.__stdout__.flush()


@contextlib.contextmanager
def printed(name, data, wanted):
    """Keep what is printed meanwhile as the remarks of `results/NAME.json`, if that is wanted."""
    with contextlib.redirect_stdout(_Both()) as text:
        yield
    if wanted:
        write(name, data, {}, text.getvalue().splitlines())


def read(name):
    """What a benchmark left: dict."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def table_of(frame, corner=""):
    """The cells of a DataFrame with its index, head first: list of list of str."""
    rows = zip(frame.index, frame.to_numpy(), strict=True)
    return [[corner, *frame.columns], *([name, *row] for name, row in rows)]


def cells_of(rows):
    """The cells of rows that are dicts with the same keys, head first: list of list."""
    return [list(rows[0]), *(list(row.values()) for row in rows)]


def _in_cell(value):
    return str(value).replace("|", "\\|").strip()


def markdown(rows):
    """A table in Markdown: str.

    Examples
    --------
    >>> print(markdown([["", "numbers"], ["mel", 128]]))
    | | numbers |
    |---|---|
    | mel | 128 |
    """
    head, *lines = [
        "|" + "|".join(f" {cell} " if cell else " " for cell in map(_in_cell, row)) + "|"
        for row in rows
    ]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *lines])


def filled(text):
    """A page with its tables written anew from results/: str."""

    def anew(found):
        return f"{found[1]}{markdown(read(found[2])['tables'][found[3]])}\n"

    return TABLE.sub(anew, text)


def main():
    """Write the tables of all pages and all pictures anew."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            with replacing(page) as path:
                path.write_text(new, encoding="utf-8")
            print(f"{page.relative_to(REPO)}: tables written")
    for name, (bench, results) in PICTURES.items():
        importlib.import_module(bench).draw(read(results), REPO / "images" / f"{name}.png")
        print(f"images/{name}.png: drawn")


if __name__ == "__main__":
    sys.exit(guarded("measured.py", main))
