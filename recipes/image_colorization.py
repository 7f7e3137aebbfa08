"""Colours for grey pictures: a U-Net and a discriminator of patches.

    accelerate launch recipes/image_colorization.py

Trains on crops of the two photographs that come with scikit-learn, a temple and a flower, without their right
quarters. The discriminator sees the grey picture beside the colours, and the generator is also held to the true
colours (L1). Takes five minutes on one core.

    multigan generate --model runs/NAME --input photo.jpg
    accelerate launch recipes/image_colorization.py --dataset FOLDER_OF_PICTURES --model.resolution 128
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    steps=1500,
    sample_every=250,
    checkpoint_every=500,
    model={"task": "colorize"},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
