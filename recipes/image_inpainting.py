"""Filling holes in pictures.

    accelerate launch recipes/image_inpainting.py

Trains on handwritten digits with a square hole of half the side, at a new place in each reading. Takes three minutes
on one core. In a picture of your own, what is transparent is filled, or what is white in another picture of that
size:

    multigan generate --model runs/NAME --input holes.png
    multigan generate --model runs/NAME --input photo.png --mask mask.png
    accelerate launch recipes/image_inpainting.py --dataset FOLDER_OF_PICTURES --model.holes strokes
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    steps=2000,
    batch_size=16,
    sample_every=250,
    checkpoint_every=500,
    model={"task": "inpaint", "resolution": 32, "patch_layers": 2},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
