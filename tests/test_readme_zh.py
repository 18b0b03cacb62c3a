"""The two READMEs say the same: line n of README.zh-CN.md is line n of README.md.

Code is the same letter for letter. Of all other lines these are: heading levels, table cells,
pictures, links, emphasis and `code`, and every figure; those with a decimal point stand in the same
order. So a number that is a word in English (ten clips) is a word in Chinese, too (十段).
"""

import re
from itertools import zip_longest

import pytest
from conftest import REPO

ENGLISH = (REPO / "README.md").read_text(encoding="utf-8")
CHINESE = (REPO / "README.zh-CN.md").read_text(encoding="utf-8")
MARK = re.compile(r"`[^`]+`|\]\([^)]*\)|\*(?!\*)|-?\d+(?:,\d{3})*(?:\.\d+)?")


def lines_of(text):
    """Each line behind whether it is code: fenced, indented by four spaces, or a comment."""
    fenced = False
    for line in text.splitlines():
        fence = line.startswith("```")
        yield fenced or fence or line.startswith(("    ", "<!--")), line
        fenced ^= fence


def anchors_of(text):
    """The anchors that GitHub gives to the headings, in their order."""
    titles = [line.lstrip("# ") for code, line in lines_of(text) if not code and line[:1] == "#"]
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def links_inside(text):
    """The anchors that the text links to."""
    return re.findall(r"\]\(#([^)]*)\)", text)


def shape(code, line):
    """What a line has in common with its translation; of code, the line itself."""
    if code:
        return line
    line = re.sub(r"\]\((#[^)]*|README\S*\.md)\)", "](here)", line)  # or to the other README
    kind = re.match(r"#+ |\||!\[|[-*] |\d+\. |", line).group()
    cells = [MARK.findall(cell) for cell in (line.split("|") if kind == "|" else [line])]
    decimals = [[mark for mark in cell if re.fullmatch(r"-?[\d,]+\.\d+", mark)] for cell in cells]
    return kind, bool(line), decimals, [sorted(cell) for cell in cells]


def first_difference(english, chinese):
    """The first line that isn't a translation, in words; empty where all are."""
    section = "the top"
    pairs = zip_longest(lines_of(english), lines_of(chinese), fillvalue=(True, "(the end)"))
    for number, ((code, line), (other_code, other)) in enumerate(pairs, start=1):
        if not code and line.startswith("#"):
            section = line
        same = shape(code, line) == shape(other_code, other)
        prose = line and not code and line[0] != "|"
        if not same or (prose and not re.search("[\u4e00-\u9fff]", other)):
            return f"line {number} (in {section!r}):\n  {line}\n  {other}"
    return ""


def test_each_readme_links_to_the_other_at_the_top():
    assert ENGLISH.startswith("English | [简体中文](README.zh-CN.md)\n\n# ")
    assert CHINESE.startswith("[English](README.md) | 简体中文\n\n# ")


def test_the_readmes_are_the_same_in_code_figures_pictures_and_links():
    difference = first_difference(ENGLISH, CHINESE)
    assert not difference, difference


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_anchors_lead_to_headings(text):
    assert set(links_inside(text)) <= set(anchors_of(text))


def test_anchors_lead_to_the_same_headings():
    same = dict(zip(anchors_of(ENGLISH), anchors_of(CHINESE), strict=True))
    assert links_inside(CHINESE) == [same[anchor] for anchor in links_inside(ENGLISH)]


TALE = """# A tale

It takes **3.5 s**, not 4.5, as `run` says ([below](#how-fast)).

    make run  # now

## How fast?

| clips | s |
|---|---|
| 1,000 clips, 2 voices | 0.5 |

![A picture](images/a.png)

```python
print(1)
```
"""
TRANSLATED = """# 故事

`run` 报告需要 **3.5 s**，而不是 4.5（见[下文](#有多快)）。

    make run  # now

## 有多快？

| 片段 | s |
|---|---|
| 2 个声音，1,000 段 | 0.5 |

![一幅图](images/a.png)

```python
print(1)
```
"""


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("3.5 s", "3.4 s", 3),
        ("**3.5 s**，而不是 4.5", "**4.5 s**，而不是 3.5", 3),
        ("**3.5 s**", "*3.5 s", 3),
        ("`run`", "`walk`", 3),
        ("[下文](#有多快)", "下文", 3),
        ("`run` 报告需要 **3.5 s**，而不是 4.5（见[下文](#有多快)）。\n\n", "", 3),
        ("# now", "# 现在", 5),
        ("## 有多快", "### 有多快", 7),
        ("有多快？", "How fast?", 7),
        ("1,000 段 |", "1,000 段 | |", 11),
        ("2 个声音", "3 个声音", 11),
        ("0.5", "", 11),
        ("a.png", "b.png", 13),
        ("```python", "```py", 15),
        ("print(1)", "print(2)", 16),
        ("```\n", "```\n还有。\n", 18),
    ],
)
def test_what_was_changed_in_one_readme_alone_is_found(right, wrong, line):
    assert first_difference(TALE, TRANSLATED) == ""
    found = first_difference(TALE, TRANSLATED.replace(right, wrong))
    assert found.startswith(f"line {line} (in {'# A tale' if line < 7 else '## How fast?'!r})")
