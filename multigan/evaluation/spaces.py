"""Feature spaces: where samples are compared. A distance between samples means what its space sees in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from multigan.errors import UserError, first_line

Extract = Callable[[Tensor], Tensor]
ToOutputs = Callable[[Tensor], list[Any]]


@dataclass(frozen=True)
class Space:
    """Where samples are compared.

    Attributes:
        name: As it was asked for.
        extract: Samples ``(B, *S)`` -> features ``(B, F)``.
        stamp: What another needs to measure in the same space: plain values.
        ours: Whether the features are of any size, and are brought to one for the kernel distance.
        last: Features ``(B, F)`` -> logits ``(B, classes)``, where there is a classifier.
        own_classes: Whether those classes are the dataset's own.
    """

    name: str
    extract: Extract
    stamp: dict[str, Any]
    ours: bool = True
    last: nn.Module | None = None
    own_classes: bool = False


def plain() -> Space:
    """The numbers of a sample themselves: for points, not for pictures."""
    return Space("samples", lambda samples: samples.flatten(1), {"features": "samples"})


PCA_COMPONENTS, PCA_SIDE = 20, 8


def pca(samples: Tensor) -> Space:
    """Principal components of real samples, a space that was trained on no labels.

    Samples of shape ``(C, H, W)`` are averaged over boxes to 8 x 8 first; others are flattened.

    Args:
        samples: ``(N, *S)``, real training samples.
    """

    def flat(batch: Tensor) -> Tensor:
        if batch.dim() == 4:
            batch = nn.functional.adaptive_avg_pool2d(batch.float(), PCA_SIDE)
        return batch.flatten(1).double().cpu()

    numbers = flat(samples)
    mean = numbers.mean(0)
    directions = torch.linalg.svd(numbers - mean, full_matrices=False).Vh[:PCA_COMPONENTS]
    # The sign of a component is arbitrary; its largest entry is made positive.
    places = directions.abs().argmax(1, keepdim=True)
    directions = directions * directions.gather(1, places).sign()
    digest = hashlib.sha256(directions.float().numpy().tobytes()).hexdigest()[:16]
    stamp = {"features": "pca", "weights": digest, "components": len(directions)}
    if samples.dim() == 4:
        stamp["resize"] = f"{PCA_SIDE} x {PCA_SIDE}, box average"
    return Space("pca", lambda batch: (flat(batch) - mean) @ directions.T, stamp)


def untrained(build: Callable[[], nn.Module], device: torch.device) -> Space:
    """A feature network of random weights, the same every time.

    It knows no labels and nothing of the data; random convolutions tell samples apart by texture and shape well enough
    to rank generators of one dataset. Naeem et al. 2020, arXiv:2002.09797, section 4.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build().eval().requires_grad_(False)
    network.to(device)
    return Space("random", network, {"features": "random", "weights": weights_hash(network)})


def inception(to_outputs: ToOutputs, device: torch.device) -> Space:
    """The features of the literature's FID and KID: the pool of Inception v3, 2,048 numbers.

    By torch-fidelity, whose weights and whose resizing to 299 x 299 are those of the first implementation.

    Args:
        to_outputs: Samples ``(B, *S)`` -> pictures.
        device: Where it runs.

    Raises:
        UserError: torch-fidelity is not installed, or the weights cannot be fetched.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise UserError("the features inception need torch-fidelity: pip install 'multigan[inception]'") from error
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).eval().to(device)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the weights of Inception cannot be fetched ({first_line(error)}); offline, use --features "
            "classifier, random, or the folder of an encoder"
        ) from error

    def extract(samples: Tensor) -> Tensor:
        pictures = [numpy.asarray(picture.convert("RGB")) for picture in to_outputs(samples.cpu())]
        (features,) = network(torch.from_numpy(numpy.stack(pictures)).permute(0, 3, 1, 2).to(device))
        return features  # type: ignore[no-any-return]

    stamp = {
        "features": "inception",
        "weights": weights_hash(network),
        "resize": "299 x 299, as TensorFlow 1 does it",
        "torch_fidelity": version("torch-fidelity"),
    }
    # The score is of its logits without their offsets, as in the first implementation.
    classes, features = network.fc.weight.shape
    last = nn.Linear(features, classes, bias=False, device=device).requires_grad_(False)
    last.weight.copy_(network.fc.weight)
    return Space("inception", extract, stamp, ours=False, last=last)


def encoder(name: str, example: Any, to_outputs: ToOutputs, device: torch.device) -> Space:
    """An encoder of `transformers` for pictures, sounds or sentences, with the preparation that it comes with.

    The features are its pooled output; where it has none, the mean of its last layer over places (or tokens).

    Args:
        name: On the hub, or a folder.
        example: What ``to_outputs`` gives for a sample.
        to_outputs: Samples ``(B, *S)`` -> what people see: pictures, arrays with a sampling rate, or sentences.
        device: Where it runs.

    Raises:
        UserError: It cannot be had, or takes something else.
    """
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoModel, AutoTokenizer

    prepare: Any
    kind = "text" if isinstance(example, str) else "audio" if isinstance(example, dict) else "image"
    loader: Any = {"text": AutoTokenizer, "audio": AutoFeatureExtractor, "image": AutoImageProcessor}[kind]
    try:
        prepare = loader.from_pretrained(name, trust_remote_code=False)
        load: Any = AutoModel.from_pretrained
        network, loading = load(name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        raise UserError(f"no encoder {name!r} of {kind} to be had: {first_line(error)}") from error
    if kind == "text" and prepare.pad_token is None:
        prepare.pad_token = prepare.eos_token
    network.eval().requires_grad_(False).to(device)
    # Weights that are missing have been made up: of a pooler, random numbers.
    has_pooler = not any("pooler" in str(key) for key in loading["missing_keys"])
    forward = getattr(network, f"get_{kind}_features", network)  # of a model for pictures and text, that half

    def extract(samples: Tensor) -> Tensor:
        inputs = INPUTS[kind](prepare, to_outputs(samples.cpu())).to(device)
        return pooled(forward(**inputs), inputs.get("attention_mask"), has_pooler).float()

    try:
        with torch.no_grad():
            pooled(forward(**INPUTS[kind](prepare, [example]).to(device)), None, has_pooler)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(f"the encoder {name!r} does not take {kind} alone: {first_line(error)}") from error
    settings = prepare.init_kwargs if kind == "text" else prepare.to_dict()
    shown = {key: str(settings[key]) for key in ("size", "resample", "sampling_rate") if settings.get(key) is not None}
    return Space(
        name,
        extract,
        {
            "features": name,
            "weights": weights_hash(network, loading["missing_keys"]),
            "preparation": hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16],
            "transformers": version("transformers"),
            **shown,
        },
        ours=False,
    )


def sounds(prepare: Any, made: list[dict[str, Any]]) -> Any:
    """Sounds at the rate that an encoder was made for, its channels mixed."""
    from torchaudio.functional import resample

    rate = prepare.sampling_rate
    waves = [torch.as_tensor(one["array"]).float() for one in made]
    waves = [wave.mean(0) if wave.dim() == 2 else wave for wave in waves]  # (2, T), of stereo
    waves = [resample(wave, one["sampling_rate"], rate) for wave, one in zip(waves, made, strict=True)]
    return prepare([wave.numpy() for wave in waves], sampling_rate=rate, return_tensors="pt", padding=True)


INPUTS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "text": lambda prepare, made: prepare(made, return_tensors="pt", padding=True, truncation=True),
    "audio": sounds,
    "image": lambda prepare, made: prepare([one.convert("RGB") for one in made], return_tensors="pt"),
}


def pooled(output: Any, mask: Tensor | None, has_pooler: bool) -> Tensor:
    """What a model says of each input, ``(B, F)``."""
    if isinstance(output, Tensor):
        return output
    if has_pooler and getattr(output, "pooler_output", None) is not None:
        return output.pooler_output.flatten(1)  # type: ignore[no-any-return]
    hidden: Tensor = output.last_hidden_state
    if hidden.dim() == 4:  # (B, C, H, W), of a convolutional network
        return hidden.mean((2, 3))
    if mask is None or mask.shape != hidden.shape[:2]:
        return hidden.mean(1)
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)


def weights_hash(network: nn.Module, without: Iterable[str] = ()) -> str:
    """Of all weights and buffers, but for some: the same in the same space."""
    left_out = set(without)
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if name in left_out:
            continue
        digest.update(name.encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
