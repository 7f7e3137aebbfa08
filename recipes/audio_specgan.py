"""Class-conditional SpecGAN on a drum kit.

    accelerate launch recipes/audio_specgan.py

DCGAN's networks generate a spectrogram, and the waveform is reconstructed from that (Donahue et al. 2019, as the
comparison to WaveGAN). On the built-in drums, at 8 kHz and half a second, it learns in minutes. The loss is the
relativistic one with both gradient penalties (Huang et al. 2024), as for pictures; the penalties have three times the
weight, because a spectrogram has more values than a small picture.

    accelerate launch recipes/audio_specgan.py --dataset FOLDER_OF_SOUNDS --model.length 8192
    accelerate launch recipes/audio_specgan.py --dataset FOLDER_OF_SOUNDS --model.sampling_rate 16000
    multigan generate --modality audio --label snare --label "open hat" -n 20
"""

import multigan
from multigan.cli import recipe

CONFIG = multigan.configure(
    "audio",
    steps=5000,
    sample_every=500,
    checkpoint_every=500,
    model={"architecture": "specgan", "conditional": True, "sampling_rate": 8000},
)

if __name__ == "__main__":
    recipe(CONFIG, __doc__)
