"""Pictures of A into pictures of B, from pairs: pix2pix.

    accelerate launch recipes/image_pix2pix.py

Trains on edges of the two photographs that come with scikit-learn, as a pen would draw them, and makes photographs of
them. Takes six minutes on one core. Your own pairs are two folders with equal names, pictures with both side by side,
or two columns of a table:

    accelerate launch recipes/image_pix2pix.py --dataset FOLDER_WITH_A_AND_B --model.resolution 128
    multigan generate --model runs/NAME --input drawing.png
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    steps=2000,
    sample_every=250,
    checkpoint_every=500,
    model={"task": "paired"},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
