"""A vocoder: recorded sound again from its log-mel spectrogram.

    accelerate launch recipes/audio_vocoder.py --dataset FOLDER_OF_RECORDINGS

Trains on pieces of half a second (8,192 samples at 16 kHz), first with the difference of mel spectrograms alone, then
also against discriminators of periods and of spectrograms (as HiFi-GAN, Kong et al. 2020). The generator predicts
magnitudes, continues phases from frame to frame, and ends in an inverse short-time Fourier transform (as Vocos, Siuzdak
2023). Takes half an hour on one core. Without a dataset it trains on the built-in drums.

    multigan generate --model runs/NAME --input speech.wav
    multigan generate --model runs/NAME --input mel.npy
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "vocoder",
    pretraining_steps=6000,
    steps=1400,
    sample_every=500,
    checkpoint_every=500,
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
