"""Make the bundled SYNTHETIC recordings, data/train-custom and data/test-custom, with espeak-ng.

    python data/make_custom.py                       # all voices, into data/
    python data/make_custom.py --voices v01 v21      # two voices only
    python data/make_custom.py --output somewhere    # not over the committed clips

No human speaks in these clips. A formant synthesizer reads short, emotionally neutral sentences,
and rules taken from the literature on emotional speech synthesis change its pitch, range, rate,
loudness, pauses and voice quality. That is enough to try the whole pipeline from a fresh clone,
and it says nothing about how well a model does on people.

The rules (`RULES`) follow these findings, relative to a speaker's neutral voice; most are halved
or so, because the originals aim at unmistakable stimuli and these clips at a mediocre actor:

Murray & Arnott (1993), "Toward the simulation of emotion in synthetic speech: a review of the
literature on human vocal emotion", JASA 93(2), 1097-1108. Anger: slightly faster, pitch very much
higher, range much wider, louder, abrupt pitch changes, tense. Happiness: faster or slower, pitch
much higher, range much wider, louder, smooth upward inflections. Sadness: slightly slower, pitch
slightly lower, range slightly narrower, quieter, downward inflections, slurred. Fear: much faster,
pitch very much higher, range much wider, loudness normal, irregular voicing. Disgust: very much
slower, pitch very much lower, range slightly wider, quieter, grumbled chest tone, wide downward
terminal inflections.

Cahn (1990), "The generation of affect in synthesized speech", J. American Voice I/O Society 8,
1-19. Sadness: slower, more pauses, breathy, less brilliant, imprecise. Surprise: wide range, a
steeply rising contour, slightly faster, louder.

Burkhardt & Sendlmeier (2000), "Verification of acoustical correlates of emotional speech using
formant synthesis", ISCA Workshop on Speech and Emotion, 151-156. Joy: pitch +50 %, range +100 %,
tempo +30 %, spread lips (first formants +10 %). Fear: pitch +150 %, range +20 %, tempo +30 %,
falsetto.

Mozziconacci (1998), "Speech variability and emotion: production and perception", PhD thesis, TU
Eindhoven. Boredom: low pitch with excursions of only 4 semitones, durations of 150 %.

Schröder (2001), "Emotional speech synthesis: a review", Eurospeech, 561-564, compares these rule
sets and reports those of Murray & Arnott (1995) for anger: +6 dB, range +9 semitones, creaky.

Livingstone & Russo (2018), "The Ryerson audio-visual database of emotional speech and song", PLoS
ONE 13(5): calm is a second baseline, like neutral but mildly pleasant; here lower and softer.

Every clip draws its own strength of expression, strays from the rule, and at times leans towards
a neighbour in the arousal/valence plane; every voice has habits and a microphone of its own; some
clips have background noise. All of it is seeded by the file's name, so the same espeak-ng writes
the same bytes in any order. The committed files were made with espeak-ng 1.51.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import wave
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.signal import resample_poly
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded, replacing

ESPEAK_VERSION = "1.51"
"""The espeak-ng that made the committed files; another one may write other bytes."""

SEED = 5
"""Of everything that is drawn by chance; another one gives another set of recordings."""

SAMPLE_RATE = 16_000
ESPEAK_RATE = 22_050


@dataclass(frozen=True)
class Rule:
    """How a delivery departs from the speaker's neutral voice; zero everywhere is neutral."""

    pitch: float = 0.0  # level, semitones
    range: float = 0.0  # pitch range, %
    rate: float = 0.0  # tempo, %
    loudness: float = 0.0  # dB
    tilt: float = 0.0  # brilliance: dB per octave above 500 Hz
    breath: float = 0.0  # aspiration noise, % of the voice's amplitude
    rough: float = 0.0  # laryngealisation: depth of a 30-50 Hz modulation, %
    tremor: float = 0.0  # irregular pitch, cents
    glide: float = 0.0  # inflection over the second half, semitones
    formants: float = 0.0  # spread (> 0) or rounded (< 0) lips, %
    pause: float = 0.0  # at the phrase boundary, ms


RULES = {
    "neutral": Rule(),
    "calm": Rule(pitch=-1, range=-15, rate=-9, loudness=-2.5, tilt=-1, breath=3, pause=20),
    "happy": Rule(
        pitch=4.5, range=70, rate=12, loudness=3, tilt=0.8, breath=2, glide=0.5, formants=4
    ),
    "sad": Rule(
        pitch=-1.5,
        range=-45,
        rate=-18,
        loudness=-6,
        tilt=-2.2,
        breath=7,
        tremor=15,
        glide=-0.5,
        pause=120,
    ),
    "angry": Rule(pitch=4, range=75, rate=10, loudness=6, tilt=2.2, rough=35, glide=-1, formants=1),
    "fear": Rule(
        pitch=7, range=15, rate=25, loudness=0.5, tilt=-0.3, breath=6, rough=8, tremor=55, pause=40
    ),
    "disgust": Rule(
        pitch=-3, range=20, rate=-22, loudness=-1.5, tilt=0.6, rough=38, glide=-2, formants=-4
    ),
    "ps": Rule(
        pitch=5.5, range=95, rate=3, loudness=2, tilt=-0.8, breath=5, glide=4, formants=2, pause=30
    ),
    "boredom": Rule(
        pitch=-2.5, range=-50, rate=-26, loudness=-3, tilt=-1.2, rough=10, glide=-0.8, formants=-1
    ),
}
"""The delivery of each emotion at full strength."""

ENDINGS = {"ps": "?"}
"""Punctuation in place of the full stop: a rising contour where espeak-ng would let it fall."""

NEIGHBOURS = {
    "neutral": ("calm", "boredom"),
    "calm": ("neutral", "sad"),
    "happy": ("ps", "angry"),
    "sad": ("boredom", "calm"),
    "angry": ("happy", "disgust"),
    "fear": ("ps", "sad"),
    "disgust": ("angry", "boredom"),
    "ps": ("happy", "fear"),
    "boredom": ("sad", "neutral"),
}
"""What each emotion is mistaken for: the nearest in the arousal/valence plane."""

CLIP_SPREAD = Rule(1.0, 12, 5, 1.6, 0.55, 1.3, 4.5, 7, 0.7, 1.1, 18)
"""Standard deviation of what a clip does by chance, whatever its emotion."""

VOICE_SPREAD = Rule(0.3, 6, 2.5, 0.7, 0.3, 1.0, 2.5, 3, 0.25, 0, 6)
"""Standard deviation of a speaker's habits: what all clips of a voice share."""

LIMITS = (
    Rule(-8, -75, -42, -14, -6, 0, 0, 0, -6, -10, 0),
    Rule(11, 100, 50, 10, 6, 30, 80, 120, 12, 10, 300),
)
"""Lowest and highest value of each, so that a rare draw stays speech."""

STRENGTH = (0.8, 1.5)
"""Range of the strength of expression; each clip draws its own."""

LEAN_CHANCE, LEAN_SHARE = 0.25, (0.25, 0.55)
"""How often a clip leans towards a neighbour, and how much of it then is the neighbour's."""

NOISE_CHANCE, NOISE_SNR = 0.35, (15, 30)
"""How often there is background noise, and its signal-to-noise ratio in dB."""


@dataclass(frozen=True)
class Voice:
    """A synthetic speaker: who speaks, and what."""

    espeak: str  # accent+variant; plain en-gb would ignore its variant, en is the British voice
    pitch: float  # semitones added to the variant's own pitch
    tract: float  # vocal tract: factor on all formants
    wpm: int  # words per minute when neutral
    split: str  # the folder
    sentences: tuple  # keys of SENTENCES


VOICES = {
    "v01": Voice("en-us+m3", 0.0, 1.00, 196, "train-custom", ("s1", "s2", "s3")),
    "v02": Voice("en-us+f2", 0.0, 1.00, 202, "train-custom", ("s2", "s3", "s4")),
    "v03": Voice("en+m7", 1.0, 0.96, 189, "train-custom", ("s3", "s4", "s5")),
    "v04": Voice("en-gb-scotland+f4", -1.0, 0.98, 206, "train-custom", ("s4", "s5", "s1")),
    "v05": Voice("en-029+m1", 0.5, 1.03, 200, "train-custom", ("s5", "s1", "s2")),
    "v06": Voice("en-gb-x-rp+f3", 0.0, 0.95, 194, "train-custom", ("s1", "s3", "s5")),
    "v07": Voice("en-us-nyc+m4", -1.5, 0.94, 204, "train-custom", ("s2", "s4", "s1")),
    "v21": Voice("en+f1", 1.0, 1.02, 198, "test-custom", ("s6", "s7")),
    "v22": Voice("en-us+m2", 0.0, 0.98, 204, "test-custom", ("s7", "s8")),
    "v23": Voice("en-gb-x-gbclan+f5", -2.0, 0.97, 194, "test-custom", ("s8", "s6")),
    "v24": Voice("en-gb-scotland+m6", 1.5, 1.04, 192, "test-custom", ("s6", "s8")),
}

SENTENCES = {
    "s1": "The table is | by the window.",
    "s2": "We leave again | on Monday.",
    "s3": "My brother has | the blue car.",
    "s4": "There are seven | books on it.",
    "s5": "The keys are lying | over there.",
    "s6": "They will be home | by seven.",
    "s7": "The water is | in the glass.",
    "s8": "We met him | near the station.",
}
"""Emotionally neutral; a | marks the phrase boundary. s6 to s8 are for the test voices alone."""

LEVEL, PEAK, FLOOR = -24.0, 0.9, -66.0
"""RMS of a neutral clip in dBFS, highest peak, and the recording's own noise in dBFS."""


class EspeakError(OSError):
    """espeak-ng is missing, or didn't speak."""


@dataclass(frozen=True)
class Clip:
    """One recording to be: which voice says which sentence with which emotion."""

    voice: str
    sentence: str
    emotion: str

    @property
    def name(self):
        """File name, `<speaker>_<sentence>_<emotion>.wav`."""
        return f"{self.voice}_{self.sentence}_{self.emotion}.wav"


def generator(name):
    """Random generator that depends on `name` alone, not on the order of the files.

    Parameters
    ----------
    name : str

    Returns
    -------
    numpy.random.Generator

    Examples
    --------
    >>> generator("v01").random() == generator("v01").random()
    True
    """
    digest = hashlib.sha256(f"{SEED} {name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))


def plan(voices=None):
    """List the clips of some voices.

    Parameters
    ----------
    voices : iterable of str, optional
        Keys of `VOICES`; all of them by default.

    Returns
    -------
    list of Clip

    Raises
    ------
    ValueError
        For a voice that isn't there.

    Examples
    --------
    >>> plan(["v01"])[0].name
    'v01_s1_neutral.wav'
    """
    voices = list(VOICES if voices is None else voices)
    unknown = sorted(set(voices) - set(VOICES))
    if unknown:
        raise ValueError(f"no voice {', '.join(unknown)}: choose from {', '.join(VOICES)}")
    return [Clip(v, s, e) for v in voices for s in VOICES[v].sentences for e in RULES]


def expression(clip):
    """Draw how a clip is delivered: the rule, its strength, a lean, habits and chance.

    Parameters
    ----------
    clip : Clip

    Returns
    -------
    Rule

    Examples
    --------
    >>> expression(plan(["v01"])[0]).rate != 0  # even a neutral delivery strays
    True
    """
    rng = generator(f"expression {clip.name}")
    strength = rng.uniform(*STRENGTH)
    lean = rng.uniform(*LEAN_SHARE) * (rng.random() < LEAN_CHANCE)
    neighbour = NEIGHBOURS[clip.emotion][rng.integers(2)]
    chance = rng.standard_normal(len(fields(Rule)))
    habit = generator(f"habit {clip.voice}").standard_normal(len(fields(Rule)))

    own, other, clip_sd, voice_sd, low, high = (
        np.array(astuple(rule))
        for rule in (RULES[clip.emotion], RULES[neighbour], CLIP_SPREAD, VOICE_SPREAD, *LIMITS)
    )
    values = strength * ((1 - lean) * own + lean * other) + clip_sd * chance + voice_sd * habit
    return Rule(*np.clip(values, low, high).tolist())


def find_espeak():
    """Path of the espeak-ng program.

    Returns
    -------
    str

    Raises
    ------
    EspeakError
        When it isn't installed.
    """
    path = shutil.which("espeak-ng")
    if path is None:
        raise EspeakError(
            "espeak-ng is not installed: type 'sudo apt-get install espeak-ng' (Debian, Ubuntu) "
            "or 'brew install espeak-ng' (macOS)"
        )
    return path


def run_espeak(*arguments):
    """Run espeak-ng.

    Parameters
    ----------
    *arguments : str

    Returns
    -------
    bytes
        What it wrote to its standard output.

    Raises
    ------
    EspeakError
        When it isn't installed or fails.
    """
    done = subprocess.run([find_espeak(), *arguments], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        message = done.stderr.decode(errors="replace").strip() or "no output"
        raise EspeakError(f"espeak-ng {' '.join(arguments)}: {message}")
    return done.stdout


def espeak_version():
    """Version of the installed espeak-ng.

    Returns
    -------
    str
        Such as "1.51".
    """
    return run_espeak("--version").decode().split("text-to-speech:")[-1].split()[0]


def speak(text, voice, rule):
    """Let espeak-ng say a sentence: pitch level and range, tempo and pause are its part.

    `formants` is done by playing the clip faster (see `warp`), so pitch and tempo are set lower
    by the same factor here. espeak-ng spreads an octave over 50 steps of `-p`.

    Parameters
    ----------
    text : str
        Sentence with a | at the phrase boundary.
    voice : Voice
    rule : Rule

    Returns
    -------
    y : ndarray of float64, shape (n,)
        Signal in [-1, 1] at 22050 Hz, without the silence around it.
    """
    stretch = formant_factor(voice, rule)
    semitones = voice.pitch + rule.pitch - 12 * np.log2(stretch)
    ssml = (
        f'<speak><prosody range="{100 + rule.range:.0f}%">'
        + text.replace(" |", f'<break time="{rule.pause:.0f}ms"/>' if rule.pause >= 30 else "")
        + "</prosody></speak>"
    )
    sound = run_espeak(
        *("-v", voice.espeak, "-m", "-z", "--stdout"),
        *("-p", str(round(np.clip(50 + semitones * 50 / 12, 0, 99)))),
        *("-s", str(round(voice.wpm * (1 + rule.rate / 100) / stretch))),
        ssml,
    )
    return trim(np.frombuffer(sound[44:], "<i2") / 32768)


def formant_factor(voice, rule):
    """By how much the clip is played faster: the voice's vocal tract and the shape of its lips."""
    return voice.tract * (1 + rule.formants / 100)


def trim(y, *, threshold=0.003):
    """Cut the silence before and after a signal.

    Examples
    --------
    >>> trim(np.array([0, 0, 0.5, 0, 0.2, 0]))
    array([0.5, 0. , 0.2])
    """
    loud = np.flatnonzero(np.abs(y) > threshold)
    return y[loud[0] : loud[-1] + 1]


def warp(y, factor, rule, rng):
    """Play a signal faster or slower from moment to moment: formants, tremor and inflection.

    Parameters
    ----------
    y : ndarray, shape (n,)
    factor : float
        Overall speed, and so the factor on the formants.
    rule : Rule
        `tremor` wanders at about 4 to 8 Hz, `glide` sets in half way.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (m,)
    """
    n = round(len(y) / factor)
    wander = gaussian_filter1d(rng.standard_normal(n), 0.025 * ESPEAK_RATE, mode="wrap")
    wander /= wander.std()
    semitones = rule.tremor / 100 * wander + rule.glide * np.linspace(-1, 1, n).clip(0) ** 1.5
    place = np.cumsum(factor * 2 ** (semitones / 12))
    return map_coordinates(y, [place[place < len(y) - 1]], order=3)


def envelope(y, *, seconds=0.01):
    """Slow amplitude of a signal."""
    return gaussian_filter1d(np.abs(y), seconds * SAMPLE_RATE)


def coloured(n, slope, rng):
    """Noise of unit RMS whose spectrum falls or rises by `slope` dB per octave.

    Parameters
    ----------
    n : int
    slope : float
        0 is white, -3 pink, -6 a rumble; above 0 a hiss.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n,)
    """
    noise = shape_spectrum(rng.standard_normal(n), slope, corner=60.0)
    return noise / rms(noise)


def shape_spectrum(y, slope, *, corner=500.0):
    """Tilt a spectrum by `slope` dB per octave above `corner` Hz."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(y), 1 / SAMPLE_RATE), corner) / corner)
    return np.fft.irfft(np.fft.rfft(y) * 10 ** (slope * octaves / 20), len(y))


def rms(y):
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(y))))


def colour_voice(y, rule, rng):
    """Give a signal its voice quality: brilliance, laryngealisation and breath.

    Parameters
    ----------
    y : ndarray, shape (n,)
    rule : Rule
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n,)
    """
    y = shape_spectrum(y, rule.tilt)
    drift = gaussian_filter1d(rng.standard_normal(len(y)), 0.02 * SAMPLE_RATE, mode="wrap")
    cycles = np.cumsum(rng.uniform(30, 50) * 2 ** (0.3 * drift / drift.std())) / SAMPLE_RATE
    y = y * (1 - rule.rough / 100 * (0.5 + 0.5 * np.sin(2 * np.pi * cycles)))
    return y + rule.breath / 100 * envelope(y) * coloured(len(y), 3.0, rng)


def record(y, clip, loudness):
    """Put a voice in front of a microphone: margins, level, the microphone's colour and noise.

    Parameters
    ----------
    y : ndarray, shape (n,)
    clip : Clip
    loudness : float
        dB relative to a neutral delivery.

    Returns
    -------
    ndarray, shape (m,)
        Never above `PEAK`.
    """
    rng = generator(f"record {clip.name}")
    y = np.pad(y, (rng.uniform(0.03, 0.07, 2) * SAMPLE_RATE).astype(int))
    y = shape_spectrum(y, generator(f"microphone {clip.voice}").normal(0, 0.5))
    y = y / rms(y) * 10 ** ((LEVEL + loudness) / 20)
    y = y + 10 ** (FLOOR / 20) * coloured(len(y), -1.0, rng)
    if rng.random() < NOISE_CHANCE:
        snr = rng.uniform(*NOISE_SNR)
        y = y + rms(y) * 10 ** (-snr / 20) * coloured(len(y), rng.uniform(-6, 0), rng)
    return y * min(1.0, PEAK / np.abs(y).max())


def render(clip):
    """Make one clip.

    Parameters
    ----------
    clip : Clip

    Returns
    -------
    ndarray of int16, shape (n,)
        Signal at 16 kHz.

    Raises
    ------
    EspeakError
        When espeak-ng is missing or fails.
    """
    rng = generator(f"sound {clip.name}")
    rule, voice = expression(clip), VOICES[clip.voice]
    text = SENTENCES[clip.sentence].replace(".", ENDINGS.get(clip.emotion, "."))
    y = speak(text, voice, rule)
    y = warp(y, formant_factor(voice, rule), rule, rng)
    y = resample_poly(y, 320, 441)  # 22050 to 16000 Hz
    y = record(colour_voice(y, rule, rng), clip, rule.loudness)
    return np.round(y * 32767).astype("<i2")


def write_wav(path, pcm):
    """Write 16-bit mono WAV, whole or not at all."""
    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm.tobytes())


def make(output, *, voices=None, verbose=1):
    """Write the clips of some voices.

    Parameters
    ----------
    output : path
        Folder in which train-custom/ and test-custom/ are.
    voices : iterable of str, optional
        Keys of `VOICES`; all of them by default.
    verbose : int, default=1
        0 shows no progress bar.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    EspeakError
        When espeak-ng is missing or fails.
    """
    paths = []
    for clip in tqdm(plan(voices), unit="clip", disable=not verbose):
        folder = Path(output) / VOICES[clip.voice].split
        pcm = render(clip)
        write_wav(folder / clip.name, pcm)
        paths.append(folder / clip.name)
    return paths


def parser():
    """Command line."""
    summary, commands = __doc__.split("\n\n")[:2]
    result = argparse.ArgumentParser(
        description=summary,
        epilog=f"examples:\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="folder for train-custom/ and test-custom/ (default: the one this script is in)",
    )
    result.add_argument(
        "--voices",
        nargs="+",
        metavar="VOICE",
        choices=list(VOICES),
        help=f"only these of {', '.join(VOICES)} (default: all)",
    )
    return result


def main(argv=None):
    """The command line; see the module's docstring."""
    options = parser().parse_args(argv)
    version = espeak_version()
    paths = make(options.output, voices=options.voices)
    size = sum(path.stat().st_size for path in paths) / 1e6
    print(f"{len(paths)} synthetic clips, {size:.1f} MB, espeak-ng {version}: {options.output}")


if __name__ == "__main__":
    sys.exit(guarded("make_custom.py", main))
