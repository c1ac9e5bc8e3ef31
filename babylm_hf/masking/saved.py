"""The masking of a run on disk: what is needed to ask it, later and elsewhere, which tokens it would mask.

`record/masking.json` has the options and where the run stands, `record/masking.safetensors` the counts of the corpus
and the policy's state. Both are small, and rewritten whole.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import MaskingArguments
from ..errors import RunFolderError
from .collator import MaskingCollator
from .factory import collator_of, rate_of
from .noise import NoiseRate

FACTS, ARRAYS = "masking.json", "masking.safetensors"


@dataclass(frozen=True)
class SavedMasking:
    """The masking of a run as it was when last saved.

    Attributes:
        collator: with its policy's state.
        step: optimizer steps done.
        pass_index: 0-based pass of the next step.
        total_steps: of the run.
        token_counts: occurrences of each id in the corpus, `[V]`.
    """

    collator: MaskingCollator
    step: int
    pass_index: int
    total_steps: int
    token_counts: npt.NDArray[np.int64]


def save_masking(
    folder: Path, options: MaskingArguments, collator: MaskingCollator, token_counts: npt.ArrayLike, **where: Any
) -> None:
    """Write both files; a reader never sees half of one.

    Args:
        folder: `OUTPUT_DIR/record`.
        options: that the collator was made of.
        collator: with its policy as it is now.
        token_counts: `[V]`.
        where: `step`, `pass_index`, `total_steps`, and as for `collator_of` `seed`, `num_passes`, `batch_tokens`,
            `trained`.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    state = {f"policy.{name}": np.ascontiguousarray(values) for name, values in collator.policy.state().items()}
    state["token_counts"] = np.ascontiguousarray(token_counts, np.int64)
    if collator.policy.prior is not None:
        state["prior"] = collator.policy.prior
    arrays = save(state)
    # The prior's weights are kept, not the path to them: it may be gone, and it is nobody's business.
    plain = vars(options) | {"mask_prior": None}
    facts = json.dumps({"options": plain, "where": where}, indent=1, sort_keys=True) + "\n"
    for name, content in ((ARRAYS, arrays), (FACTS, facts.encode())):
        temporary = folder / f".{name}.partial"
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)


def saved_noise(folder: Path) -> tuple[NoiseRate, int]:
    """The noise schedule of a run of masked diffusion, and its number of optimizer steps; needs no tokenizer."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    rate = rate_of(MaskingArguments(**facts["options"]))
    assert isinstance(rate, NoiseRate), "the caller asks only for runs that have a noise schedule"
    return rate, int(facts["where"]["total_steps"])


def load_masking(folder: Path, tokenizer: Any) -> SavedMasking:
    """The collator of a run, as it was when last saved.

    Args:
        folder: `OUTPUT_DIR/record`.
        tokenizer: the run's.

    Raises:
        RunFolderError: nothing was saved there, or it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        arrays = load_file(folder / ARRAYS)
        options, where = MaskingArguments(**facts["options"]), facts["where"]
        counts, prior = arrays.pop("token_counts"), arrays.pop("prior", None)
    except FileNotFoundError as error:
        raise RunFolderError(
            f"{folder} holds no masking ({Path(error.filename or FACTS).name} is missing); name the folder of a run "
            "that a recipe made"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RunFolderError(f"the masking saved in {folder} cannot be read: {error}") from error
    made = {name: where[name] for name in ("seed", "num_passes", "batch_tokens", "trained")}
    collator = collator_of(options, tokenizer, token_counts=counts, **made)
    collator.total_steps = where["total_steps"]
    collator.policy.prior = prior
    collator.policy.load_state({name.removeprefix("policy."): values for name, values in arrays.items()})
    return SavedMasking(collator, where["step"], where["pass_index"], where["total_steps"], counts)
