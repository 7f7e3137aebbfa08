"""Models on the Hugging Face Hub: fetched and pushed, with errors of one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from multigan.errors import UserError


def fetch(
    name: str,
    files: Sequence[str],
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a model of the Hub, from the cache if it is there and as new.

    Args:
        name: ``owner/name``.
        files: What of it is fetched.
        revision: A branch, tag or commit; None is the main branch.
        token: Of an account that may read it; None is that of ``HF_TOKEN``, or of ``hf auth login``.
        cache_dir: Where it is kept; None is the cache of huggingface_hub.
        local_files_only: Whether nothing may be fetched.

    Raises:
        UserError: It cannot be fetched.
    """
    from huggingface_hub import snapshot_download

    with hub_errors(name, revision, f"no run or model {name!r}: not a folder here, and not found on the Hub"):
        return Path(
            snapshot_download(
                name,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                allow_patterns=list(files),
            )
        )


def push(
    folder: Path,
    name: str,
    private: bool = False,
    branch: str | None = None,
    create_pr: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a model folder; the repository is created if there is none.

    Args:
        folder: The model.
        name: ``owner/name``.
        private: Whether a new repository can be seen by its owner alone.
        branch: Created if there is none; None is the main branch.
        create_pr: Whether a pull request against the main branch is opened instead.
        message: What the commit says.
        token: Of an account that may write it; None is that of ``HF_TOKEN``, or of ``hf auth login``.

    Returns:
        The address of the repository, the branch or the pull request.

    Raises:
        UserError: It cannot be pushed.
    """
    from huggingface_hub import HfApi

    if create_pr and branch is not None:
        raise UserError("a pull request is against the main branch: leave out the branch, or the pull request")
    api = HfApi(token=token)
    with hub_errors(name, branch, f"the Hub has no repository {name}"):
        address = str(api.create_repo(name, private=private, exist_ok=True))
        if branch is not None:
            api.create_branch(name, branch=branch, exist_ok=True)
        done = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            revision=branch,
            create_pr=create_pr,
            commit_message=message or "Upload a generator",
        )
    return done.pr_url or (address if branch is None else f"{address}/tree/{branch}")


@contextmanager
def hub_errors(name: str, revision: str | None, not_found: str) -> Iterator[None]:
    """Errors of the Hub's library as UserError, in one line."""
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{name} on the Hub has no revision {revision!r}: expected a branch, tag or commit") from error
    except errors.GatedRepoError as error:
        raise UserError(f"{name} on the Hub is gated: accept its terms there, and give a token (HF_TOKEN)") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(f"{not_found}, where a private one needs a token (HF_TOKEN)") from error
    except errors.LocalEntryNotFoundError as error:
        raise UserError(f"{not_found}: it is not in the cache, and the Hub cannot be reached") from error
    except errors.HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise UserError(
                f"the Hub refuses access to {name} ({error.response.status_code}): give a token with that permission "
                "(HF_TOKEN, or `hf auth login`)"
            ) from error
        raise UserError(f"{name} on the Hub: {' '.join((error.server_message or str(error)).split())}") from error
    except httpx.HTTPError as error:
        raise UserError(f"{name}: the Hub cannot be reached ({' '.join(str(error).split())})") from error
    except (errors.HFValidationError, OSError, ValueError) as error:
        raise UserError(f"{name} on the Hub: {' '.join(str(error).split())}") from error
