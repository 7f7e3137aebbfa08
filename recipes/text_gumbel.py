r"""Sentences by maximum likelihood, then adversarial training: the recipe of the text starter model.

    accelerate launch recipes/text_gumbel.py

The data is the built-in grammar, whose true distribution is known. First an LSTM is pretrained to continue real
sentences (3,000 steps of maximum likelihood, as in recipes/text_mle.py). Then it trains against convolutions over
several embeddings of the words (after RelGAN, Nie et al. 2019), with the relativistic loss and both gradient penalties;
Gumbel-softmax lets gradients pass the choice of words. The share of grammatical sentences stays, and their variety
grows a little; more steps make it worse. A few thousand captions need less pretraining:

    accelerate launch recipes/text_gumbel.py --dataset captions.txt --model.length null \
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
