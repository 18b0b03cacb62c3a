"""The tutorial runs on the bundled recordings alone, and gives what it was committed with.

`make tutorial` executes it anew, in the same way, and writes its outputs.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from html import unescape
from pathlib import Path

import nbformat
import pytest
from conftest import REPO
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nbclient import NotebookClient
from test_readme import skeleton

from utils import AVAILABLE_EMOTIONS

TUTORIAL = REPO / "tutorial.ipynb"
LARGEST = 2_000_000  # bytes
UNIT = re.compile(r"\((s|min|Hz|kHz|dB|number|1 = full scale|log-odds of \w+)\)$")
WITHOUT_UNIT = {
    "probability",
    "UAR of the speaker",
    "speaker",
    "UAR",
    "evaluation",
    "confidence",
    "share",
    "group of features",
    "emotion",
    "true emotion",
    "predicted emotion",
}
SHOWN = {"text/plain", "text/html", "image/png"}
PAGES = "docs/RESULTS.md", "models/default.md"  # what the figures for people are from


# executing


def executed(folder):
    """The tutorial, executed beside a copy of the bundled recordings, and its pictures' faults.

    Returns
    -------
    notebook : NotebookNode
        As it is committed: without what differs from run to run.
    pictures : list of list of str
        What each picture that was drawn lacks, see `unlabelled`.
    """
    for name in ("train-custom", "test-custom"):
        shutil.copytree(REPO / "data" / name, folder / "data" / name)
    notebook = nbformat.read(TUTORIAL, 4)
    first = nbformat.v4.new_code_cell("import test_tutorial\ntest_tutorial.watch_pictures()")
    last = nbformat.v4.new_code_cell("test_tutorial.tell_pictures()")
    notebook.cells = [first, *notebook.cells, last]
    client = NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(REPO), str(REPO / "tests")]),
            "SER_DATA_DIR": str(folder / "data"),
            "OMP_NUM_THREADS": "1",
        }
    )
    pictures = json.loads(last.outputs[0].text)
    notebook.cells = notebook.cells[1:-1]
    return tidy(notebook), pictures


def tidy(notebook):
    """The notebook without what its kernel was, and counted as if it alone had been executed."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.metadata, cell.execution_count = {}, count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return nbformat.from_dict(notebook)


DRAWN = {}


def watch_pictures():
    """From now on, keep every figure that is drawn."""
    draw = Figure.draw

    def watched(figure, renderer):
        DRAWN[id(figure)] = figure
        return draw(figure, renderer)

    Figure.draw = watched


def tell_pictures():
    """Print what each figure that was drawn lacks, as JSON."""
    print(json.dumps([unlabelled(figure) for figure in DRAWN.values()]))


def unlabelled(figure):
    """What can't be read off a figure: list of str.

    An axis with numbers or names at its ticks has a label, which ends with the unit, or is one of
    `WITHOUT_UNIT`. Numbers within axes have their unit in the title.
    """
    faults = []
    for ax in figure.findobj(Axes):
        for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
            label, ticks = axis.get_label_text(), axis.get_ticklabels()
            told = label in WITHOUT_UNIT or UNIT.search(label)
            if any(tick.get_visible() and tick.get_text() for tick in ticks) and not told:
                faults.append(f"{name} axis: {label!r}")
        if ax.texts and not re.search(r"\b(percent|clips)\b", ax.get_title()):
            faults.append(f"numbers in {ax.get_title()!r}")
    return faults


# what it shows


def texts(cell):
    """What a code cell shows, without numbers, bars and, of predictions, emotions: list of str."""
    shown = []
    for output in cell.outputs:
        parts = {"text/plain": output.text} if output.output_type == "stream" else output.data
        for kind in sorted(set(parts) & {"text/plain", "text/html"}):
            shown += skeleton(plain(parts[kind], kind).replace("█", ""))
    if re.search("predict|recognise", cell.source):
        shown = [re.sub("|".join(AVAILABLE_EMOTIONS), "EMOTION", line) for line in shown]
    return [line for line in shown if line]


def plain(text, kind):
    """The text itself, of HTML too."""
    if kind != "text/html":
        return text
    return unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL))


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(TUTORIAL, 4)


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """The notebook as it runs here and now, and its pictures' faults; a cell that fails raises."""
    return executed(tmp_path_factory.mktemp("tutorial"))


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
def test_it_shows_what_it_was_committed_with(committed, again):
    notebook, _ = again
    for old, new in zip(code(committed), code(notebook), strict=True):
        assert texts(new) == texts(old), f"{old.source}\n\nIf that is right: make tutorial"
        kinds = [[sorted(out.get("data", ())) for out in cell.outputs] for cell in (old, new)]
        assert kinds[0] == kinds[1], old.source


@pytest.mark.slow
def test_every_picture_is_labelled_with_units(committed, again):
    _, pictures = again
    shown = [
        out
        for cell in code(committed)
        for out in cell.outputs
        if "image/png" in out.get("data", ())
    ]
    assert len(shown) == len(pictures) >= 3
    assert not any(pictures), pictures


def test_it_is_committed_executed_and_clean(committed):
    raw = TUTORIAL.read_text(encoding="utf-8")
    assert len(raw) < LARGEST
    assert committed == tidy(nbformat.reads(raw, 4))
    assert sum(bool(cell.outputs) for cell in code(committed)) >= len(code(committed)) - 1
    for cell in code(committed):
        for output in cell.outputs:
            assert output.get("name") != "stderr" and output.output_type != "error", output
            assert set(output.get("data", ())) <= SHOWN, cell.source
    for path in (str(REPO), str(Path.home()), tempfile.gettempdir(), sys.prefix):
        assert path + os.sep not in raw, path


def test_what_it_teaches(committed):
    source = "\n".join(cell.source for cell in committed.cells)
    for word in (
        "synthetic",
        "Audio(",
        "frames(",
        ".train()",
        "compare(",
        "draw_confusion_matrix",
        '"random"',
        '"group-5"',
        "adapt(",
        "evaluate_states(",
        "draw_reliabilities",
        "novelty(",
        "abstain=",
        "draw_timeline",
        "draw_explanation",
        ".save(",
        "load_recognizer",
    ):
        assert word in source


def test_figures_of_its_prose_are_printed_by_it_or_stand_in_the_results(committed):
    prose = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    prose = re.sub(r"^    .*|`[^`\n]*`|\]\([^)]*\)", "", prose, flags=re.MULTILINE)
    figures = set(re.findall(r"\d\.\d+", prose))
    assert len(figures) > 20
    pages = "".join((REPO / name).read_text(encoding="utf-8") for name in PAGES)
    shown = "".join(
        output.get("text", "") + "".join(map(str, output.get("data", {}).values()))
        for cell in code(committed)
        for output in cell.outputs
        if "image/png" not in output.get("data", {})
    )
    assert not {figure for figure in figures if figure not in shown + pages}


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ({"xlabel": "time (s)", "ylabel": "power (dB)"}, None),
        ({"xlabel": "time (s)", "ylabel": "probability"}, None),
        ({"xlabel": "time (s)"}, "y axis: ''"),
        ({"xlabel": "time", "ylabel": "power (dB)"}, "x axis: 'time'"),
        ({"xlabel": "time (s)", "yticks": []}, None),
    ],
)
def test_an_axis_without_label_or_unit_is_found(labels, fault):
    figure = Figure()
    _, ax = figure.subplots(2, 1, sharex=True)
    figure.axes[0].set_ylabel("pitch (Hz)")
    ax.set(**labels)
    assert unlabelled(figure) == ([fault] if fault else [])


def test_numbers_without_a_unit_are_found():
    ax = Figure().add_subplot(xlabel="true emotion", ylabel="predicted emotion")
    ax.text(0.5, 0.5, "87")
    assert unlabelled(ax.figure) == ["numbers in ''"]
    ax.set_title("percent of the true emotion")
    assert not unlabelled(ax.figure)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        notebook, pictures = executed(Path(folder))
    nbformat.write(notebook, TUTORIAL)
    print("\n".join(fault for picture in pictures for fault in picture) or "all pictures labelled")
