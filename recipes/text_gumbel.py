r"""Sentences: an LSTM that is taught by likelihood and then plays, its gradients past the words by Gumbel-softmax.

    accelerate launch recipes/text_gumbel.py

On the built-in grammar, whose truth is known, it made the starter model that comes with multigan. First the generator
learns to continue real sentences (3,000 steps of maximum likelihood, as recipes/text_mle.py does alone); then it plays
against filters over several embeddings of the words (after RelGAN, Nie et al. 2019) with the relativistic loss and both
gradient penalties. As many sentences are right then as by likelihood alone, and the choices in them are a little freer;
more steps do harm. On captions, of which there are few, likelihood is done sooner:

    accelerate launch recipes/text_gumbel.py --dataset ../shared/data/image_coco/train.txt --model.length null \
        --pretraining_steps 700 --steps 310 --generator_learning_rate 2e-4 --discriminator_learning_rate 2e-4 \
        --model.schedule constant
    multigan generate --modality text -n 20 --prefix "the old"
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "text",
    pretraining_steps=3000,
    steps=1000,
    batch_size=64,
    pretraining_learning_rate=2e-3,
    objective="relativistic",
    r1=0.1,
    r2=0.1,
    generator_learning_rate=3e-4,
    discriminator_learning_rate=3e-4,
    model={"length": 27},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
