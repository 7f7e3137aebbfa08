"""Pictures from label maps: SPADE, also known as GauGAN.

    accelerate launch recipes/image_spade.py

Trains on synthetic facades with exact label maps: sky, wall, windows, doors and what else a house has. The
discriminators see two scales, and the generator is also held to their features. Noise decides what the map leaves
open, so a map has several answers. Takes eight minutes on one core.

    multigan generate --model runs/NAME --input map.png -n 4
    accelerate launch recipes/image_spade.py --dataset FOLDER_WITH_MAPS_AND_PICTURES --model.resolution 128
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    steps=1500,
    sample_every=250,
    checkpoint_every=500,
    model={
        "task": "labels",
        "latent_dim": 32,
        "generator_width": 8,
        "patch_layers": 2,
        "scales": 2,
        "l1": 0.0,
        "features": 10.0,
    },
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
