"""Class-conditional GAN of waveforms on a drum kit.

    accelerate launch recipes/audio_istft.py

The generator ends in an inverse short-time Fourier transform, as vocoders do (Kaneko et al. 2022), and the
discriminator judges two spectrograms of the wave. Both know the drum. The loss is the relativistic one with both
gradient penalties (Huang et al. 2024), computed at the spectrograms. Takes about 23 minutes on one core: a classifier
tells the drums apart after the first. It is the recipe of the audio starter model.

    accelerate launch recipes/audio_istft.py --dataset FOLDER_OF_SOUNDS --model.length 8192
    accelerate launch recipes/audio_istft.py --dataset FOLDER_OF_SOUNDS --model.sampling_rate 22050
    multigan generate --modality audio --label kick -n 8
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "audio",
    steps=10_000,
    sample_every=500,
    checkpoint_every=2500,
    model={"architecture": "istft", "conditional": True, "sampling_rate": 8000, "latent_dim": 60},  # less than 3 MB
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
