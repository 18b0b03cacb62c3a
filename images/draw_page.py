"""Draw the picture of the page: the bundled recordings of a voice, in a real browser.

    python images/draw_page.py                    # images/page.png; needs chromium and playwright

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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import replacing
from parameters import SAMPLE_RATE

REPO = Path(__file__).resolve().parents[1]
CLIPS = REPO / "data" / "test-custom"
VOICE = "v24"
SIZE = {"width": 1200, "height": 800}
PAUSE = np.zeros(SAMPLE_RATE // 2, np.float32)


@contextmanager
def served(port=0):
    """Run serve.py: yield its address and its process.

    Parameters
    ----------
    port : int, default 0
        0 is a free one.
    """
    command = [sys.executable, "-u", "serve.py", "--port", str(port)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise OSError("serve.py didn't start; what it printed says why.")
            yield address, process
        finally:
            process.kill()


@contextmanager
def chromium(sound=None):
    """Open Debian's Chromium: yield a Browser of Playwright.

    Parameters
    ----------
    sound : path, optional
        WAV; its microphone hears it, again and again.
    """
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags += [f"--use-file-for-fake-audio-capture={sound}"] if sound else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
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
    clips = [CLIPS / f"{VOICE}_{name}.wav" for name in NAMES]
    with served() as (address, _), chromium() as browser:
        page = browser.new_page(viewport=SIZE, locale="en-GB")
        page.goto(address)
        page.set_input_files(
            "#files",
            [
                {"name": "talk.wav", "mimeType": "audio/wav", "buffer": wav_of(clips)},
                *map(str, OTHERS),
            ],
        )
        page.locator("article").wait_for()
        page.wait_for_function(
            "() => [...document.querySelectorAll('.found')].every(e => e.textContent !== '…')"
        )
        page.locator(".picture").hover()
        with replacing(path) as temporary:
            shrunk(page.screenshot()).save(temporary, format="PNG", optimize=True)
