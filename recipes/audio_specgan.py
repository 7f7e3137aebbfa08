"""Class-conditional SpecGAN on a drum kit.

    accelerate launch recipes/audio_specgan.py

DCGAN's networks generate a spectrogram, and the waveform is reconstructed from that (Donahue et al. 2019, as the
comparison to WaveGAN). On the built-in drums, at 8 kHz and half a second, it learns in minutes. The loss is the
relativistic one with both gradient penalties (Huang et al. 2024), as for pictures. The penalties have ten times the
weight, because a spectrogram has eight times the values of a small picture.

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
