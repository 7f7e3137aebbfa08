"""The original GAN, fully connected, on handwritten digits.

    accelerate launch recipes/image_gan.py

Trains the networks of Goodfellow et al. 2014 on the 1,797 digits that come with scikit-learn, scaled to 32 x 32. Takes
two minutes on one core; expect digits with ragged edges, because these networks do not know which pixels are
neighbours. The settings are the defaults of `multigan train image`: the paper's own loss (--objective non_saturating
--r2 0) gave less variety.

    accelerate launch recipes/image_gan.py --dataset ylecun/mnist --steps 10000
    multigan generate --modality image -n 16
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image",
    steps=3000,
    model={"architecture": "mlp", "generator_width": 128, "discriminator_width": 128},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
