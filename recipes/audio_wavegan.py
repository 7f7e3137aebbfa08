r"""WaveGAN as published, on a drum kit.

    accelerate launch recipes/audio_wavegan.py

Transposed convolutions generate raw waveforms (Donahue et al. 2019): 25 taps, each layer four times as long as the
one before, phase shuffle, the Wasserstein loss with gradient penalty, and five critic steps per generator step. It is
faithful and slow: the paper trained for days on a GPU. The networks are smaller here, for half a second at 8 kHz;
recipes/audio_istft.py and recipes/audio_specgan.py learn faster. The paper's own size, for a GPU:

    accelerate launch recipes/audio_wavegan.py --dataset FOLDER --model.sampling_rate 16000 --model.length 16384 \
        --model.generator_width 64 --model.discriminator_width 64 --model.post_filter 512 --steps 200000
    multigan generate --modality audio -n 16
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "audio",
    steps=3000,
    batch_size=64,
    objective="wasserstein",
    r1=0.0,
    r2=0.0,
    wgan_gp=10.0,
    discriminator_steps=5,
    generator_learning_rate=1e-4,
    discriminator_learning_rate=1e-4,
    betas=(0.5, 0.9),
    model={
        "architecture": "wavegan",
        "sampling_rate": 8000,
        "latent_dim": 100,
        "generator_width": 16,
        "discriminator_width": 16,
    },
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
