"""The conformance suite: what every modality must pass, built-in and third-party ones.

    from multigan.testing import ModalityConformance

    class TestMine(ModalityConformance):
        modality = "mine"

Then run pytest. Everything happens on the CPU, in temporary folders, on the modality's built-in dataset.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from multigan import TrainingConfig, configure, load, registry
from multigan.config import plain, read
from multigan.data.cache import Cached, cached
from multigan.data.load import load as load_dataset
from multigan.engine.shell import as_output, represented
from multigan.errors import UserError
from multigan.export.check import draw
from multigan.generation.generator import TrainedGenerator
from multigan.interface import Condition, DiscriminatorOutput, GeneratorOutput, each_tensor, tensors_of
from multigan.modality import Modality
from multigan.training import run

SAVED = ("generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer")

CLOCK = ("seconds", "samples_per_second", "evaluation_seconds")


class ModalityConformance:
    """Subclass it, name the modality, and run pytest.

    Attributes:
        modality: The name that it is installed under, or ``package.module:Class``.
        model: Settings of its configuration to test with: small networks make it quick.
        training: Settings of the training configuration to test with.
        adversarial: False for a modality, or settings of one, without adversarial training.
        steps_in_two_processes: After so many, two processes are compared with one. Fewer for networks that make a
            rounding much larger in each step, in one process too.
    """

    modality: ClassVar[str]
    model: ClassVar[dict[str, Any]] = {}
    training: ClassVar[dict[str, Any]] = {}
    adversarial: ClassVar[bool] = True
    steps_in_two_processes: ClassVar[int] = 10

    batch = 16

    def config(self, **fields: Any) -> TrainingConfig:
        """A run of four small steps, or as the fields say."""
        small = {**self.length(4), "batch_size": self.batch, "log_every": 1, "sample_every": 4, "checkpoint_every": 2}
        return configure(self.modality, model=self.model, **{**small, "tracker": "none", **self.training, **fields})

    def length(self, steps: int) -> dict[str, int]:
        """Settings of a run of so many steps, which are of pretraining where nothing is adversarial."""
        return {"steps": steps} if self.adversarial else {"steps": 0, "pretraining_steps": steps}

    @pytest.fixture(scope="class")
    @classmethod
    def prepared(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        """The modality, fitted, and its encoded dataset; the cache in a folder of its own."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MULTIGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
            patch.setenv("ACCELERATE_USE_CPU", "true")
            config = cls().config()
            modality = registry.load(cls.modality)(config.model)
            assert modality.builtin_datasets, "a built-in dataset lets everybody try a modality at once"
            dataset = load_dataset(
                modality, config.dataset or "", config.subset, config.split, False, say=lambda note: None
            )
            assert isinstance(dataset, datasets.Dataset)
            yield modality, cached(dataset, modality, skip_corrupt=False)

    def inputs(self, modality: Modality, condition: Condition) -> list[Any] | None:
        """Conditions as a user would give them, as inputs that `Modality.read_input` takes under ``input``.

        For a modality that takes inputs: override it, so that generating from inputs is held to the same outputs. One
        that leaves it out is held to what it makes of conditions alone.
        """
        return None

    def other_sizes(self, modality: Modality) -> list[Any]:
        """Inputs of other sizes than the examples', for a modality that takes such. Default: none."""
        return []

    def pair(self, modality: Modality, data: Cached, count: int, seed: int = 0) -> tuple[Tensor, Condition]:
        """Real samples, and what the networks are told of them."""
        numbers = numpy.arange(count)
        if modality.unpaired:
            numbers = numpy.stack([numpy.flatnonzero(data.beside["domain"] == domain)[:count] for domain in (0, 1)], 1)
        flat = numbers.reshape(-1)
        read = data.read(flat, numpy.zeros(flat.shape))
        encoded = torch.from_numpy(read.reshape(*numbers.shape, *read.shape[1:]))
        beside = {} if modality.unpaired else {name: values[:count] for name, values in data.beside.items()}
        if modality.conditional and data.label is not None:
            beside["label"] = data.label[:count]
        uniform = torch.rand(count, modality.pair_numbers, generator=torch.Generator().manual_seed(seed))
        arrays = {name: torch.from_numpy(numpy.array(values)) for name, values in beside.items()}
        return modality.to_pair(encoded, arrays, uniform.to(torch.get_default_dtype()))

    def samples(
        self, modality: Modality, data: Cached, seed: int = 0
    ) -> tuple[Tensor, Tensor, Condition, tuple[Any, ...]]:
        """Real samples, latents, a condition, and what the discriminator takes beside samples, one batch of each."""
        real, condition = self.pair(modality, data, self.batch, seed)
        latent = torch.randn(self.batch, modality.config.latent_dim, generator=torch.Generator().manual_seed(seed))
        count = getattr(modality.discriminator(), "random_numbers", 0)
        numbers = torch.rand(self.batch, count, generator=torch.Generator().manual_seed(seed))
        beside = (condition, numbers) if count else (condition,)
        return real, latent, condition, beside

    def generated(self, generator: TrainedGenerator, data: Cached, n: int, seed: int) -> Tensor:
        """Samples of a trained generator: where it takes inputs, of the first examples, in turn."""
        if not generator.modality.takes_inputs:
            return torch.cat(list(generator.batches(n, seed)))
        _, condition = self.pair(generator.modality, data, self.batch)

        def conditions_of(numbers: range) -> Condition:
            return each_tensor(condition, lambda values: values[[number % self.batch for number in numbers]])

        return torch.cat(list(generator.batches(n, seed, conditions_of=conditions_of)))

    def test_config_is_a_frozen_dataclass_of_plain_values(self, prepared: Any) -> None:
        config: Any = prepared[0].config
        assert dataclasses.is_dataclass(prepared[0].Config) and isinstance(config.latent_dim, int)
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.latent_dim = 1
        values = json.loads(json.dumps(plain(config)))
        build: Any = prepared[0].Config
        restored = build(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
        assert restored == config, "the configuration must survive JSON: it is saved beside the weights"

    def test_networks_agree_with_the_data(self, prepared: Any) -> None:
        modality, data = prepared
        real, latent, condition, beside = self.samples(modality, data)
        fake, discriminator = modality.generator()(latent, condition), modality.discriminator()
        assert real.is_floating_point() and fake.shape == real.shape, "generated samples are shaped as real ones"
        real_output, fake_output = (judged(discriminator, samples, *beside) for samples in (real, fake))
        assert real_output.heads, "a discriminator has one head at least"
        for one, other in zip(real_output.heads, fake_output.heads, strict=True):
            assert one.shape == other.shape and len(one) == self.batch, "logits of each sample: (B,), or (B, ...)"
        for one, other in zip(real_output.features, fake_output.features, strict=True):
            assert one.shape == other.shape and len(one) == self.batch, "features of each sample: (B, ...)"
        assert torch.isfinite(fake).all()

    def test_logits_are_not_squashed(self, prepared: Any) -> None:
        modality, data = prepared
        real, _, _, beside = self.samples(modality, data)
        discriminator = modality.discriminator()
        with torch.no_grad():
            for weight in discriminator.parameters():
                weight.mul_(10)
            heads = judged(discriminator, real * 10, *beside).heads
        for logits in heads:
            assert logits.abs().max() > 1, "the discriminator returns raw logits, with no sigmoid"

    def test_gradients_reach_every_weight(self, prepared: Any) -> None:
        modality, data = prepared
        real, latent, condition, beside = self.samples(modality, data)
        generator, discriminator = modality.generator(), modality.discriminator()
        outputs = [judged(discriminator, one, *beside) for one in (generator(latent, condition), real)]
        heads = zip(*(output.heads for output in outputs), strict=True)
        total: Any = sum(sum(logits).square().sum() for logits in heads)
        total.backward()
        for player, network in (("generator", generator), ("discriminator", discriminator)):
            missed = [name for name, weight in network.named_parameters() if weight.grad is None]
            assert not missed, f"no gradient reaches {missed} of the {player}: processes would wait for it for ever"

    def test_networks_draw_no_random_numbers(self, prepared: Any) -> None:
        modality, data = prepared
        real, latent, condition, beside = self.samples(modality, data)
        generator, discriminator = modality.generator(), modality.discriminator()
        seen = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            seen.append((generator(latent, condition), *judged(discriminator, real, *beside).heads))
        assert all(map(torch.equal, *seen))

    def test_generated_samples_do_not_depend_on_their_neighbours(self, prepared: Any) -> None:
        modality, data = prepared
        _, latent, condition, _ = self.samples(modality, data)
        generator = modality.generator()
        generator(latent, condition)  # running statistics other than the initial ones
        generator.eval()
        modality.apply_options(generator, modality.Options())
        with torch.no_grad():
            together = generator(latent, condition)
            alone = torch.cat([generator(latent[i : i + 1], row(condition, i)) for i in range(3)])
        torch.testing.assert_close(together[:3], alone, rtol=1e-4, atol=1e-5)

    def test_augmentation_is_decided_for_each_sample(self, prepared: Any) -> None:
        modality, data = prepared
        real, _, _, _ = self.samples(modality, data)
        augmentation = modality.augmentation()
        if augmentation is None:
            return
        numbers = torch.rand(self.batch, augmentation.numbers, generator=torch.Generator().manual_seed(0))
        augmented = augmentation.apply(real.requires_grad_(), numbers)
        assert augmented.shape == real.shape
        (gradient,) = torch.autograd.grad(augmented.sum(), real)
        assert torch.isfinite(gradient).all()
        torch.testing.assert_close(augmentation.apply(real[:2], numbers[:2]), augmented[:2])

    def test_representation_is_of_each_sample(self, prepared: Any) -> None:
        modality, data = prepared
        real, _, _, _ = self.samples(modality, data)
        discriminator = modality.discriminator()
        represent = getattr(discriminator, "represent", None)
        if represent is None:
            return
        found = represent(real.requires_grad_())
        (gradient,) = torch.autograd.grad(found.sum(), real)
        assert torch.isfinite(gradient).all(), "the generator learns through it"
        torch.testing.assert_close(represent(real[:2]), found[:2])
        with torch.no_grad():
            before = represent(real[:2])
            for weight in discriminator.parameters():
                weight.add_(1)
            assert torch.equal(represent(real[:2]), before), "weights in it would not be trained"

    def test_files_are_written_batch_by_batch(self, prepared: Any, tmp_path: Path) -> None:
        modality, data = prepared
        real, _, _, _ = self.samples(modality, data)
        assert modality.finish is None or not modality.takes_inputs, "what takes inputs is not finished"
        if modality.finish is not None:
            finished = modality.finish(real)
            torch.testing.assert_close(modality.finish(real[:2]), finished[:2])
            real = modality.to_finished(torch.from_numpy(data.read(numpy.arange(len(real)), numpy.zeros(len(real)))))
            assert real.shape == finished.shape, "they are compared with each other"
        files = modality.save(iter([real[:3], real[3:5]]), tmp_path)
        assert files and all(file.stat().st_size for file in files)
        previews, artifacts = modality.preview(real, tmp_path / "preview")
        assert previews and all(file.name.startswith("preview") and file.stat().st_size for file in previews)
        assert all(isinstance(artifact, str) for artifact in artifacts)
        assert modality.preview(real[:4], tmp_path / "named", ["one", "other", "one", "other"]).files
        (tmp_path / "labelled").mkdir()
        assert modality.save(iter([real[:2]]), tmp_path / "labelled", ["one", "other"])
        assert len(modality.to_outputs(real[:5])) == 5

    def test_trains_saves_and_generates_without_the_dataset(
        self, prepared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = run.train(self.config(output=str(tmp_path / "run")))
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "note" not in line] == [1, 2, 3, 4]
        assert list((folder / "samples").iterdir())
        monkeypatch.setattr(registry.load(self.modality), "builtin_datasets", {})
        generator = load(folder, self.modality)
        assert generator.name == self.modality
        _, data = prepared
        many, few = (self.generated(generator, data, n, seed=3) for n in (40, 5))
        assert torch.equal(many[:5], few), "sample i depends on the seed and i alone"
        if generator.modality.config.latent_dim:
            assert not torch.equal(self.generated(generator, data, 5, seed=4), few)
        saved = load(generator.save(tmp_path / "copy"), self.modality)
        assert torch.equal(self.generated(saved, data, 5, seed=3), few)
        assert isinstance(saved, TrainedGenerator) and saved.training == generator.training

    def test_the_generator_is_a_function_of_tensors(self, prepared: Any) -> None:
        """For `multigan export`, which traces it; that takes seconds and libraries, and is left to the command."""
        modality, _ = prepared
        generator = modality.generator().eval().requires_grad_(False)
        modality.apply_options(generator, modality.Options())
        try:
            what = modality.exportable(generator)
        except UserError:
            return  # it says why not
        inputs, compute = draw(what, 3, seed=0), what.reference or what.module
        with torch.no_grad():
            made, alone = compute(*inputs), compute(*(one[:1] for one in inputs))
        for got, axis in zip(made.shape[1:], what.output.shape, strict=True):
            assert got == axis or isinstance(axis, str), "outputs are shaped as described"
        assert made.dtype == getattr(torch, what.output.type)
        low, high = what.output.low, what.output.high
        assert (low is None or made.min() >= low) and (high is None or made.max() <= high), "outputs are in their range"
        assert alone.shape[1:] == made.shape[1:] and len(alone) == 1 and len(made) == 3, "the first axis is the batch"

    def test_samples_are_of_the_default_type(self, prepared: Any) -> None:
        modality, data = prepared
        with double_precision():
            real, condition = self.pair(modality, data, 2)
        assert real.dtype == torch.float64, "samples are of torch.get_default_dtype()"
        for told in tensors_of(condition):
            assert not told.is_floating_point() or told.dtype == torch.float64, "and so are conditions"

    # --- modalities with inputs ---

    def test_what_networks_are_told_depends_on_the_row_and_its_numbers(self, prepared: Any) -> None:
        modality, data = prepared
        real, condition = self.pair(modality, data, self.batch)
        assert all(len(told) == self.batch for told in tensors_of(condition)), "the first axis is the batch"
        torch.manual_seed(1)
        again, told_again = self.pair(modality, data, self.batch)
        assert torch.equal(real, again), "nothing else may be random than the numbers"
        assert all(map(torch.equal, tensors_of(condition), tensors_of(told_again)))

    def test_another_input_gives_another_output(self, prepared: Any) -> None:
        modality, data = prepared
        if not modality.takes_inputs:
            return
        _, latent, condition, _ = self.samples(modality, data)
        generator = modality.generator().eval()
        modality.apply_options(generator, modality.Options())
        with torch.no_grad():
            first = generator(latent[:1], row(condition, 0))
            others = [generator(latent[:1], row(condition, i)) for i in range(1, self.batch)]
        assert any(not torch.allclose(first, other) for other in others), "the generator does not use its input"

    def test_inputs_and_truths_can_be_shown(self, prepared: Any, tmp_path: Path) -> None:
        modality, data = prepared
        if not modality.takes_inputs:
            return
        real, _, condition, _ = self.samples(modality, data)
        trivial = modality.trivial_output(condition)
        assert trivial is None or trivial.shape == real.shape, "a trivial output is shaped as a sample"
        for name, truth in (("truth", real), ("alone", None)):
            files, artifacts = modality.preview_pairs(condition, real, truth, tmp_path / name)
            assert files and all(file.name.startswith(name) and file.stat().st_size for file in files)
            assert all(isinstance(artifact, str) for artifact in artifacts)

    def test_inputs_can_be_made_by_hand(self, prepared: Any) -> None:
        modality, _ = prepared
        tools = modality.input_tools()
        if tools is None:
            return
        options = {field.name for field in dataclasses.fields(modality.Options)}
        assert {*([tools.mask] if tools.mask else []), *tools.without} <= options, "these are no options"
        if tools.palette:
            from multigan.playground.explorer import painted

            classes = [[column % len(tools.palette) for column in range(tools.sides[1])]] * tools.sides[0]
            generator = TrainedGenerator(self.modality, modality, modality.generator().eval().requires_grad_(False))
            ((_, output),) = generator.from_inputs([painted(classes, tools)])
            assert len(output) == 1 and torch.isfinite(output).all()

    def test_further_losses_are_finite_scalars_with_gradients(self, prepared: Any) -> None:
        modality, data = prepared
        real, latent, condition, beside = self.samples(modality, data)
        generator, discriminator = modality.generator(), modality.discriminator()
        fake = generator(latent, condition)
        losses = modality.generator_loss(
            GeneratorOutput(
                generator,
                latent,
                condition,
                real,
                fake,
                judged(discriminator, fake, *beside),
                lambda: judged(discriminator, real, *beside),
            )
        )
        for name, loss in losses.items():
            assert loss.shape == () and torch.isfinite(loss) and loss.requires_grad, name

    def test_generates_from_inputs(self, prepared: Any) -> None:
        modality, data = prepared
        if not modality.takes_inputs:
            return
        _, _, condition, _ = self.samples(modality, data)
        generator = TrainedGenerator(self.modality, modality, modality.generator().eval().requires_grad_(False))
        inputs = self.inputs(modality, condition)
        if inputs is not None:
            outputs = list(generator.from_inputs(inputs[:4], seed=3))
            for place, (told, output) in enumerate(outputs):
                ((_, alone),) = generator.from_inputs(inputs[place : place + 1], seed=3)
                assert torch.equal(alone, output), "an output depends on its input and the seed alone"
                for one, other in zip(tensors_of(told), tensors_of(row(condition, place)), strict=True):
                    assert one.shape == other.shape and one.dtype == other.dtype
                    assert float((one.double() - other.double()).abs().max()) < 0.05, "an input is what to_pair tells"
            assert len(generator.generate(inputs=inputs[:2])) == 2
        for one in self.other_sizes(modality):
            ((told, output),) = generator.from_inputs([one])
            assert len(output) == 1 and torch.isfinite(output).all(), one
            trivial = modality.trivial_output(told)
            assert trivial is None or trivial.shape == output.shape

    def test_resumed_equals_uninterrupted(self, prepared: Any, tmp_path: Path) -> None:
        whole, part = train_whole_and_in_parts(self.config(), tmp_path)
        assert_same_run(whole, part)

    def test_two_processes_are_one_and_resume_as_one(self, prepared: Any, tmp_path: Path) -> None:
        """In double precision, where rounding cannot hide anything: 1e-12 after some steps of the whole game."""
        half = self.steps_in_two_processes // 2
        often = {"checkpoint_every": half, "sample_every": 2 * half}
        config = self.config(**self.length(2 * half), **often, batch_size=2 * self.batch)
        with double_precision():
            one = run.train(dataclasses.replace(config, output=str(tmp_path / "one")))
        train_in_two_processes(config, tmp_path)
        two, part = tmp_path / "whole", tmp_path / "part"
        for name in SAVED:
            difference = relative_difference(checkpoint_of(one, name), checkpoint_of(two, name))
            assert difference <= 1e-12, f"{name} of two processes is {difference:.1e} off that of one"
        assert_same_run(two, part)


def judged(discriminator: nn.Module, samples: Tensor, *beside: Any) -> DiscriminatorOutput:
    """What a discriminator says of samples."""
    return as_output(discriminator(represented(discriminator, samples), *beside))


def row(condition: Condition, number: int) -> Condition:
    """What is told of one sample, as a batch of one."""
    return each_tensor(condition, lambda values: values[number : number + 1])


def train_whole_and_in_parts(config: TrainingConfig, room: Path) -> tuple[Path, Path]:
    """The folders of one run done at once, and of the same stopped at its first checkpoint and resumed."""
    whole = run.train(dataclasses.replace(config, output=str(room / "whole")))
    config = dataclasses.replace(config, learning_rate_steps=read(whole, config.modality).learning_rate_steps)
    few = max(config.checkpoint_every - config.pretraining_steps, 0)
    length = (few, config.pretraining_steps) if config.steps else (0, config.checkpoint_every)
    first = dataclasses.replace(config, output=str(room / "part"), steps=length[0], pretraining_steps=length[1])
    part = run.train(first)
    run.train(dataclasses.replace(config, resume=str(part)))
    return whole, part


def train_in_two_processes(config: TrainingConfig, room: Path) -> None:
    """Do as `train_whole_and_in_parts`, in double precision, in two processes that are launched for it."""
    (room / "config.json").write_text(json.dumps(plain(config)))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [*launch, "-m", "multigan.testing", str(room)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@contextmanager
def double_precision() -> Iterator[None]:
    """Networks, samples and random numbers in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def checkpoint_of(folder: Path, name: str) -> dict[str, Tensor]:
    """One file of the last checkpoint of a run."""
    last = max((folder / "checkpoints").glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    return load_file(last / f"{name}.safetensors")


def relative_difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The length of the difference of all tensors together, as a share of their length."""
    assert first.keys() == second.keys()
    difference, length = (
        sum(float(tensor.double().square().sum()) for tensor in tensors)
        for tensors in ([first[name] - second[name] for name in first], first.values())
    )
    return float((difference / length) ** 0.5) if length else 0.0


def assert_same_run(first: Path, second: Path) -> None:
    """The last checkpoints and the metrics of two runs are the same to the last bit, but for what the clock says."""
    for name in SAVED:
        one, other = checkpoint_of(first, name), checkpoint_of(second, name)
        assert one.keys() == other.keys()
        wrong = [key for key in one if not torch.equal(one[key], other[key])]
        assert not wrong, f"{name} differs in {wrong[0]}"
    lines = [
        [
            {key: value for key, value in json.loads(line).items() if key not in CLOCK}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
            if "note" not in json.loads(line)
        ]
        for folder in (first, second)
    ]
    assert lines[0] == lines[1], "the metrics differ"


if __name__ == "__main__":  # one of the two processes
    room = Path(sys.argv[1])
    with double_precision():
        train_whole_and_in_parts(configure(**json.loads((room / "config.json").read_text())), room)
