"""Draw the picture of the page: the bundled recordings of a voice, in a real browser.

    python images/draw_page.py       # images/page.png; needs chromium, playwright, a Chinese font

The recordings are synthetic; real ones may not be published.
"""

import io
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile as sf
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import guarded, make_parser, replacing
from parameters import SAMPLE_RATE

FOLDER = Path(__file__).resolve().parent
CLIPS = FOLDER.parent / "data" / "test-custom"
TALK = [
    CLIPS / f"{name}.wav"
    for name in ("v22_s8_neutral", "v24_s8_angry", "v23_s8_fear", "v24_s8_neutral")
]
OTHERS = [CLIPS / "v24_s8_angry.wav", CLIPS / "v23_s8_fear.wav"]
N_COLOURS = 256
BROWSERS = "chromium", "chromium-browser", "google-chrome"
SIZE = {"width": 1200, "height": 900}
PAUSE = np.zeros(SAMPLE_RATE, np.float32)


@contextmanager
def served(*options):
    """Run serve.py, at a free port: yield its address.

    Parameters
    ----------
    *options : str
        Of its command line; they come last.
    """
    command = [sys.executable, "-u", "serve.py", "--port", "0", *options]
    with subprocess.Popen(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()
            if not address:
                raise OSError("serve.py didn't start; what it printed says why.")
            yield address[0]
        finally:
            process.kill()


def find_chromium():
    """The Chromium of this system: path, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium(sound=None):
    """Open the system's Chromium: yield a Browser of Playwright.

    Parameters
    ----------
    sound : path, optional
        WAV; its microphone hears it, again and again.
    """
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags += [f"--use-file-for-fake-audio-capture={sound}"] if sound else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        yield browser
        browser.close()


def wav_of(clips):
    """Recordings one after the other, with pauses: bytes of a WAV file.

    Parameters
    ----------
    clips : list of path
    """
    file = io.BytesIO()
    sound = np.concatenate([part for clip in clips for part in (load_audio(clip), PAUSE)])
    sf.write(file, sound, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def draw(path):
    """Let the page recognise the recordings, and write a picture of what it shows.

    Parameters
    ----------
    path : path
        PNG.
    """
    talk = {"name": "talk.wav", "mimeType": "audio/wav", "buffer": wav_of(TALK)}
    others = [{"name": p.name, "mimeType": "audio/wav", "buffer": p.read_bytes()} for p in OTHERS]
    with served() as address, chromium() as browser:
        page = browser.new_page(viewport=SIZE, locale="en-GB")
        page.goto(address)
        page.set_input_files("#files", [talk, *others])
        page.locator("#list .found").filter(has_text="%").nth(len(others)).wait_for()
        page.locator(".picture").click(position={"x": 330, "y": 40})
        picture = Image.open(io.BytesIO(page.screenshot()))
    with replacing(path) as temporary:
        picture.quantize(N_COLOURS, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)


def main():
    """Run the script."""
    parser = make_parser("draw_page.py", __doc__)
    parser.add_argument("--output", default=FOLDER / "page.png", type=Path, help="PNG")
    args = parser.parse_args()
    draw(args.output)
    print(args.output)


if __name__ == "__main__":
    sys.exit(guarded("draw_page.py", main))
