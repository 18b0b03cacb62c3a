"""Write tests/golden_vectors.npz: what every feature makes of some synthetic sounds, by version.

    python tests/make_golden_vectors.py

Vectors are cached by the versions that `features.REGISTRY` and `feature_cache` declare. So a test
compares these vectors with what the code makes now: where they differ, a version must be raised,
and this script run again.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import augmentation
import feature_cache
import features as ft
from audio import load_audio

PATH = Path(__file__).resolve().parent / "golden_vectors.npz"
SOUND, EVERY = "sound", 40  # of whose samples, one in that many is kept


def noise(n):
    """Samples between -1 and 1 that depend on no generator of random numbers."""
    return 2 * np.mod(43758.5453 * np.sin(12.9898 * np.arange(n)), 1) - 1


def speech(sr, hz=140):
    """Two gliding vowels and a hiss with pauses between them, 1.3 s, in stereo."""
    time = np.arange(round(0.4 * sr)) / sr
    phase = 2 * np.pi * hz * (time + 0.3 * time**2)
    vowels = [
        sum(np.cos(k * phase + k) / k**tilt for k in range(1, 20)) * np.sin(np.pi * time / 0.4)
        for tilt in (1, 1.8)
    ]
    pause = np.zeros(round(0.15 * sr))
    y = np.concatenate([vowels[0], pause, 0.5 * noise(round(0.2 * sr)), pause, vowels[1]])
    y = 0.05 * y + 0.001 * noise(len(y) + 1)[1:]
    return np.column_stack([y, 0.5 * y]).astype(np.float32)


def sounds():
    """What models are trained on: a clip as it is, a noisy copy, a copy at another speed: dict."""
    y = load_audio(speech(44_100), orig_sr=44_100)
    exact = speech(16_000, hz=230)[:, 0]  # not resampled: its last bits choose the noise
    return {
        "clip": y,
        "noisy": augmentation.noisy_copy(load_audio(exact, orig_sr=16_000), 1),
        "faster": augmentation.at_speed(y, 1.14),
    }


def vectors():
    """Feature and sound to the vector, and "sound" and sound to some samples: dict."""
    found = {}
    for title, y in sounds().items():
        found[f"{SOUND} {title}"] = y[::EVERY]
        for name in ft.REGISTRY:
            found[f"{name} {title}"] = ft.extract(y, features=[name])
    return found


def versions():
    """Feature, or "sound", to the version that is declared: dict."""
    return {SOUND: feature_cache.VERSION} | {n: record.version for n, record in ft.REGISTRY.items()}


def main():
    """Write the file."""
    np.savez_compressed(
        PATH, versions=np.array([f"{n} {v}" for n, v in versions().items()]), **vectors()
    )
    print(f"{PATH}: {PATH.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
