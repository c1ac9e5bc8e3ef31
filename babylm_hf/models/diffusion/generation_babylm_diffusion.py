"""Generation with a masked diffusion model: text from masks, or the masks of a text filled.

    model.generate(prompt_ids, max_new_tokens=32, sampler="ancestral", temperature=0.8, seed=0)
    model.infill(ids_with_masks, sampler="confidence", steps=4)

The samplers are in `sampling_babylm_diffusion.py`. Both files travel with the weights and need torch and transformers
only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from .sampling_babylm_diffusion import (
    Drafts,
    GenerationOptionError,
    SamplingOptions,
    checked_choice,
    mask_id_of,
    special_ids_of,
)


@dataclass
class DiffusionGenerationOutput(ModelOutput):
    """What was generated.

    Attributes:
        sequences: int64 `[N, T]`, prompt included; padding follows the end-of-text token.
        history: the drafts, int64 `[N, T]` each: the first as given, then one after each step. None unless asked for.
        steps: steps taken.
        forward_passes: how often the model was called; a step that reveals nothing does not call it.
    """

    sequences: Tensor | None = None
    history: tuple[Tensor, ...] | None = None
    steps: int | None = None
    forward_passes: int | None = None


class DiffusionGenerationMixin:
    """`generate` and `infill` for a masked language model called with `input_ids`, `attention_mask` and `mask_rate`.

    The mask rate shown to the model is the present share of masks among the tokens that are not special. A model
    whose `forward` has no `mask_rate` is called without.
    """

    config: Any

    def generate(
        self,
        input_ids: Any = None,
        *,
        max_new_tokens: int = 64,
        attention_mask: Tensor | None = None,
        num_return_sequences: int = 1,
        stop: str | None = None,
        eos_token_id: int | None = None,
        suppress_tokens: Sequence[int] = (),
        seed: int | None = None,
        generator: torch.Generator | None = None,
        return_dict: bool = False,
        return_history: bool = False,
        on_draft: Callable[[Tensor], None] | None = None,
        **sampling: Any,
    ) -> Any:
        """Continue a prompt, or write from nothing.

        Args:
            input_ids: prompts int64 `[B, P]` or `[P]`, kept as they are; the begin-of-text token without it.
            max_new_tokens: masks put after the prompt.
            attention_mask: of the prompts, for those padded on the left.
            num_return_sequences: drafts of each prompt; N = B times this.
            stop: "eos": the text ends at the first end-of-text token, padding follows; "length": that token is never
                drawn. By default "eos" where the configuration's list of special tokens leaves end-of-text out, which
                says that it was trained.
            eos_token_id: the end-of-text token if not the configuration's.
            suppress_tokens: ids never drawn. Special tokens never are, except end-of-text with stop="eos".
            seed, generator: of all draws; torch's own state without either.
            return_dict: return a `DiffusionGenerationOutput` instead of the sequences.
            return_history: the same, with all drafts.
            on_draft: called with each draft, int64 `[N, T]`, as it comes about.
            sampling: see `SamplingOptions`.

        Returns:
            int64 `[N, P + max_new_tokens]`, or a `DiffusionGenerationOutput`.

        Raises:
            GenerationOptionError: an option cannot work.
        """
        options = SamplingOptions.of(sampling)
        mask_id, device = mask_id_of(self.config), _device(self)
        eos = getattr(self.config, "eos_token_id", None) if eos_token_id is None else eos_token_id
        special = special_ids_of(self.config)
        if stop is None:
            stop = "length" if eos is None or eos in special else "eos"
        checked_choice("stop", stop, ("eos", "length"))
        if stop == "eos" and not isinstance(eos, int):
            raise GenerationOptionError('stop="eos" needs eos_token_id: the configuration names no end-of-text token')
        for name, value in (("max_new_tokens", max_new_tokens), ("num_return_sequences", num_return_sequences)):
            if value < 1:
                raise GenerationOptionError(f"{name} is {value}; it must be 1 or more")
        if input_ids is None:
            input_ids = [_first_id(self.config)]
        prompt = _rows(input_ids, device)
        attention = torch.ones_like(prompt) if attention_mask is None else _rows(attention_mask, device)
        if attention.shape != prompt.shape or not bool(attention[:, -1].all()):
            raise GenerationOptionError("attention_mask must have the shape of input_ids, with padding on the left")
        if bool((prompt == mask_id).any()):
            raise GenerationOptionError("the prompt holds mask tokens; use infill to fill them")
        new = prompt.new_full((len(prompt), max_new_tokens), mask_id)
        canvas = torch.cat([prompt, new], 1).repeat_interleave(num_return_sequences, 0)
        attention = torch.cat([attention, torch.ones_like(new)], 1).repeat_interleave(num_return_sequences, 0)
        suppressed = (special - {eos} if stop == "eos" else special | _ids(eos)) | set(suppress_tokens)
        run = Drafts(self, canvas, attention, options, suppressed, _generator(seed, generator))
        run.eos = eos if stop == "eos" else None
        return _finished(run, return_dict, return_history, on_draft)

    def infill(
        self,
        input_ids: Any,
        *,
        attention_mask: Tensor | None = None,
        num_return_sequences: int = 1,
        suppress_tokens: Sequence[int] = (),
        seed: int | None = None,
        generator: torch.Generator | None = None,
        return_dict: bool = False,
        return_history: bool = False,
        on_draft: Callable[[Tensor], None] | None = None,
        **sampling: Any,
    ) -> Any:
        """Fill the mask tokens of texts; everything else stays. Arguments, result and errors as of `generate`."""
        options = SamplingOptions.of(sampling)
        canvas = _rows(input_ids, _device(self)).repeat_interleave(num_return_sequences, 0)
        if not bool((canvas == mask_id_of(self.config)).any()):
            raise GenerationOptionError("there is no mask token to fill in input_ids")
        attention = torch.ones_like(canvas)
        if attention_mask is not None:
            attention = _rows(attention_mask, canvas.device).repeat_interleave(num_return_sequences, 0)
        end = _ids(getattr(self.config, "eos_token_id", None))  # a gap lies within the text
        suppressed = special_ids_of(self.config) | end | set(suppress_tokens)
        run = Drafts(self, canvas, attention, options, suppressed, _generator(seed, generator))
        return _finished(run, return_dict, return_history, on_draft)


def _finished(run: Drafts, return_dict: bool, return_history: bool, on_draft: Callable[[Tensor], None] | None) -> Any:
    """Run all steps without gradients or dropout."""
    history = [run.ids.clone()]
    modes = [(module, module.training) for module in run.model.modules()]
    run.model.eval()
    try:
        with torch.no_grad():
            if on_draft is not None:
                on_draft(history[0])
            for draft in run.steps_taken():
                if return_history:
                    history.append(draft)
                if on_draft is not None:
                    on_draft(draft)
    finally:
        for module, mode in modes:
            module.training = mode
    if not (return_dict or return_history):
        return run.ids
    return DiffusionGenerationOutput(
        sequences=run.ids,
        history=tuple(history) if return_history else None,
        steps=run.steps,
        forward_passes=run.forward_passes,
    )


def _first_id(config: Any) -> int:
    for role in ("bos", "cls"):
        if isinstance(getattr(config, f"{role}_token_id", None), int):
            return int(getattr(config, f"{role}_token_id"))
    raise GenerationOptionError("give input_ids: the configuration has no bos_token_id to begin a text with")


def _generator(seed: int | None, generator: torch.Generator | None) -> torch.Generator | None:
    if seed is not None and generator is not None:
        raise GenerationOptionError("give a seed or a generator, not both")
    return generator if seed is None else torch.Generator().manual_seed(seed)


def _ids(token: Any) -> set[int]:
    return {token} if isinstance(token, int) else set()


def _device(model: Any) -> torch.device:
    device: torch.device = next(model.parameters()).device
    return device


def _rows(ids: Any, device: torch.device) -> Tensor:
    """Ids as int64 `[B, T]` on the model's device."""
    rows = torch.as_tensor(ids, dtype=torch.long, device=device)
    rows = rows[None] if rows.dim() == 1 else rows
    if rows.dim() != 2 or rows.numel() == 0:
        raise GenerationOptionError(f"input_ids must have the shape [B, T] with T > 0, not {list(rows.shape)}")
    return rows
