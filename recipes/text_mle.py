r"""Sentences by maximum likelihood alone: the baseline that a text GAN has to beat.

    accelerate launch recipes/text_mle.py

The warm-up of recipes/text_gumbel.py, and no game after it. Each word is learned as the continuation of the words
before, of real sentences. Sampled at several temperatures it trades quality for variety, and a GAN is worth its trouble
where it lies above that curve: benchmarks/text_quality.py draws it.

    accelerate launch recipes/text_mle.py --dataset ../shared/data/image_coco/train.txt --model.length null \
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
