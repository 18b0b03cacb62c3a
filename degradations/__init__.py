"""Old name of `augmentation`."""

from checks import moved

__getattr__ = moved(
    __name__,
    {
        "augmentation": "BABBLE CODECS DIRECT EARLIEST FRAME HEADROOM LINE LINE_RATE LOWEST NOISES"
        " N_TALKERS RATES RT60 SILENT SNR SPEEDS at_speed babble degraded=noisy_copy in_room mixed"
        " noise speech_power telephone",
        "parameters": "SAMPLE_RATE",
    },
)
