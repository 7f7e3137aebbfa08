"""`multigan modalities`: what is installed, and where it comes from."""

import click


@click.command()
def modalities() -> None:
    """List the modalities installed, with the package that each comes from."""
    from multigan import registry

    listed = registry.installed()
    name_width = max((len(entry.name) for entry in listed), default=0)
    package_width = max((len(entry.package) for entry in listed), default=0)
    for entry in listed:
        state = "" if entry.error is None else f"  cannot be used: {entry.error}"
        click.echo(f"{entry.name:{name_width}}  {entry.package:{package_width}}  {entry.target}{state}")
