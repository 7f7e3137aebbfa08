r"""Sentences by maximum likelihood alone: the baseline that a text GAN has to beat.

    accelerate launch recipes/text_mle.py

This is the pretraining of recipes/text_gumbel.py without adversarial training: the LSTM learns to continue real
sentences. Sampling at several temperatures trades quality for variety, and a GAN is worth its cost where it lies above
that curve. benchmarks/text_quality.py draws it.

    accelerate launch recipes/text_mle.py --dataset captions.txt --model.length null \
        --pretraining_steps 700
    multigan generate --modality text -n 20 --temperature 0.8
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "text",
    pretraining_steps=3000,
    steps=0,
    batch_size=64,
    pretraining_learning_rate=2e-3,
    model={"length": 27},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
