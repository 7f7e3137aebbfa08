"""Pictures of A into B and of B into A, without pairs: CycleGAN.

    accelerate launch recipes/image_cyclegan.py

Trains on digits, and on other digits in violet ink with an orange rim on cream paper, until each can be made of the
other: both directions are one model. No digit is in both. Takes eight minutes on one core.

    multigan generate --model runs/NAME --input digit.png
    multigan generate --model runs/NAME --input styled.png --direction BA
    accelerate launch recipes/image_cyclegan.py --dataset FOLDER_WITH_A_AND_B --model.resolution 128
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    steps=2000,
    sample_every=250,
    checkpoint_every=500,
    model={
        "task": "unpaired",
        "resolution": 32,
        "generator_width": 16,
        "blocks": 3,
        "patch_layers": 2,
    },
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
