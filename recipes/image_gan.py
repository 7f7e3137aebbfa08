"""The first GAN, fully connected, on handwritten digits.

    accelerate launch recipes/image_gan.py

Trains the networks of Goodfellow et al. 2014, which know nothing of neighbouring pixels, on the 1,797 digits that come
with scikit-learn, scaled up to 32 x 32. A minute on a laptop's processor. Expect digits with ragged edges, and less
variety than from a DCGAN.

    accelerate launch recipes/image_gan.py --dataset ../shared/data/mnist --steps 10000
    multigan generate --modality image -n 16
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image",
    steps=2000,
    batch_size=64,
    objective="non_saturating",
    r1=1.0,
    model={"architecture": "gan", "generator_width": 128, "discriminator_width": 128},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
