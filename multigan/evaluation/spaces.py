"""Feature spaces, in which samples are compared."""

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

PCA_COMPONENTS, PCA_SIDE = 20, 8
PCA_VALUES = 4096  # per sample: the decomposition of more takes minutes and gigabytes

Extract = Callable[[Tensor], Tensor]
ToOutputs = Callable[[Tensor], list[Any]]


@dataclass(frozen=True)
class Space:
    """A feature space.

    Attributes:
        name: The name the user gave.
        extract: Samples ``(B, *S)`` -> features ``(B, F)``.
        stamp: What identifies the space, for the report: plain values.
        ours: Whether the network is not pretrained: the scale of its features is arbitrary, and the kernel distance
            normalizes it.
        last: The classifier's last layer, features ``(B, F)`` -> logits ``(B, classes)``; None without a classifier.
        own_classes: Whether those classes are the dataset's own.
    """

    name: str
    extract: Extract
    stamp: dict[str, Any]
    ours: bool = True
    last: nn.Module | None = None
    own_classes: bool = False


def plain() -> Space:
    """The values of a sample themselves: for points, not for pictures."""
    return Space("samples", lambda samples: samples.flatten(1), {"features": "samples"})


def pca(blocks: Iterable[Tensor]) -> Space:
    """Principal components of real samples: a space without labels.

    Samples of shape ``(C, H, W)`` are averaged over boxes to 8 x 8 first; others are flattened.

    Args:
        blocks: Real training samples, in blocks ``(B, *S)``.

    Raises:
        UserError: Samples have too many values.
    """
    resized = False

    def flat(batch: Tensor) -> Tensor:
        if batch.dim() == 4:
            batch = nn.functional.adaptive_avg_pool2d(batch.float(), PCA_SIDE)
        return batch.flatten(1).double().cpu()

    parts = []
    for block in blocks:
        resized = block.dim() == 4
        part = flat(block)
        if part.shape[1] > PCA_VALUES:
            raise UserError(
                f"a sample has {part.shape[1]:,} values: expected at most {PCA_VALUES:,} for the features pca; use "
                "--features random or samples"
            )
        parts.append(part)
    numbers = torch.cat(parts)
    mean = numbers.mean(0)
    directions = torch.linalg.svd(numbers - mean, full_matrices=False).Vh[:PCA_COMPONENTS]
    # The sign of a component is arbitrary; its largest entry is made positive.
    places = directions.abs().argmax(1, keepdim=True)
    directions = directions * directions.gather(1, places).sign()
    digest = hashlib.sha256(directions.float().numpy().tobytes()).hexdigest()[:16]
    stamp = {"features": "pca", "weights": digest, "components": len(directions)}
    if resized:
        stamp["resize"] = f"{PCA_SIDE} x {PCA_SIDE}, box average"
    return Space("pca", lambda batch: (flat(batch) - mean) @ directions.T, stamp)


def untrained(build: Callable[[], nn.Module], device: torch.device) -> Space:
    """A feature network with random weights, the same every time.

    It knows neither labels nor data, but random convolutions see enough of texture and shape to rank generators of one
    dataset. Naeem et al. 2020, arXiv:2002.09797, section 4.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build().eval().requires_grad_(False)
    network.to(device)
    return Space("random", network, {"features": "random", "weights": weights_hash(network)})


def inception(to_outputs: ToOutputs, device: torch.device) -> Space:
    """The features of the literature's FID and KID: Inception v3's pooling layer, 2,048 values.

    From torch-fidelity, with the weights and the resizing to 299 x 299 of the original implementation.

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
            f"cannot download the weights of Inception ({first_line(error)}); offline, use --features "
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
    # The Inception score uses logits without biases, as in the original implementation.
    classes, features = network.fc.weight.shape
    last = nn.Linear(features, classes, bias=False, device=device).requires_grad_(False)
    last.weight.copy_(network.fc.weight)
    return Space("inception", extract, stamp, ours=False, last=last)


def encoder(name: str, example: Any, to_outputs: ToOutputs, device: torch.device) -> Space:
    """An encoder of `transformers` for pictures, sounds or sentences, with its own preprocessing.

    The features are its pooled output or, without one, the mean of its last layer over positions.

    Args:
        name: Hub id, or a folder.
        example: One output of ``to_outputs``.
        to_outputs: Samples ``(B, *S)`` -> pictures, arrays with a sampling rate, or sentences.
        device: Where it runs.

    Raises:
        UserError: It cannot be loaded, or takes other inputs.
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
        raise UserError(f"cannot load an encoder {name!r} for {kind}: {first_line(error)}") from error
    if kind == "text" and prepare.pad_token is None:
        prepare.pad_token = prepare.eos_token
    network.eval().requires_grad_(False).to(device)
    # Missing weights are initialized at random, those of a pooler too.
    has_pooler = not any("pooler" in str(key) for key in loading["missing_keys"])
    forward = getattr(
        network, f"get_{kind}_features", network
    )  # of a model for pictures and text, the half for this kind

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
    """Inputs of an audio encoder: mono, at its sampling rate."""
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
    """Features of each input, ``(B, F)``."""
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
    """A hash of all weights and buffers but those named."""
    left_out = set(without)
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if name in left_out:
            continue
        digest.update(name.encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
