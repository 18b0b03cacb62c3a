"""The old name of `speech_features`."""

from checks import moved

__getattr__ = moved(
    __name__,
    {
        "speech_features": "ACTIVE COLUMNS CONTEXT FACTS FEATURES FLOOR HARMONIC HOP N_BANDS "
        "N_CEPSTRA N_FLUXES N_GROUPS N_HARMONICS OCTAVE_COST PITCH_RANGE PITCH_WINDOW RATES "
        "ROLLOFFS SHARES SHORTEST_RUN SLOPES SUMS VOICED Voice=SpeechFrames WINDOW delta "
        "mel_filters rasta"
    },
)
