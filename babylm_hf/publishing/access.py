"""Who we are on the Hub and what we may do there; the Hub's refusals in sentences that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BabyLMError, OptionError, PublishError
from .retry import is_passing, status_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_TOKENS = "https://huggingface.co/settings/tokens"


def check_name(repo_id: str) -> None:
    """Raise OptionError if the Hub would not take the name of a repository."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise OptionError(f"{repo_id!r} is no name for a repository (namespace/name): {reason}") from None


def full_name(api: HfApi, repo_id: str) -> str:
    """The repository with its namespace, after a look at the token: whose it is, and whether it may write there.

    Raises:
        PublishError: there is no token, it is not valid (any more), or it gives no right to write.
    """
    from huggingface_hub.errors import LocalTokenNotFoundError

    try:
        account = api.whoami()
    except LocalTokenNotFoundError:
        raise PublishError(
            f"there is no access token for the Hub; make one with the right to write at {_TOKENS}, "
            "then run `hf auth login` or set HF_TOKEN"
        ) from None
    except Exception as error:
        if status_of(error) in (401, 403):
            raise _refused_token() from error
        raise
    token = (account.get("auth") or {}).get("accessToken") or {}
    if token.get("role") == "read":
        raise PublishError(f"the access token of {account['name']} may only read; make one that may write at {_TOKENS}")
    namespace, _, name = repo_id.rpartition("/")
    members = [account["name"], *(group["name"] for group in account.get("orgs") or [])]
    if namespace and namespace not in members:
        raise PublishError(
            f"{account['name']} is not a member of {namespace} on the Hub; publish to "
            f"{account['name']}/{name}, or join the organisation"
        )
    return f"{namespace or account['name']}/{name}"


def prepare_repository(api: HfApi, repo_id: str, private: bool) -> None:
    """Make the repository, or open one that is there if `private` is False; one that is open is not closed.

    Raises:
        PublishError: the token gives no right to do so.
    """
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if not private and api.repo_info(repo_id).private:
            api.update_repo_settings(repo_id, private=False)
    except Exception as error:
        if status_of(error) in (401, 403, 404):
            raise PublishError(
                f"the Hub does not let this token write to {repo_id} ({status_of(error)}); "
                f"give it that right at {_TOKENS}, or choose another --repo-id"
            ) from error
        raise


def explain(error: Exception, repo_id: str) -> Exception:
    """An error of the client as a sentence that says what to do; our own errors as they are."""
    if isinstance(error, BabyLMError):
        return error
    status = status_of(error)
    if status == 401:
        return _refused_token()
    if status == 403:
        return PublishError(f"the Hub does not let this token write to {repo_id} (403); see {_TOKENS}")
    if status == 404:
        return PublishError(f"{repo_id} or the branch is gone from the Hub (404)")
    if is_passing(error):
        what = f"answers {status}" if status else "cannot be reached"
        return PublishError(f"the Hub {what}; try again later")
    text = " ".join(str(error).split()) or type(error).__name__
    return PublishError(f"{type(error).__name__}{f' ({status})' if status else ''}: {text}")


def _refused_token() -> PublishError:
    return PublishError(
        f"the Hub refuses the access token: it is not valid, or has expired; make a new one at {_TOKENS}, "
        "then run `hf auth login` or set HF_TOKEN"
    )
