"""DCGAN on handwritten digits.

    accelerate launch recipes/image_dcgan.py

Trains convolutional networks (Radford et al. 2016) on the 1,797 digits that come with scikit-learn, scaled to 32 x 32,
with the non-saturating loss and the other settings that `multigan train image` has by default: both gradient penalties,
high learning rates without momentum, which fall in the second half. Takes three to five minutes on one core: readable
digits after the first 1,500 of the 4,500 steps, most of them well-formed at the end. The pictures are in the run
folder's samples/.

    accelerate launch recipes/image_dcgan.py --dataset FOLDER_OF_PICTURES --model.resolution 64 --steps 20000
    multigan generate --modality image -n 16
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image",
    steps=4500,
    objective="non_saturating",
    sample_every=500,
    checkpoint_every=1500,
    model={"architecture": "dcgan", "generator_width": 32, "discriminator_width": 32},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
