"""Any picture in the style of one: fast style transfer.

    accelerate launch recipes/image_style.py

Trains on crops of the two photographs that come with scikit-learn, in the style of a built-in pattern, stained glass.
There is no discriminator to train against: the generator is held to the content of the photograph and to the style of
the pattern alone (Johnson et al. 2016). Takes about three minutes on one core.

    accelerate launch recipes/image_style.py --model.style_picture PICTURE
    multigan generate --model runs/NAME --input photo.jpg
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "image-to-image",
    pretraining_steps=1000,
    batch_size=4,
    sample_every=250,
    checkpoint_every=500,
    model={"task": "style", "generator_width": 16, "blocks": 3},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
