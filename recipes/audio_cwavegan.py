"""Class-conditional WaveGAN on a drum kit, with the loss that trained fastest on one CPU core.

    accelerate launch recipes/audio_cwavegan.py

The networks of WaveGAN (Donahue et al. 2019), both conditioned on the drum. In place of the Wasserstein loss and its
five critic steps: the relativistic loss with both gradient penalties (Huang et al. 2024) and one discriminator step.
Phase shuffle stays; without it the result was worse after the same time. Takes twenty minutes on one core. A
classifier can then tell the drums apart, but all snares sound nearly the same. SpecGAN does better.

    accelerate launch recipes/audio_cwavegan.py --dataset FOLDER_OF_SOUNDS --model.length 8192
    multigan generate --modality audio --label kick -n 8
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "audio",
    steps=2000,
    batch_size=32,
    sample_every=500,
    checkpoint_every=500,
    objective="relativistic",
    r1=0.3,
    r2=0.3,
    generator_learning_rate=1e-3,
    discriminator_learning_rate=1e-3,
    model={
        "architecture": "wavegan",
        "conditional": True,
        "sampling_rate": 8000,
        "generator_width": 16,
        "discriminator_width": 16,
    },
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
