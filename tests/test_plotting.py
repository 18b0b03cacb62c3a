"""Palettes, figures, HTML tables."""

import re
from html import unescape

import matplotlib
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import plotting
from metrics import reliability
from parameters import AVAILABLE_EMOTIONS


def text_of(html):
    """HTML without its tags, as a notebook shows it: str."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)))


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib.use("Agg")
    yield matplotlib.pyplot
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("text", ["<script>", "a & b", '"quoted"'])
def test_html_tables_escape_every_text(text):
    shown = plotting.html_table(text, {text: text})
    assert text_of(shown).split() == 3 * text.split() and text not in shown


def test_a_figure_of_several_panels_shows_itself_in_a_notebook(pyplot):
    """As the value of a cell, also where pyplot was never imported."""
    figure = plotting.new_figure(2, 1)
    figure.subplots(1, 2)
    shown = figure._repr_png_()
    assert shown.startswith(b"\x89PNG") and len(shown) > 1000
    assert int.from_bytes(shown[16:20], "big") == 2 * figure.dpi
    assert not pyplot.get_fignums()  # pyplot would show it a second time


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("b", b"\x89PNG"), ("c/d.pdf", b"%PDF")]
)
def test_a_figure_is_saved_whole_or_not_at_all(tmp_path, name, start):
    plotting.save_figure(plotting.new_figure(2, 1), tmp_path / name)
    saved = (tmp_path / name).read_bytes()
    assert saved.startswith(start)
    with pytest.raises(ValueError, match="not supported"):
        plotting.save_figure(plotting.new_figure(2, 1), tmp_path / "e.nonsense")
    broken = plotting.new_figure(2, 1)
    broken.savefig = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        plotting.save_figure(broken, tmp_path / name)
    assert (tmp_path / name).read_bytes() == saved
    files = [path for path in (tmp_path / name).parent.iterdir() if path.is_file()]
    assert files == [tmp_path / name]


def test_every_emotion_has_a_colour_of_its_own():
    known = plotting.colours(AVAILABLE_EMOTIONS)
    assert len(set(known.values())) == len(AVAILABLE_EMOTIONS)
    own = plotting.colours(["sad", *"abcde"])
    assert own["sad"] == known["sad"] and own["a"] == own["e"]
    assert len({own[label] for label in "abcd"} | set(known.values())) == 4 + len(known)


def test_confusions_are_drawn_on_given_axes(pyplot):
    matrix = np.array([[3, 1], [0, 2]])
    own = pyplot.subplots()[1]
    assert plotting.draw_confusion(matrix, ["sad", "happy"], own) is own
    assert [text.get_text() for text in own.texts] == ["3", "1", "0", "2"]
    assert plotting.draw_confusion(matrix, ["sad", "happy"]) is not own


def test_speakers_are_sorted_and_labelled_with_average_and_chance():
    values = pd.Series({"a": 0.5, "b": 0.9, "c": 0.1})
    ax = plotting.draw_speakers(values, 0.25, measure="UAR", ax=Figure().subplots())
    assert [bar.get_width() for bar in ax.patches] == [0.1, 0.5, 0.9]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "a", "b"]
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([0.5, 0.25])
    assert ax.get_xlabel() == "UAR of the speaker" and ax.get_xlim() == (0, 1)
    ax = plotting.draw_speakers(values, 1, measure="MAE", higher_is_better=False)
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.5, 0.1]  # the best on top, too


def test_reliability_has_a_point_and_a_bar_for_each_bin_with_clips():
    table = reliability([0.4, 0.9, 1.0], [False, True, False], n_bins=4)
    ax = plotting.draw_reliability(table, ax=Figure().subplots())
    assert ax.lines[1].get_xydata().tolist() == [[0.4, 0], [0.95, 0.5]]
    bars = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in ax.patches]
    assert bars == [(0.25, 0.25, pytest.approx(1 / 3)), (0.75, 0.25, pytest.approx(2 / 3))]


def test_curves_have_a_line_for_each_network_and_side():
    rows = [(0, 0, 2.0, 2.5), (0, 1, 1.0, 2.0), (1, 0, 3.0, 3.5)]
    history = pd.DataFrame(rows, columns=["network", "epoch", "loss", "val_loss"])
    ax = plotting.draw_curves(history, ax=Figure().subplots())
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert len(drawn) == 4
    assert drawn["network 1: held-out speakers"] == [[1, 2.5], [2, 2.0]]
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 4


@pytest.mark.parametrize("measures", [("accuracy", "fbeta"), ("mae", "ccc")])
def test_histograms_have_a_bar_for_each_model_share_and_measure(measures):
    numbers = {f"{side}_{name}": 0.5 for side in ("train", "test") for name in measures}
    numbers |= {"train_time": 0.1, "test_time": 0.2}
    rows = [
        {"model": model, "share": share, "n_clips": int(100 * share)} | numbers
        for model in ("One", "Two")
        for share in (0.1, 1.0)
    ]
    levels, figure = dict.fromkeys(measures, 0.25), Figure()
    settings = {"title": "two models", "levels": levels, "beta": 0.5}
    assert plotting.draw_histograms(pd.DataFrame(rows), figure=figure, **settings) is figure
    assert [len(ax.patches) for ax in figure.axes] == [4] * 6
    assert [len(ax.lines) for ax in figure.axes] == [0, 0, 1, 1, 1, 1]
    assert figure.axes[0].get_xticklabels()[0].get_text() == "10 %\n(10 clips)"
    [legend] = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"One", "Two", "chance"}
    assert figure.get_suptitle() == "two models"
