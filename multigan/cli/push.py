"""`multigan push`: a model to the Hugging Face Hub."""

from __future__ import annotations

import click


@click.command()
@click.argument("model")
@click.argument("repository")
@click.option("--modality", help="For a model of a modality that is not installed: package.module:Class.")
@click.option("--private", is_flag=True, help="A new repository can be seen by its owner alone.")
@click.option("--branch", help="Push to this branch, which is created if there is none.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead.")
@click.option("--commit-message", help="[default: Upload a generator]")
@click.option("--license", "license_name", help="What the card says, as the Hub spells it: mit, cc-by-4.0, ...")
def push(
    model: str,
    repository: str,
    modality: str | None,
    private: bool,
    branch: str | None,
    create_pr: bool,
    commit_message: str | None,
    license_name: str | None,
) -> None:
    """Push a model with its card to the Hub, from where anybody can load it.

    MODEL is a run folder, a model folder or a starter; REPOSITORY is OWNER/NAME. The token is that of HF_TOKEN, or of
    `hf auth login`.

    \b
    multigan push runs/digits me/digits --license mit
    multigan generate --model me/digits -n 16
    """
    from multigan.generation.generator import load

    generator = load(model, modality)
    if license_name is not None:
        generator.training = {**generator.training, "license": license_name}
    address = generator.push_to_hub(repository, private, branch, create_pr, commit_message)
    click.echo(f"pushed: {address}")
    if branch is None and not create_pr:
        click.echo(f"use it: multigan generate --model {repository}")
