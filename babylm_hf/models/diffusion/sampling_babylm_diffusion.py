"""The samplers of a masked diffusion model.

A draft starts with every new token masked and ends with none. Between the mask rates r_t > r_s of two steps a sampler
decides which masks become tokens; the model says which tokens. There are four samplers:

* `ancestral` (D3PM, Austin et al. 2021; MDLM, Sahoo et al. 2024): each mask is revealed with probability 1 - r_s / r_t.
* `confidence` (MaskGIT, Chang et al. 2022; LLaDA, Nie et al. 2025): the most confident share 1 - r_s / r_t of the
  masks of each row is revealed.
* `threshold` (Fast-dLLM, Wu et al. 2025): every mask with a prediction more probable than a threshold, at least one.
* `remasking` (ReMDM, Wang et al. 2025): ancestral, and a token may turn into a mask again.

Tokens are drawn with Gumbel noise in float64: in float32 it is cut off, which lowers the temperature and the variety
(Zheng et al. 2025). This file travels with the weights and needs torch and transformers only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

SAMPLERS = ("ancestral", "confidence", "threshold", "remasking")
CONFIDENCES = ("probability", "margin", "entropy", "random")
SCHEDULES = ("linear", "cosine", "cosine_squared", "maskgit")
REMASKINGS = ("cap", "rescale", "confidence")

_ROLES = ("bos", "eos", "pad", "cls", "sep", "unk", "mask")
_CHUNK = 1024  # positions whose distributions over the vocabulary are held in float64 at a time


class GenerationOptionError(ValueError):
    """An option of `generate` or `infill` cannot work; the message names it."""


@dataclass(frozen=True)
class SamplingOptions:
    """How masks become tokens.

    Attributes:
        sampler: "ancestral", "confidence", "threshold" or "remasking".
        steps: number of steps; as many as there are masks without it. For `threshold`, the most there may be.
        schedule: mask rates of the steps: "linear", "cosine" (1 - cos, many tokens early), "cosine_squared", "maskgit"
            (few tokens early), or the rates themselves, falling from 1 to 0.
        temperature: of the distribution tokens are drawn from; 0 takes the most probable.
        top_p: draw among the most probable tokens that make up this probability.
        confidence: for `confidence`: "probability" of the drawn token, "margin" between the two best, negative
            "entropy", or "random". All are of the distribution before temperature and top-p.
        threshold: for `threshold`.
        remasking: for `remasking`, the probability of turning back into a mask: min(eta, r_s / (1 - r_t)) with "cap",
            eta min(1, r_s / (1 - r_t)) with "rescale"; "confidence" shares that of "cap" out among the tokens by the
            softmax of minus the probability each had when it was revealed.
        eta: for `remasking`.
        block_length: fill this many masks after another, from left to right, each block in its share of the steps.
    """

    sampler: str = "ancestral"
    steps: int | None = None
    schedule: str | Sequence[float] = "linear"
    temperature: float = 1.0
    top_p: float = 1.0
    confidence: str = "probability"
    threshold: float = 0.9
    remasking: str = "cap"
    eta: float = 0.04
    block_length: int | None = None

    def __post_init__(self) -> None:
        checked_choice("sampler", self.sampler, SAMPLERS)
        checked_choice("confidence", self.confidence, CONFIDENCES)
        checked_choice("remasking", self.remasking, REMASKINGS)
        if isinstance(self.schedule, str):
            checked_choice("schedule", self.schedule, SCHEDULES)
        for name in ("steps", "block_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise GenerationOptionError(f"{name} is {value}; it must be 1 or more")
        if not 0 <= self.temperature < math.inf:
            raise GenerationOptionError(f"temperature is {self.temperature}; it must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise GenerationOptionError(f"top_p is {self.top_p}; it must lie in (0, 1]")
        for name in ("threshold", "eta"):
            if not 0 <= getattr(self, name) <= 1:
                raise GenerationOptionError(f"{name} is {getattr(self, name)}; it must lie in [0, 1]")

    @classmethod
    def of(cls, options: dict[str, Any]) -> SamplingOptions:
        """The options by name.

        Raises:
            GenerationOptionError: a name or value is wrong.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise GenerationOptionError(f"unknown generation option {unknown[0]!r}; sampling has {', '.join(names)}")
        return cls(**options)

    def rates(self, steps: int) -> list[float]:
        """The mask rates before the first and after each step, falling from 1 to 0."""
        if not isinstance(self.schedule, str):
            rates = [float(rate) for rate in self.schedule]
            falling = all(a >= b for a, b in pairwise(rates))
            if len(rates) < 2 or rates[0] != 1 or rates[-1] != 0 or not falling:
                raise GenerationOptionError("schedule must be a name, or mask rates that fall from 1 to 0")
            return rates
        left = [1 - i / steps for i in range(steps + 1)]
        curve: dict[str, Callable[[float], float]] = {
            "linear": lambda u: u,
            "cosine": lambda u: 1 - math.cos(math.pi / 2 * u),
            "cosine_squared": lambda u: math.sin(math.pi / 2 * u) ** 2,
            "maskgit": lambda u: math.sin(math.pi / 2 * u),
        }
        return [1.0, *(curve[self.schedule](u) for u in left[1:-1]), 0.0]


class Drafts:
    """The drafts of one call, and the steps that change them."""

    eos: int | None = None

    def __init__(
        self,
        model: Any,
        canvas: Tensor,
        attention: Tensor,
        options: SamplingOptions,
        suppressed: set[int],
        generator: torch.Generator | None,
    ) -> None:
        self.model, self.options, self.generator = model, options, generator
        self.ids, self.attention = canvas.clone(), attention
        self.mask_id = mask_id_of(model.config)
        special = torch.tensor(sorted(special_ids_of(model.config) - {self.mask_id}), device=canvas.device)
        self.region = canvas.eq(self.mask_id) & attention.bool()
        self.ordinary = (attention.bool() & ~torch.isin(canvas, special)).sum(1).clamp(min=1)
        self.window = self.region
        self.suppressed = torch.tensor(sorted(suppressed | {self.mask_id}), device=canvas.device)
        # Probability of each token when it was revealed, for remasking by confidence.
        self.revealed = torch.zeros(canvas.shape, dtype=torch.float64, device=canvas.device)
        self.steps = self.forward_passes = 0
        self.takes_rate = "mask_rate" in inspect.signature(model.forward).parameters

    def steps_taken(self) -> Iterator[Tensor]:
        """All steps; yields the draft after each."""
        order = self.region.long().cumsum(1) - 1
        longest = int(self.region.sum(1).max())
        size = self.options.block_length or longest
        blocks = math.ceil(longest / size)
        for block in range(blocks):
            self.window = self.region & (order // size == block)
            steps = math.ceil((self.options.steps or longest) / blocks)
            schedule = self.options.rates(steps) if self.options.sampler != "threshold" else [1.0] * steps + [0.0]
            for now, after in pairwise(schedule):
                if self.options.sampler != "remasking" and not bool(self.hidden().any()):
                    break
                if self.options.sampler == "threshold":
                    self.threshold(last=after == 0)
                elif now > after:
                    getattr(self, self.options.sampler)(now, after)
                self.steps += 1
                if self.options.sampler != "remasking":
                    self.end_texts()
                yield self.ids.clone()
        if self.options.sampler == "remasking" and self.end_texts():
            yield self.ids.clone()

    def hidden(self) -> Tensor:
        """The masks of the present block, bool `[N, T]`."""
        return self.ids.eq(self.mask_id) & self.window

    def ancestral(self, now: float, after: float) -> None:
        """Reveal each mask with probability 1 - after / now. Which ones does not depend on the model, so it is asked
        only about those."""
        hidden = self.hidden()
        chosen = hidden & (self.uniform(hidden.shape) < _share(now, after))
        tokens, _, probability = self.predict(chosen)
        self.reveal(chosen, tokens, probability)

    def confidence(self, now: float, after: float) -> None:
        """Reveal the most confident round(n (1 - after / now)) of the n masks of each row."""
        hidden = self.hidden()
        counts = (hidden.sum(1).double() * _share(now, after)).round().long()
        hidden &= counts[:, None] > 0
        tokens, scores, probability = self.predict(hidden)
        ranks = self.spread(hidden, scores, -math.inf).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        best = (ranks < counts[:, None])[hidden]
        self.reveal_some(hidden, best, tokens, probability)

    def threshold(self, last: bool) -> None:
        """Reveal what is more probable than the threshold, and the most probable of each row; at the last step all."""
        hidden = self.hidden()
        tokens, _, probability = self.predict(hidden)
        table = self.spread(hidden, probability, -1.0)
        best = torch.zeros_like(hidden).scatter_(1, table.argmax(1, keepdim=True), True)
        chosen = (table > self.options.threshold) | best | torch.full_like(hidden, last)
        self.reveal_some(hidden, chosen[hidden], tokens, probability)

    def remasking(self, now: float, after: float) -> None:
        """One step of ReMDM: tokens turn into masks with a probability s, masks into tokens with the probability
        ((1 - after) - (1 - s)(1 - now)) / now, which leaves the expected share of masks at `after`."""
        hidden = self.hidden()
        shown = self.window & ~hidden
        bound = after / (1 - now) if now < 1 else 1.0
        eta = self.options.eta
        back = eta * min(1.0, bound) if self.options.remasking == "rescale" else min(eta, bound)
        rates = torch.full_like(self.revealed, back)
        if self.options.remasking == "confidence":
            shares = torch.softmax(torch.where(shown, -self.revealed, -math.inf), 1).nan_to_num(0.0)
            rates = (back * shown.sum(1, keepdim=True) * shares).clamp(max=1.0)
        draws = self.uniform(hidden.shape)
        chosen = hidden & (draws < ((1 - after) - (1 - back) * (1 - now)) / now)
        tokens, _, probability = self.predict(chosen)
        self.reveal(chosen, tokens, probability)
        self.ids[shown & (draws < rates)] = self.mask_id

    def predict(self, where: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens drawn for M positions (bool `[N, T]`), their confidence and their probability, `[M]` each."""
        rows = where.any(1).nonzero().squeeze(1)
        if len(rows) == 0:
            empty = self.revealed.new_empty(0)
            return empty.long(), empty, empty
        inputs = {"input_ids": self.ids[rows], "attention_mask": self.attention[rows]}
        if self.takes_rate:
            inputs["mask_rate"] = (self.ids[rows].eq(self.mask_id).sum(1) / self.ordinary[rows]).float()
        self.forward_passes += 1
        logits = self.model(**inputs).logits[where[rows]]
        parts = [self.draw(chunk.double()) for chunk in logits.split(_CHUNK)]
        tokens, scores, probability = (torch.cat(part) for part in zip(*parts, strict=True))
        return tokens, scores, probability

    def draw(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token of each distribution, its confidence and its probability, from float64 logits `[M, V]`."""
        logits[:, self.suppressed] = -math.inf
        log_p = torch.log_softmax(logits, -1)
        if self.options.temperature == 0:
            tokens = log_p.argmax(-1)
        else:
            kept = _nucleus(torch.log_softmax(log_p / self.options.temperature, -1), self.options.top_p)
            # Gumbel-max: the argmax of log p - log(-log u) is a draw from p.
            tokens = (kept - torch.log(-torch.log(self.uniform(kept.shape).clamp(min=1e-300)))).argmax(-1)
        probability = log_p.gather(-1, tokens[:, None]).squeeze(-1).exp()
        measure = self.options.confidence
        if measure == "margin":
            best = log_p.exp().topk(2, -1).values
            return tokens, best[:, 0] - best[:, 1], probability
        if measure == "entropy":
            return tokens, (log_p.exp() * log_p.clamp(min=-1e9)).sum(-1), probability
        return tokens, self.uniform(tokens.shape) if measure == "random" else probability, probability

    def reveal(self, chosen: Tensor, tokens: Tensor, probability: Tensor) -> None:
        """Put tokens `[M]` at M chosen positions."""
        self.ids[chosen], self.revealed[chosen] = tokens, probability

    def reveal_some(self, asked: Tensor, best: Tensor, tokens: Tensor, probability: Tensor) -> None:
        """Put those of the tokens `[M]` at M asked positions that are among the best, bool `[M]`."""
        chosen = asked.clone()
        chosen[asked] = best
        self.reveal(chosen, tokens[best], probability[best])

    def spread(self, where: Tensor, values: Tensor, elsewhere: float) -> Tensor:
        """Values `[M]` at M positions, another one elsewhere, float64 `[N, T]`."""
        table = torch.full_like(self.revealed, elsewhere)
        table[where] = values
        return table

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1) in float64, drawn where the generator is, so that a seed means the same on any device."""
        device = "cpu" if self.generator is None else self.generator.device
        drawn = torch.rand(tuple(shape), generator=self.generator, dtype=torch.float64, device=device)
        return drawn.to(self.ids.device)

    def end_texts(self) -> bool:
        """Pad what follows the first end-of-text token of rows that have no mask before it; whether there were any."""
        if self.eos is None:
            return False
        ended = (self.ids.eq(self.eos) & self.region).long().cumsum(1) > 0
        open_before = (self.ids.eq(self.mask_id) & ~ended).any(1, keepdim=True)
        after = ended.roll(1, 1)
        after[:, 0] = False
        change = after & ended & ~open_before & self.region
        pad = getattr(self.model.config, "pad_token_id", None)
        self.ids[change] = self.eos if pad is None else pad
        return bool(change.any())


def _share(now: float, after: float) -> float:
    """The share of the masks that is revealed between two mask rates."""
    return 1.0 if after == 0 else 1 - after / now


def _nucleus(log_p: Tensor, top_p: float) -> Tensor:
    """Log-probabilities `[M, V]` with -inf outside the most probable tokens that together reach `top_p`."""
    if top_p >= 1:
        return log_p
    ordered, index = log_p.sort(-1, descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    return log_p.masked_fill(torch.zeros_like(log_p, dtype=torch.bool).scatter(-1, index, before >= top_p), -math.inf)


def checked_choice(name: str, value: str, known: Sequence[str]) -> None:
    """Raise `GenerationOptionError` unless the value is one of those known."""
    if value not in known:
        raise GenerationOptionError(f"{name} {value!r} is unknown; choose {', '.join(known)}")


def mask_id_of(config: Any) -> int:
    """The id of the mask token; `GenerationOptionError` if the configuration has none."""
    mask_id = getattr(config, "mask_token_id", None)
    if mask_id is None:
        raise GenerationOptionError("the model's configuration has no mask_token_id; set it to the tokenizer's")
    return int(mask_id)


def special_ids_of(config: Any) -> set[int]:
    """Ids that are no text: those the configuration lists; without a list those with a role, end-of-text included."""
    listed = getattr(config, "special_token_ids", None)
    roles = [getattr(config, f"{role}_token_id", None) for role in _ROLES]
    return {int(i) for i in (listed or roles) if isinstance(i, int)} | {mask_id_of(config)}
