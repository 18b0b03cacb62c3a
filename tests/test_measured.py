"""Every figure of the pages is in results/, which the benchmarks wrote."""

import json
import re

import measured
import pytest
from conftest import REPO

FOUND = {path.stem: json.loads(path.read_text()) for path in (REPO / "results").glob("*.json")}
PAGES = {path.name: path.read_text(encoding="utf-8") for path in measured.PAGES}
CITED = FOUND.pop("cited")
"""Figures that no benchmark of ours gives, by page: who gave them, or what they are computed of."""


def sections(page):
    """The text of each section of a page without code, and the files in results/ that it names."""
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    for section in re.split(r"^(?=#)", text, flags=re.MULTILINE):
        named = re.findall(r"<!-- (results/.+?) -->", section)
        files = {name for line in named for name in re.findall(r"results/([\w-]+)\.json", line)}
        yield re.sub(r"<!--.*?-->|^    .*|`[^`\n]*`|\]\([^)]*\)", "", section, flags=re.M), files


def figures(text):
    return [x.replace(",", "") for x in re.findall(r"(?<![\d.])\d[\d,]*\.\d+", text)]


def known(names):
    """Every figure of some files in results/, and each rounded to fewer digits."""
    files = [FOUND[name] for name in names]
    plain = [{k: x for k, x in each.items() if k not in ("machine", "packages")} for each in files]
    return {
        f"{float(value):.{n}f}"
        for value in figures(json.dumps(plain))
        for n in range(1, 1 + min(4, len(value.partition(".")[2])))
    }


@pytest.mark.parametrize("page", PAGES)
def test_tables_of_a_page_are_those_measured(page):
    assert measured.filled(PAGES[page]) == PAGES[page], "type: make results"


@pytest.mark.parametrize("page", PAGES)
def test_figures_of_a_page_are_measured_or_cited(page):
    cited = {figure for why in CITED.get(page, {}).values() for figure in why}
    missing = {}
    for text, names in sections(page):
        if lacking := [x for x in figures(text) if x not in known(names) | cited]:
            missing[text.partition("\n")[0]] = lacking
    assert not missing


def test_results_say_how_they_were_made():
    assert len(FOUND) >= 10
    for name, found in FOUND.items():
        script = found["command"].split()[1]
        assert script.startswith("benchmarks/bench_") and (REPO / script).is_file(), name
        assert found["data"] and found["machine"] and found["packages"]
        assert found["tables"] or found["remarks"]


def test_a_table_is_written_where_its_mark_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["/somewhere/bench_x.py", "--seed", "1", "--write"])
    remark = f"{REPO}/models/x.onnx is missing"
    measured.write("x", "2 clips", {"UAR": [["", "ours"], ["mel", 0.5]]}, [remark])
    assert measured.read("x")["command"] == "python benchmarks/bench_x.py --seed 1"
    assert measured.read("x")["remarks"] == ["models/x.onnx is missing"]
    page = "Before.\n\n<!-- results/x.json: UAR -->\n| old |\n|---|\n\nAfter.\n"
    made = measured.filled(page)
    assert made == page.replace("| old |\n|---|\n", "| | ours |\n|---|---|\n| mel | 0.5 |\n")
    assert measured.filled(made) == made


def test_what_is_printed_is_shown_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    for wanted in (False, True):
        with measured.printed("y", "nothing", wanted):
            print("1.5 s")
        assert (tmp_path / "y.json").exists() == wanted
    assert measured.read("y")["remarks"] == ["1.5 s"]
