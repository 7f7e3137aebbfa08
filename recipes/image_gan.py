"""The original GAN, fully connected, on handwritten digits.

    accelerate launch recipes/image_gan.py

Trains the networks of Goodfellow et al. 2014 on the 1,797 digits that come with scikit-learn, scaled to 32 x 32. Takes
two minutes on one core; expect digits with ragged edges, because these networks do not know which pixels are
neighbours. The loss is the relativistic one with both gradient penalties: the paper's own (--objective non_saturating
--r2 0) gave less variety. Learning rates are lower than the defaults, at which these networks nearly collapse at first.

    accelerate launch recipes/image_gan.py --dataset ylecun/mnist --steps 10000
    multigan generate --modality image -n 16
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image",
    steps=3000,
    batch_size=64,
    objective="relativistic",
    r1=1.0,
    r2=1.0,
    penalty_every=1,
    generator_learning_rate=5e-4,
    discriminator_learning_rate=5e-4,
    betas=(0.5, 0.99),
    learning_rate_schedule="constant",
    ema_decay=0.999,
    model={"architecture": "mlp", "generator_width": 128, "discriminator_width": 128},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
