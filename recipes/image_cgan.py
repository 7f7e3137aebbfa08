"""A class-conditional DCGAN on handwritten digits: the starter model that comes with multigan.

    accelerate launch recipes/image_cgan.py

Both networks are told which digit they deal with, so that you can ask for one.

    accelerate launch recipes/image_cgan.py --dataset ../shared/data/cifar10 --model.shift 0.1
    multigan generate --modality image --label 3 --label 7 -n 20
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image",
    steps=1000,
    batch_size=64,
    objective="non_saturating",
    r1=1.0,
    model={
        "architecture": "dcgan",
        "conditional": True,
        "generator_width": 32,
        "discriminator_width": 32,
        "rotation": 10.0,
        "scaling": 0.1,
        "shift": 0.05,
    },
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
