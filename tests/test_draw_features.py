"""docs/FEATURES.md says what is so: its pictures, tables and figures are those of the scripts."""

import importlib.util
import re
import sys

import numpy as np
import pytest
from conftest import REPO
from PIL import Image
from sklearn.model_selection import ParameterGrid

import features
from audio import load_audio
from create_csv import list_audio
from grid_search import SHARES, Search
from parameters import CLASSIFIER_GRIDS

TEXT = (REPO / "docs" / "FEATURES.md").read_text()
NAMES = [*features.FEATURES, *features.SPEECH_FEATURES]
SKELETON = "**Measures** ", "**Here:** ", "![", "**Tells** ", "**Fails** "
LABEL = re.compile(r".+ \((s|Hz|dB|semitones|number|note|interval|no unit|1 = loudest class)\)")


def script(path):
    """Import a script that lies beside the modules."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


draw_features = script(REPO / "images" / "draw_features.py")
sys.path.insert(0, str(REPO / "benchmarks"))  # as when it is run
bench = script(REPO / "benchmarks" / "bench_each_feature.py")


def table(heading):
    """The lines of the table under a heading, as lists of cells, without the head."""
    _, part = re.split(rf"^#+ {heading}$", TEXT, flags=re.MULTILINE)
    lines = re.search(r"(^\|.*\n)+", part, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def section(name):
    """What FEATURES.md says of a feature."""
    return re.search(rf"^### {name}$(.*?)^##", TEXT, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module")
def clips():
    return [draw_features.Clip(path) for path in draw_features.CLIPS]


@pytest.mark.parametrize("name", NAMES)
def test_both_panels_have_labelled_axes_and_the_same_scales(name, clips):
    figure = draw_features.draw(name, clips)
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    assert len(panels) == 2 * (1 + (name in draw_features.CURVES))
    assert len(bars) == (name in draw_features.MAPS)
    for left, right in zip(panels[::2], panels[1::2], strict=True):
        assert LABEL.fullmatch(left.get_ylabel())
        assert left.get_xlim() == right.get_xlim()
        assert left.get_ylim() == right.get_ylim()
    for bottom in panels[-2:]:
        assert LABEL.fullmatch(bottom.get_xlabel())
    for bar in bars:
        assert LABEL.fullmatch(bar.get_ylabel())
    for ax, emotion in zip(panels, ("angry", "sad"), strict=False):
        assert ax.get_title().startswith(emotion)
    assert figure.get_suptitle().startswith(f"{name}: ")


def test_the_pitch_has_an_axis_in_hz_too(clips):
    figure = draw_features.draw("prosody", clips)
    beside = [child for ax in figure.axes for child in ax.child_axes]
    assert [ax.get_ylabel() for ax in beside] == ["pitch (Hz)"]


def test_the_script_writes_what_it_is_asked_for(tmp_path, capsys):
    draw_features.main(["--output", str(tmp_path), "--only", "mel,quality"])
    assert capsys.readouterr().out == f"2 pictures: {tmp_path}\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["feature_mel.png", "feature_quality.png"]
    with Image.open(tmp_path / "feature_mel.png") as picture:
        assert picture.size == (1100, 374)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "mell"], "Did you mean 'mel'"),
        (["a.wav"], "two recordings are needed"),
        (["a.wav", "b.wav"], "a.wav"),
    ],
)
def test_a_wrong_argument_is_said(arguments, message, tmp_path, capsys):
    with pytest.raises((ValueError, SystemExit)) as error:
        draw_features.main([*arguments, "--output", str(tmp_path)])
    assert message in f"{error.value}{capsys.readouterr().err}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_has_its_section(name):
    text = section(name)
    places = [text.index(f"\n{words}") for words in SKELETON]
    assert places == sorted(places)
    (target,) = re.findall(r"!\[.+\]\((.+)\)", text)
    assert target == f"../images/feature_{name}.png"
    assert (REPO / "docs" / target).stat().st_size < 150_000


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_examples_of_elements_are_so(name):
    text = section(name)
    columns = features.REGISTRY[name].columns
    shape = re.search(r"\(n_frames, (\d+)\)", text)
    assert int(shape[1] if shape else 0) == len(columns)
    elements = features.feature_names([name])
    if name in features.SPEECH_FEATURES:
        assert f"{len(elements):,} elements" in text
    here = re.search(r"\*\*Here:\*\*.*", text)[0]
    assert set(re.findall(r"`([a-zA-Z]+_\w+)`", here)) <= {*columns, *elements}


def test_references_are_listed():
    prose, sources = TEXT.split("\n## Sources\n")
    listed = re.findall(r"^- (\w+).*? ((?:19|20)\d\d), ", sources, re.MULTILINE)
    authors = r"([A-Z][\w]+)(?:(?:, [A-Z]\w+)* and [A-Z]\w+| et al\.)?"
    cited = re.findall(rf"{authors} ((?:19|20)\d\d)\b", prose)
    assert len(listed) == len(sources.strip().splitlines())
    assert set(cited) == set(listed)


def test_rates_are_computed():
    assert bench.markdown(bench.cells_of(bench.rates(None))) in TEXT


def test_the_drawn_clips_have_the_values_that_the_table_says():
    assert [path.stem for path in draw_features.CLIPS] == [
        f"{bench.DRAWN}_angry",
        f"{bench.DRAWN}_sad",
    ]
    values = [bench.measured(path) for path in draw_features.CLIPS]
    for row, measure, *pair in zip(table("What people do"), bench.MEASURES, *values, strict=True):
        assert row[:4] == [measure.feature, measure.words, *map(bench.in_short, pair)]


@pytest.mark.parametrize("name", ["mel", "contrast"])
def test_recordings_change_a_vector_as_the_table_says(name):
    clips = {path.stem: load_audio(path) for path in list_audio(bench.BUNDLED)}
    (row,) = (row for row in table("What the recording does") if row[0] == name)
    assert row == [*bench.moved(name, clips).values()]


@pytest.mark.parametrize("name", NAMES)
def test_percentages_in_the_text_are_those_of_the_table(name):
    (row,) = (row for row in table("What the recording does") if row[0] == name)
    for percent in re.findall(r"(\d+) %(?! of)", section(name)):
        assert f"{percent} %" in row


def test_numbers_of_candidates_are_those_of_the_grids():
    counts = {name: len(ParameterGrid(grid)) for name, grid in CLASSIFIER_GRIDS.items()}
    n = counts["SVC"]
    assert f"grid has {n} candidates, so 3 × {n} = {3 * n} fits" in TEXT
    assert f"all eight classifiers have {sum(counts.values()):,}" in TEXT
    y, groups = np.array(["angry", "sad"] * 50), np.repeat(np.arange(10), 10)
    search = Search(np.zeros((100, 1)), y, groups)
    (first, _), (second, _), (third, _) = rungs = search.rungs(n)
    assert SHARES == (1 / 9, 1 / 3, 1)
    assert f"all {first} on a ninth of the clips, the best {second} on a third" in TEXT
    fits = sum(count * share for count, share in rungs)
    assert f"{first} / 9 + {second} / 3 + {third} = {fits:.1f} full fits" in TEXT
    assert f"1 - 0.95⁶⁰ = {100 * (1 - 0.95**60):.0f} %" in TEXT


def test_all_four_together_score_as_elsewhere():
    (row,) = (row for row in table("How far each gets alone") if row[0] == "these four")
    text = (REPO / "docs" / "RESULTS.md").read_text().replace("**", "")
    assert row[2] in text
    assert row[4] in text
