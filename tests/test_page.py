"""The page in a real browser, before a real server: what people do there, and what goes wrong."""

import importlib.util
import json
import os
import re
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile as sf
from conftest import REPO, bundled_clip
from test_audio import encode

import plotting
from listening import REPORTS

PAGE = REPO / "page"
LANGUAGES = "en", "zh"
WORDS = {name: json.loads((PAGE / f"words.{name}.json").read_text()) for name in LANGUAGES}
SOURCES = {path.name: path.read_text() for path in (*PAGE.glob("*.html"), *PAGE.glob("*.js"))}
WAIT = 120_000  # milliseconds; a busy machine is slow
SAME = {"English", "CSV", "SRT", "WAV", "MP3", "FLAC", "MB", "https", "python", "serve", "py"}
"""Words of no language, which a page in Chinese may show."""

spec = importlib.util.spec_from_file_location("draw_page", REPO / "images" / "draw_page.py")
draw_page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(draw_page)


# without a browser


def keys_of(source):
    """The keys of words that a file names: set of str, those that are put together as prefixes."""
    named = re.findall(r'data-(?:word|label)="([^"]+)"', source)
    named += re.findall(r'\bsay\(\s*"([^"]+)"', source)
    named += re.findall(r"\bsay\(\s*`([\w.]+)", source)
    named += [f"error.{code}" for code in re.findall(r'new Refused\("(\w+)"', source)]
    return set(named)


def test_both_languages_have_the_same_words_in_the_same_order():
    assert [*WORDS["en"]] == [*WORDS["zh"]]
    for key, english in WORDS["en"].items():
        names = re.findall(r"\{\w+\}", english)
        assert set(re.findall(r"\{\w+\}", WORDS["zh"][key])) == set(names) or key == "error.other"


def test_the_page_says_what_it_has_words_for_and_nothing_else():
    named = set().union(*map(keys_of, SOURCES.values()))
    whole = {key for key in named if not key.endswith(".")}
    assert whole <= {*WORDS["en"]}
    prefixes = tuple(key for key in named if key.endswith("."))
    unused = [key for key in WORDS["en"] if key not in whole and not key.startswith(prefixes)]
    assert [key for key in unused if f'"{key}"' not in "".join(SOURCES.values())] == []


def test_every_emotion_warning_and_group_of_features_has_words(bundled):
    groups = bundled.explain(bundled_clip("angry")).query("kind == 'features'").name
    wanted = [f"emotion.{name}" for name in plotting.COLOURS] + [
        f"warning.{code}" for code in REPORTS
    ]
    assert {*wanted, *(f"feature.{name}" for name in groups)} <= {*WORDS["en"]}


def test_emotions_have_the_colours_of_all_pictures():
    css = (PAGE / "page.css").read_text().upper()
    for emotion, colour in plotting.COLOURS.items():
        assert f"--EMOTION-{emotion.upper()}: {colour.upper()};" in css
    for i, colour in enumerate(plotting.OTHERS):
        assert f"--OTHER-{i}: {colour.upper()};" in css
    assert f"--FOR: {plotting.FOR};" in css and f"--AGAINST: {plotting.AGAINST};" in css


def test_the_page_names_no_other_address():
    for path in PAGE.rglob("*"):
        if path.is_file():
            found = set(re.findall(r"(?:https?:|wss?:)?//[\w.]+", path.read_text()))
            assert found <= {"http://127.0.0.1", "http://www.w3.org"}, path
    assert "style=" not in SOURCES["index.html"] and "onclick" not in SOURCES["index.html"]


# with one


@pytest.fixture(scope="module")
def server():
    if not draw_page.find_chromium() or not importlib.util.find_spec("playwright"):
        lacks = "no Chromium: sudo apt-get install chromium, and pip install playwright"
        assert not os.environ.get("SER_PAGE_TESTS"), lacks
        pytest.skip(lacks)
    with draw_page.served() as address:
        yield address


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Three utterances: path of a WAV file."""
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    clips = [bundled_clip(emotion, "v24_s8") for emotion in ("neutral", "angry", "sad")]
    path.write_bytes(draw_page.wav_of(clips))
    return path


@pytest.fixture(scope="module")
def browser(server, talk):
    with draw_page.chromium(talk) as browser:
        yield browser


class Visit:
    """A page that is open, and everything that it asked for or complained about.

    Parameters
    ----------
    browser : playwright Browser
    address : str
    **settings
        Of a context of Playwright: locale, color_scheme, viewport.
    """

    def __init__(self, browser, address, **settings):
        settings = {"locale": "en-GB", "viewport": {"width": 1200, "height": 900}} | settings
        self.asked, self.faults = [], []
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(WAIT)
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.context.new_page()
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._complain)
        self.host = urlparse(address).netloc
        self.page.goto(address)
        self.locator("#limits").filter(has_text=re.compile("MB")).wait_for()

    def _complain(self, message):
        if "Content Security Policy" in message.text:
            self.faults.append(message.text)

    def locator(self, selector):
        return self.page.locator(selector)

    def text(self, selector):
        return self.locator(selector).first.inner_text()

    def upload(self, *paths, n=None):
        """Choose files, and wait until there are n results in all."""
        self.page.set_input_files("#files", [str(path) for path in paths])
        self.wait("n => document.querySelectorAll('#list li').length >= n", n or len(paths))
        self.settle()

    def settle(self):
        """Wait until nothing is being analysed."""
        busy = "() => [...document.querySelectorAll('.found')].every(e => e.textContent !== '…')"
        self.wait(busy)

    def wait(self, function, argument=None):
        self.page.wait_for_function(function, arg=argument)

    def hear(self, button, seconds):
        """Press a button that records, wait for some seconds of sound, and press it again."""
        self.page.click(button)
        late = "([b, s]) => Number(document.querySelector(b).textContent.split(':')[1]) >= s"
        self.wait(late, [button, seconds])
        self.page.click(button)

    def adapt(self):
        """Read three sentences, as the microphone has them, and wait for what comes of it."""
        self.page.click("#adapt")
        for _ in range(3):
            self.hear("#reading-record", 4)
        self.locator("#voice-state").wait_for()

    def leave(self):
        """Close it, and check that it kept to its own server and to its rules."""
        self.context.close()
        assert self.faults == []
        hosts = {urlparse(url).netloc for url in self.asked if not url.startswith("blob:")}
        assert hosts == {self.host}


@pytest.fixture
def visit(browser, server):
    """A function that opens the page with settings; what was opened is checked at the end."""
    opened = []

    def open_page(address=server, **settings):
        opened.append(Visit(browser, address, **settings))
        return opened[-1]

    yield open_page
    for one in opened:
        one.leave()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.ogg", "a.webm", "a.flac"])
def test_a_file_of_any_format_shows_its_emotion_and_plays(visit, talk, tmp_path, name):
    encode(talk, tmp_path / name)
    page = visit()
    page.upload(tmp_path / name)
    assert re.fullmatch(r"\w+ \d+%", page.text("#list .found"))
    shares = page.locator("article .bars .number").all_inner_texts()
    assert len(shares) == 8 and 97 <= sum(int(share[:-1]) for share in shares) <= 103
    assert page.text("article .emotion").split()[0] == page.text("#list .found").split()[0]
    page.page.click(".play")
    moved = "() => Number(document.querySelector('.picture').ariaValueNow) > 0.2"
    page.wait(moved)
    page.locator(".play").filter(has_text="Play").wait_for()  # it has come to its end


@pytest.mark.slow
def test_the_server_allows_the_page_nothing_from_elsewhere(browser, server):
    page = browser.new_page()
    rules = page.goto(server).headers["content-security-policy"]
    assert "default-src 'none'" in rules and "unsafe" not in rules and "http" not in rules
    page.close()


@pytest.mark.slow
def test_pictures_are_drawn_of_the_sound_and_the_emotions(visit, talk):
    page = visit()
    page.upload(talk)
    drawn = """() => {
        const canvas = document.querySelector('.picture canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const rows = Array.from({ length: canvas.height }, () => new Set());
        for (let i = 0; i < data.length; i += 4) {
            const colour = data[i] << 16 | data[i + 1] << 8 | data[i + 2];
            rows[Math.floor(i / 4 / canvas.width)].add(colour);
        }
        return rows.map((row) => row.size);
    }"""
    page.wait(f"() => ({drawn})()[40] > 1")
    n_colours = page.page.evaluate(drawn)
    assert max(n_colours[84:200]) > 50  # the spectrogram
    assert max(n_colours[208:292]) >= 5  # the probabilities


@pytest.mark.slow
def test_files_are_dropped(visit, talk):
    page = visit()
    files = page.page.evaluate_handle(
        """(numbers) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(numbers)], "dropped.wav"));
            return data;
        }""",
        [*talk.read_bytes()],
    )
    page.page.dispatch_event("#drop", "drop", {"dataTransfer": files})
    page.locator("article").wait_for()
    assert page.text("article h2") == "dropped.wav"


@pytest.mark.slow
def test_a_format_that_only_the_server_knows(visit, talk, tmp_path):
    encode(talk, tmp_path / "a.aiff")
    page = visit()
    page.upload(tmp_path / "a.aiff")
    assert page.text("article .unplayable") == WORDS["en"]["unplayable"]
    assert page.locator(".play").is_hidden() and page.locator("article .bars li").count() == 8


@pytest.mark.slow
def test_a_recording_of_the_microphone(visit):
    page = visit()
    page.hear("#record", 4)
    page.locator("article").wait_for()
    page.settle()
    assert page.text("article h2") == "Recording 1.wav"
    assert page.text("#list .found").split()[0] in WORDS["en"].values()
    assert page.text("#record") == "Record"


@pytest.mark.slow
def test_a_recording_ends_where_the_server_s_limit_is(visit):
    with draw_page.served("--max-seconds", "6") as address:
        page = visit(address)
        page.page.click("#record")
        page.locator("article").wait_for()
        assert re.match(r"0:00.0 / 0:0[56]", page.text("article .time"))
        assert page.text("#record") == "Record"


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault, code", [("NotAllowedError", "denied"), ("NotFoundError", "no_microphone")]
)
def test_without_a_microphone_the_page_says_what_to_do(visit, fault, code):
    page = visit()
    page.page.evaluate(
        """(name) => {
            const refuse = () => Promise.reject(new DOMException("", name));
            navigator.mediaDevices.getUserMedia = refuse;
        }""",
        fault,
    )
    for button in ("#record", "#listen"):
        page.page.click(button)
        page.locator("#notice").wait_for()
        assert page.text("#notice p") == WORDS["en"][f"error.{code}"]
        page.page.click("#notice button >> nth=1")
        assert page.locator(f"{button}:enabled").count() == 1


@pytest.mark.slow
def test_live_mode_shows_emotions_and_utterances_as_they_come(visit):
    page = visit()
    page.page.click("#listen")
    page.locator("#live .bars li").first.wait_for()
    page.wait("() => Number(document.querySelector('#live .meter').ariaValueNow) > -50")
    page.locator("#utterances li").first.wait_for()
    page.page.click("#live-stop")
    page.locator("#listen:enabled").wait_for()
    utterance = page.text("#utterances li")
    assert re.search(r"\d\d:\d\d:\d\d, \d+(\.\d)?s", utterance) and "%" in utterance
    assert page.locator("#notice").is_hidden()
    page.page.click("#live-close")
    assert page.locator("#live").is_hidden()


@pytest.mark.slow
def test_adaptation_to_a_voice_shows_and_is_forgotten(visit, talk):
    page = visit()
    page.upload(talk)
    before = page.locator("article .number").all_inner_texts()
    assert page.locator("article .adapted").is_hidden()
    page.adapt()
    page.locator("article .adapted").wait_for()
    assert page.locator("article .number").all_inner_texts() != before
    page.page.click("#forget")
    page.locator("article .adapted").wait_for(state="hidden")
    assert page.locator("article .number").all_inner_texts() == before
    assert page.locator("#voice-state").is_hidden()


@pytest.mark.slow
def test_a_voice_that_the_server_has_forgotten_is_adapted_to_again(visit, talk):
    page = visit()
    with page.page.expect_response("**/v1/adapt*") as answer:
        page.adapt()
    key = answer.value.json()["recognizer"]
    page.page.request.delete(f"http://{page.host}/v1/adapt/{key}")
    page.upload(talk)
    page.locator("#notice").wait_for()
    assert page.text("#notice p") == WORDS["en"]["error.unknown_recognizer"]
    assert page.locator("#voice-state").is_hidden() and page.locator("article .adapted").is_hidden()
    page.page.click("#notice button >> nth=0")
    page.locator("article .adapted").wait_for()
    assert page.locator("#voice-state").is_visible()


@pytest.mark.slow
def test_a_span_is_explained(visit, talk):
    page = visit()
    page.upload(talk)
    box = page.locator(".picture").bounding_box()
    page.page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 20)
    page.page.mouse.up()
    start, end = (float(page.locator(f"[name={name}]").input_value()) for name in ("start", "end"))
    with page.page.expect_request("**/v1/explain*") as asked:
        page.page.click(".explain")
    assert f"start={start}"[:9] in asked.value.url and f"end={end}"[:7] in asked.value.url
    page.locator(".effects li").first.wait_for()
    assert re.match(r"Why \w+, from 0:0", page.text(".why h3"))
    names = page.locator(".effects li > span:first-child").all_inner_texts()
    assert {*names} <= {word for key, word in WORDS["en"].items() if key.startswith("feature.")}


@pytest.mark.slow
def test_two_clips_are_compared_side_by_side(visit, talk):
    page = visit()
    page.upload(talk, bundled_clip("angry"))
    assert page.locator("article").count() == 1
    page.page.select_option("#compare", index=1)
    assert page.locator("article h2").all_inner_texts() == ["talk.wav", "v21_s6_angry.wav"]
    first, second = (page.locator("article").nth(i).bounding_box() for i in (0, 1))
    assert first["y"] == second["y"] and first["x"] < second["x"]
    page.page.select_option("#compare", index=0)
    assert page.locator("article").count() == 1


@pytest.mark.slow
def test_downloads(visit, talk):
    page = visit()
    page.upload(talk)
    files = {}
    for kind in ("csv", "srt", "png"):
        with page.page.expect_download() as download:
            page.page.click(f".{kind}")
        assert download.value.suggested_filename == f"talk.wav.{kind}"
        files[kind] = Path(download.value.path()).read_bytes()
    assert b"start,end,emotion,confidence,neutral" in files["csv"].splitlines()[0]
    assert re.match(rb"1\r?\n00:00:0\d,\d{3} --> ", files["srt"])
    assert files["png"].startswith(b"\x89PNG") and len(files["png"]) > 20_000


@pytest.mark.slow
def test_a_broken_file_has_the_server_s_message_and_the_others_are_recognised(
    visit, talk, tmp_path
):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF this is no sound")
    page = visit()
    page.upload(broken, talk)
    assert "not audio, or damaged" in page.text("#list .error")
    assert page.locator("#list li").nth(1).locator(".found").inner_text()
    assert page.text("article h2") == "talk.wav"


@pytest.mark.slow
def test_too_long_and_too_large_files_are_refused_with_their_limits(visit, tmp_path):
    large, long = tmp_path / "large.wav", tmp_path / "long.flac"
    with large.open("wb") as file:
        file.truncate(65 * 2**20)
    sf.write(long, np.zeros(601 * 16000), 16000)
    page = visit()
    page.upload(large, long)
    first, second = page.locator("#list .error").all_inner_texts()
    assert "the limit is 64 MB" in first and "the limit is 10 minutes" in second
    assert sum("predict" in url for url in page.asked) == 1  # the large one wasn't sent


@pytest.mark.slow
def test_five_minutes(visit, talk, tmp_path):
    y, sr = sf.read(talk)
    sf.write(tmp_path / "long.flac", np.resize(y, 300 * sr), sr)
    page = visit()
    page.upload(tmp_path / "long.flac")
    assert "/ 5:00.0" in page.text("article .time")
    assert page.text("article .warnings li") in WORDS["en"].values()
    page.page.click("summary")
    assert page.locator("article tbody tr").count() > 150
    page.page.click(".explain")  # all of it is too much at once
    page.locator("#notice").wait_for()
    assert "select a span of some seconds" in page.text("#notice p")


@pytest.mark.slow
def test_when_the_server_goes_away_nothing_is_lost(visit, talk):
    with draw_page.served() as address:
        page = visit(address)
        page.upload(talk)
        found = page.text("#list .found")
    page.upload(bundled_clip("angry"), n=2)
    assert page.text("#notice p") == WORDS["en"]["error.unreachable"]
    assert page.text("#list .error:visible") == WORDS["en"]["error.unreachable"]
    assert page.text("#list .found") == found and page.locator("article").count() == 1
    page.page.click("#listen")
    page.locator("#listen:enabled").wait_for()
    with draw_page.served("--port", str(urlparse(address).port)):
        page.locator(".again:visible").click()
        page.settle()
        assert page.locator("#list .found").nth(1).inner_text()
        assert page.locator("#list .error:visible").count() == 0


@pytest.mark.slow
def test_the_page_follows_the_browser_s_language_and_is_switched(visit, talk, tmp_path):
    broken = tmp_path / "1.wav"
    broken.write_bytes(b"RIFF")
    page = visit(locale="zh-CN")
    page.upload(talk, broken)
    page.page.click(".explain")
    page.locator(".effects li").first.wait_for()
    page.page.click("#adapt")
    shown = page.text("body").replace("talk.wav", "").replace("1.wav", "")
    message = WORDS["zh"]["error.other"].partition("{")[0]
    assert message in shown
    shown = re.sub(f"{message}.*", "", shown)
    assert {*re.findall(r"[A-Za-z]{2,}", shown)} <= SAME
    page.page.keyboard.press("Escape")
    page.page.click("[data-language=en]")
    page.locator("#record").filter(has_text="Record").wait_for()
    shown = page.text("body").replace("中文", "")
    assert not re.findall(r"[\u4e00-\u9fff]", shown)
    assert page.locator("html").get_attribute("lang") == "en"


def focus(page):
    """What has the focus, with its name and whether that shows: dict."""
    return page.page.evaluate(
        """() => {
            const e = document.activeElement;
            const name = e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim();
            const style = getComputedStyle(e);
            return { id: e.id || e.className, name, outline: style.outlineStyle };
        }"""
    )


@pytest.mark.slow
def test_everything_is_done_by_the_keyboard(visit, talk):
    page = visit()
    press = page.page.keyboard.press
    page.page.on("filechooser", lambda _: None)  # from now on no dialog of the system opens

    def tab_to(wanted):
        for _ in range(40):
            press("Tab")
            found = focus(page)
            assert found["name"] and found["outline"] != "none", found
            if wanted in found["id"].split():
                return
        raise AssertionError(f"Tab doesn't reach {wanted}")

    tab_to("choose")
    with page.page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files([str(talk)])
    page.locator("article").wait_for()
    page.settle()
    tab_to("open")
    press("Enter")
    assert focus(page)["id"] == "open"  # though the list was drawn anew
    tab_to("picture")
    for _ in range(3):
        press("ArrowRight")
    page.wait("() => Number(document.querySelector('.picture').ariaValueNow) > 0.25")
    for _ in range(12):
        press("Shift+ArrowRight")
    page.locator(".selection").wait_for()
    press("Space")
    page.locator(".play").filter(has_text="Pause").wait_for()
    page.locator(".play").filter(has_text="Play").wait_for()  # at the end of the selection
    tab_to("explain")
    press("Enter")
    page.locator(".effects li").first.wait_for()
    assert page.text("#status").startswith("talk.wav: ")


@pytest.mark.slow
def test_a_phone_shows_it_in_one_column(visit, talk):
    page = visit(viewport={"width": 375, "height": 700}, has_touch=True)
    page.upload(talk, bundled_clip("angry"))
    page.page.select_option("#compare", index=1)
    page.page.click(".explain >> nth=0")
    page.locator(".effects li").first.wait_for()
    page.page.click("summary >> nth=0")
    assert page.page.evaluate("() => document.documentElement.scrollWidth") == 375
    lefts = {box["x"] for box in (a.bounding_box() for a in page.locator("article").all())}
    assert len(lefts) == 1
    page.page.click("#adapt")
    assert page.page.evaluate("() => document.querySelector('dialog').scrollWidth") < 375


CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const light = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data]
            .map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
        const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    };
    const ground = (e) => {
        const { backgroundColor } = getComputedStyle(e);
        return backgroundColor === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : backgroundColor;
    };
    const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const texts = [...document.querySelectorAll("body *")].filter(
        (e) => e.checkVisibility() && !e.disabled && written(e),
    );
    const bars = [...document.querySelectorAll(".bars .track > span")];
    return {
        texts: texts.map((e) => [e.textContent, contrast(getComputedStyle(e).color, ground(e))]),
        bars: bars.map((e) => contrast(getComputedStyle(e).borderTopColor, ground(e.parentNode))),
        paper: light(getComputedStyle(document.body).backgroundColor),
    };
}"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_have_contrast(visit, talk, tmp_path, scheme):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    page = visit(color_scheme=scheme)
    page.upload(talk, broken)
    found = page.page.evaluate(CONTRASTS)
    assert (found["paper"] > 0.5) == (scheme == "light")
    assert [text for text, ratio in found["texts"] if ratio < 4.5] == []
    assert len(found["bars"]) == 8 and min(found["bars"]) >= 3
