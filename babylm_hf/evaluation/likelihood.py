"""Likelihood of text: what a masked diffusion model or a masked model guarantees, and what a causal model gives.

A masked diffusion model has no likelihood that can be computed, but a bound of it, the negative evidence lower bound.
Over mask rates m it is the integral over (0, 1) of E[sum of cross-entropies of the masks] / m. Two unbiased estimates:

* `order_agnostic`: with n tokens of which k are masked, the integral over m of the binomial probability of k, divided
  by m, is 1 / k. So the bound is E[n / k times the sum over k random positions] with k uniform on 1 ... n (Uria et al.
  2014; Ou et al. 2025). The same in expectation, with less variance: the number of masks is no longer random.
* `continuous`: times t, a noise schedule with mask rate m(t), weight |m'(t)| / m(t). Every schedule that covers the
  rates from 0 to 1 has the same expectation; a narrow one does not cover them and is refused.

Any masked model has this bound, also one that was trained at one mask rate (where it will be loose). Tokens that are
not special count, and the mask token is taken out of the predictions. All in nats, in float64 once summed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn
from tqdm import tqdm

from ..errors import OptionError
from ..masking.noise import make_noise
from ..masking.random import below, bits, row_keys, uniform
from ..masking.schedules import NoiseSchedule
from ..masking.vocabulary import Vocabulary
from ..models.heads import evaluating
from .row_scoring import Floats, Ids, PositionScorer, RowsOfText

Form = Literal["order_agnostic", "continuous"]
Time = Literal["zero", "inverse_length"]

_TOLERANCE = 0.05
_NAT = 1 / math.log(2)


@dataclass(frozen=True)
class Likelihood:
    """Negative log-likelihood of a text, or a bound of it.

    Attributes:
        nats_per_token: mean over tokens.
        standard_error: of that mean over repetitions of the random draws on this text, in nats; 0 if nothing is drawn.
        text_error: of that mean over texts of which this one, row by row, is a sample; None for one row.
        tokens: tokens scored.
        rows: rows of text.
        draws: masks drawn for each row; 0 if nothing is drawn.
        method: "nelbo, order agnostic", "nelbo, linear schedule" (or another), or "exact, causal".
        text_bytes: UTF-8 bytes of the text, where known.
        row_nats: the sum of each row, float64 `[rows]`.
    """

    nats_per_token: float
    standard_error: float
    text_error: float | None
    tokens: int
    rows: int
    draws: int
    method: str
    text_bytes: int | None = None
    row_nats: Floats = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def bits_per_token(self) -> float:
        """Bits instead of nats."""
        return self.nats_per_token * _NAT

    @property
    def perplexity(self) -> float:
        """e to the nats per token: of the tokenizer's tokens, so comparable between models of one tokenizer only."""
        return math.exp(min(self.nats_per_token, 700.0))

    @property
    def perplexity_error(self) -> float:
        """Standard error of the perplexity over draws, to first order."""
        return self.perplexity * self.standard_error

    @property
    def bits_per_byte(self) -> float | None:
        """Bits for a byte of UTF-8, comparable between tokenizers; None where the bytes are not known."""
        return None if not self.text_bytes else self.bits_per_token * self.tokens / self.text_bytes

    @property
    def bits_per_byte_error(self) -> float | None:
        """Standard error of the bits per byte over draws."""
        return None if not self.text_bytes else self.standard_error * _NAT * self.tokens / self.text_bytes

    def to_dict(self) -> dict[str, Any]:
        """All numbers in JSON's types, without those of each row."""
        names = ("nats_per_token", "standard_error", "text_error", "bits_per_token", "perplexity", "perplexity_error")
        sizes = ("bits_per_byte", "bits_per_byte_error", "tokens", "rows", "text_bytes", "draws", "method")
        return {name: getattr(self, name) for name in (*names, *sizes)}


def nelbo(
    model: nn.Module,
    rows: Sequence[npt.ArrayLike],
    tokenizer: Any,
    *,
    form: Form = "order_agnostic",
    schedule: NoiseSchedule | str = "linear",
    draws: int = 16,
    seed: int = 0,
    text_bytes: int | None = None,
    also: Collection[int] = (),
    remove_mask: bool = True,
    batch_tokens: int = 8192,
    progress: bool = False,
) -> Likelihood:
    """The negative evidence lower bound of rows of text under a masked model.

    The j-th draw of a row takes the number of masks (or the time) from the j-th of `draws` equal parts of its range,
    and the standard error from differences between neighbouring parts, which is on the high side. Draws depend on
    (seed, row number, draw) alone, so no batch size changes them.

    Args:
        model: called with `input_ids`, `attention_mask` and, if its `forward` has it, `mask_rate`: the masked share of
            the row's tokens, or the schedule's rate.
        rows: token ids of each row as the model is to see it, special tokens included; padding at the end is cut off.
        tokenizer: or its `Vocabulary`.
        form: "order_agnostic" or "continuous".
        schedule: of the continuous form; a moving one as it is at the end of its run.
        draws: masks drawn for each row, 2 or more.
        text_bytes: UTF-8 bytes of the rows' text, for bits per byte.
        also: special ids that count all the same, such as an end-of-text token that was trained.
        remove_mask: take the mask token out of the predictions (SUBS; Sahoo et al. 2024).
        batch_tokens: tokens in a batch.
        progress: show a progress bar.

    Raises:
        OptionError: an option cannot work, or no row holds a token that counts.
    """
    if form not in ("order_agnostic", "continuous"):
        raise OptionError(f"form {form!r} is unknown; choose order_agnostic or continuous")
    if draws < 2:
        raise OptionError(f"draws is {draws}; a standard error needs 2 or more")
    noise = None if form == "order_agnostic" else _covering(schedule, draws)
    vocabulary = Vocabulary.of(tokenizer)
    text = RowsOfText(rows, vocabulary.pad_id, set(vocabulary.special_ids) - set(also))
    values = np.zeros((len(text.rows), draws))
    with evaluating(model), tqdm(total=values.size, disable=not progress, desc="likelihood") as bar:
        scorer = PositionScorer(model, vocabulary.mask_id if remove_mask else None, batch_tokens)
        for row, draw in scorer.batches(text, draws):
            ids, counts = text.stack(row), text.maskable(row)
            if noise is None:
                hidden, rate, weight = _fixed_number(counts, row, draw, draws, seed)
            else:
                hidden, rate, weight = _random_number(noise, counts, row, draw, draws, seed)
            losses = scorer.losses(np.where(hidden, vocabulary.mask_id, ids), hidden, ids[hidden], rate)
            values[row, draw] = weight * np.bincount(np.nonzero(hidden)[0], losses, minlength=len(ids))
            bar.update(len(row))
    method = "nelbo, order agnostic" if noise is None else f"nelbo, {noise.name} schedule"
    return _result(values, text.tokens, method, text_bytes)


def pseudo_log_likelihood(
    model: nn.Module,
    rows: Sequence[npt.ArrayLike],
    tokenizer: Any,
    *,
    time: Time | None = None,
    also: Collection[int] = (),
    batch_tokens: int = 8192,
) -> Floats:
    """Summed log-probability of each row's tokens, each predicted with it alone masked, float64 `[n]`.

    Args:
        model, rows, tokenizer, also, batch_tokens: as of `nelbo`.
        time: the mask rate that a time-conditioned model is told: "zero", as the paper's submission was scored, or
            "inverse_length", one over the row's length; without it the model's configuration decides.

    Raises:
        OptionError: the model takes no mask rate, or no row holds a token that counts.
    """
    vocabulary = Vocabulary.of(tokenizer)
    text = RowsOfText(rows, vocabulary.pad_id, set(vocabulary.special_ids) - set(also))
    totals = np.zeros(len(text.rows))
    with evaluating(model):
        scorer = PositionScorer(model, None, batch_tokens)
        if time not in (None, "zero", "inverse_length") or (time is not None and not scorer.takes_rate):
            raise OptionError(f"time {time!r} cannot be used: leave it out, or pass zero or inverse_length to a model")
        for row, number in scorer.batches(text, 0):
            ids, counts = text.stack(row), text.maskable(row)
            hidden = counts & (counts.cumsum(1) - 1 == number[:, None])
            rate = None if time is None else np.full(len(ids), 0.0 if time == "zero" else 1 / ids.shape[1])
            losses = scorer.losses(np.where(hidden, vocabulary.mask_id, ids), hidden, ids[hidden], rate)
            np.subtract.at(totals, row, losses)
    return totals


def causal_likelihood(
    model: nn.Module,
    rows: Sequence[npt.ArrayLike],
    tokenizer: Any,
    *,
    text_bytes: int | None = None,
    also: Collection[int] = (),
    batch_tokens: int = 8192,
    progress: bool = False,
) -> Likelihood:
    """The exact negative log-likelihood of rows of text under a causal model.

    Arguments and errors are those of `nelbo`. A row's first token has nothing before it and does not count: rows should
    begin with a special token.
    """
    pad = tokenizer.pad_token_id
    text = RowsOfText(
        rows, -1 if pad is None else int(pad), set(tokenizer.all_special_ids) - set(also), skip_first=True
    )
    values = np.zeros((len(text.rows), 1))
    with evaluating(model), tqdm(total=len(values), disable=not progress, desc="likelihood") as bar:
        scorer = PositionScorer(model, None, batch_tokens)
        for row, _ in scorer.batches(text, 1):
            ids, counts = text.stack(row), text.maskable(row)
            losses = scorer.losses(ids[:, :-1], counts[:, 1:], ids[counts], None)
            values[row, 0] = np.bincount(np.nonzero(counts)[0], losses, minlength=len(ids))
            bar.update(len(row))
    return _result(values, text.tokens, "exact, causal", text_bytes)


def _covering(schedule: NoiseSchedule | str, draws: int) -> NoiseSchedule:
    """The schedule, if `draws` times spread over it see all rates from 0 to 1 alike: its weights then average 1 / m."""
    noise = make_noise(schedule) if isinstance(schedule, str) else schedule
    if noise.needs_coin or getattr(noise, "reference", False):
        raise OptionError(f"schedule {noise.name}: the published code's form is not exact; leave out its reference")
    _, derivative = noise.at((np.arange(draws) + 0.5) / draws, 1.0)
    if abs(derivative.mean() - 1) > _TOLERANCE:
        raise OptionError(
            f"schedule {noise.name}: over {draws} draws its weights add up to {derivative.mean():.2f} of the bound, "
            "not to all of it; choose linear, cosine or cosine_squared"
        )
    return noise


def _fixed_number(
    counts: npt.NDArray[np.bool_], row: Ids, draw: Ids, draws: int, seed: int
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """k of a row's n tokens hidden, the mask rate k / n and the weight n / k."""
    n = counts.sum(1)
    share = (draw + _jitter(row, draw, seed)) / draws
    k = np.minimum((share * n).astype(np.int64), n - 1) + 1
    # The k smallest of random numbers are k positions without order or preference; those that do not count come last.
    numbers = _numbers(row, draw, seed, counts.shape[1]) >> np.uint64(1)
    numbers[~counts] = np.iinfo(np.uint64).max
    rank = numbers.argsort(1, kind="stable").argsort(1, kind="stable")
    return rank < k[:, None], k / n, n / k


def _random_number(
    noise: NoiseSchedule, counts: npt.NDArray[np.bool_], row: Ids, draw: Ids, draws: int, seed: int
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Each token hidden with the schedule's rate at a random time, that rate, and its weight."""
    rate, derivative = noise.at((draw + _jitter(row, draw, seed)) / draws, 1.0)
    hidden = counts & below(_numbers(row, draw, seed, counts.shape[1]), rate[:, None])
    return hidden, rate, derivative / np.maximum(rate, np.finfo(np.float64).tiny)


def _jitter(row: Ids, draw: Ids, seed: int) -> Floats:
    return uniform(_keys("likelihood.time", row, draw, seed), 1)[:, 0]


def _numbers(row: Ids, draw: Ids, seed: int, length: int) -> npt.NDArray[np.uint64]:
    return bits(_keys("likelihood.selection", row, draw, seed), length)


def _keys(stream: str, row: Ids, draw: Ids, seed: int) -> npt.NDArray[np.uint64]:
    """One key a pair of row and draw; the draw takes the place of the pass."""
    keys = np.zeros(len(row), np.uint64)
    for number in np.unique(draw):
        keys[draw == number] = row_keys(seed, stream, int(number), row[draw == number])
    return keys


def _result(values: Floats, tokens: int, method: str, text_bytes: int | None) -> Likelihood:
    """The mean and its errors, from a sum in nats for each row and draw, `[rows, draws]`."""
    rows, draws = values.shape
    row_nats = values.mean(1)
    mean = float(row_nats.sum() / tokens)
    # Strata of one draw each have no variance of their own; neighbours are taken together (Cochran 1977, 5A.12).
    variance = 0.0
    edges = [*range(0, draws - 1, 2), draws] if draws > 1 else []
    for start, stop in pairwise(edges):
        size = stop - start
        variance += float(values[:, start:stop].var(1, ddof=1).sum()) * size / draws**2
    return Likelihood(
        nats_per_token=mean,
        standard_error=math.sqrt(variance) / tokens,
        text_error=None if rows < 2 else float(row_nats.std(ddof=1) * math.sqrt(rows) / tokens),
        tokens=tokens,
        rows=rows,
        draws=draws if draws > 1 else 0,
        method=method,
        text_bytes=text_bytes,
        row_nats=row_nats,
    )
