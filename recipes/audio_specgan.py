"""SpecGAN, told the class, on a drum kit: it made the starter model that comes with multigan.

    accelerate launch recipes/audio_specgan.py

A sound as a picture: the networks of DCGAN make a spectrogram, and Griffin and Lim's algorithm finds the wave to it
(Donahue et al. 2019, as the comparison to WaveGAN). On the built-in drums, at 8 kHz and half a second, it learns in
minutes; WaveGAN had no variety after 25. The relativistic loss with both gradient penalties (Huang et al. 2024), as for
pictures; the penalties weigh ten times as much, because a spectrogram has eight times the numbers of a small picture.

    accelerate launch recipes/audio_specgan.py --dataset FOLDER_OF_SOUNDS --model.length 8192
    multigan generate --modality audio --label snare --label "open hat" -n 20
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "audio",
    steps=5000,
    batch_size=32,
    sample_every=500,
    checkpoint_every=500,
    objective="relativistic",
    r1=3.0,
    r2=3.0,
    generator_learning_rate=5e-4,
    discriminator_learning_rate=5e-4,
    model={
        "architecture": "specgan",
        "conditional": True,
        "sampling_rate": 8000,
        "latent_dim": 64,
        "generator_width": 16,
        "discriminator_width": 16,
    },
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
