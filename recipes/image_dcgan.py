"""DCGAN on handwritten digits.

    accelerate launch recipes/image_dcgan.py

Trains convolutional networks (Radford et al. 2016) on the 1,797 digits that come with scikit-learn, scaled to 32 x 32,
with the non-saturating loss and the R1 penalty. Takes three minutes on one core: strokes after 500 of the 2,000 steps,
and most digits readable at the end. The pictures are in the run folder's samples/.

    accelerate launch recipes/image_dcgan.py --dataset FOLDER_OF_PICTURES --model.resolution 64 --steps 20000
    multigan generate --modality image -n 16
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image",
    steps=2000,
    batch_size=64,
    objective="non_saturating",
    r1=0.3,
    r2=0.0,
    generator_learning_rate=5e-4,
    discriminator_learning_rate=5e-4,
    model={"architecture": "dcgan", "generator_width": 32, "discriminator_width": 32},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
