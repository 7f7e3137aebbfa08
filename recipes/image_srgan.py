"""Pictures of four times the side: SRGAN.

    accelerate launch recipes/image_srgan.py

Trains on crops of the two photographs that come with scikit-learn: first with the mean absolute difference alone
(Ledig et al. 2017 call that network SRResNet), then against a discriminator, which brings back texture. Takes
five minutes on one core.

    multigan generate --model runs/NAME --input photo.jpg
    accelerate launch recipes/image_srgan.py --model.factor 2 --dataset FOLDER_OF_PICTURES --model.load_size 512
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    steps=1500,
    sample_every=250,
    checkpoint_every=500,
    model={"task": "enlarge", "factor": 4, "blocks": 4, "patch_layers": 2},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
