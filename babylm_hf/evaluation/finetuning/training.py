"""The loop of the official pipeline: AdamW, cosine with warm-up, a look at the validation file after every epoch.

Its order of random draws is kept too (weights of the head, then the order of every epoch), so that on one machine the
same seed gives the same run. What it copies the model for (its moving average with decay 0, and the best epoch) is not
done: predictions are made when an epoch turns out best.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from tqdm import tqdm

from ...errors import BabyLMError, OptionError
from .data import Example, TaskData, encode
from .metrics import classification_scores
from .model import SequenceClassifier
from .settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass
class Trained:
    """What a run gave.

    Attributes:
        predictions: classes of the validation file at the chosen epoch.
        best_epoch: that epoch, counted from 1.
        epochs: for each epoch the training loss and the scores on what the epoch is chosen on.
        last: scores on the validation file at the last epoch, where they were measured: a number without any choice.
        steps: optimizer steps.
    """

    predictions: list[int] = field(default_factory=list)
    best_epoch: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    last: dict[str, float] | None = None
    steps: int = 0


def seed_everything(seed: int) -> None:
    """Seed what the run draws from, before the model is loaded."""
    random.seed(seed)
    torch.manual_seed(seed)


def train_classifier(
    model: SequenceClassifier,
    tokenizer: PreTrainedTokenizerBase,
    data: TaskData,
    settings: Settings,
    *,
    device: torch.device | str = "cpu",
    progress: str | None = None,
) -> Trained:
    """Fine-tune a classifier and predict the validation file.

    Args:
        model: with a fresh head; it is changed.
        tokenizer: pads on the side the model's pooling needs.
        data: of one task; with a selection slice the epoch is chosen on that.
        settings: with batch size and epochs (`Settings.for_task`).
        device: where to.
        progress: label of a progress bar.

    Raises:
        OptionError: rows longer than the model's positions, or fewer examples than a batch holds.
        BabyLMError: the loss is not finite.
    """
    metrics, chosen_by = data.task.metrics, data.task.metric
    train, selection, valid = _loaders(model, tokenizer, data, settings)
    model.to(device)
    total = len(train) * int(settings.epochs or 1)
    optimizer, scheduler = _optimizer(model, settings, total)
    trained, best = Trained(steps=total), -math.inf
    with tqdm(total=total, desc=progress, disable=progress is None, unit="step") as bar:
        for epoch in range(1, int(settings.epochs or 1) + 1):
            loss = _train_epoch(model, train, optimizer, scheduler, device, bar.update)
            if not math.isfinite(loss):
                raise BabyLMError(
                    f"{data.task.name}: the loss is not finite in epoch {epoch}; are the model's weights?"
                )
            predictions, labels = predict(model, selection or valid, device)
            scores = classification_scores(predictions, labels, metrics)
            trained.epochs.append({"loss": loss, **scores})
            bar.set_postfix_str(f"{chosen_by} {100 * scores[chosen_by]:.1f}")
            if scores[chosen_by] > best:  # the first of equal epochs
                best, trained.best_epoch = scores[chosen_by], epoch
                trained.predictions = predict(model, valid, device)[0] if selection else predictions
    if not selection:
        trained.last = scores
    return trained


@torch.no_grad()
def predict(
    model: SequenceClassifier, batches: DataLoader[Any], device: torch.device | str
) -> tuple[list[int], list[int]]:
    """The most probable class of every example, and the right one."""
    model.eval()
    predictions: list[int] = []
    labels: list[int] = []
    for input_ids, attention_mask, answers in batches:
        predictions += model(input_ids.to(device), attention_mask.to(device)).argmax(dim=-1).tolist()
        labels += answers.tolist()
    return predictions, labels


def cosine_factor(step: int, warmup_steps: int, total: int, final_rate: float) -> float:
    """The learning rate of a step counted from 0, as a share of its highest value: the first step learns nothing."""
    if step < warmup_steps:
        return step / max(1, warmup_steps)
    done = (step - warmup_steps) / max(1, total - warmup_steps)
    return final_rate + (1 - final_rate) * 0.5 * (1 + math.cos(math.pi * done))


def _optimizer(model: SequenceClassifier, settings: Settings, total: int) -> tuple[torch.optim.AdamW, LambdaLR]:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.999), eps=1e-8
    )
    factor = partial(
        cosine_factor, warmup_steps=int(settings.warmup * total), total=total, final_rate=settings.final_rate
    )
    return optimizer, LambdaLR(optimizer, factor)


def _train_epoch(
    model: SequenceClassifier,
    batches: DataLoader[Any],
    optimizer: torch.optim.Optimizer,
    scheduler: LambdaLR,
    device: torch.device | str,
    step_done: Callable[[], Any],
) -> float:
    """One pass; the mean loss of its steps in nats."""
    model.train()
    losses = []
    for input_ids, attention_mask, labels in batches:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(input_ids.to(device), attention_mask.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()  # gradients are not clipped
        scheduler.step()
        losses.append(loss.detach())
        step_done()
    return float(torch.stack(losses).mean())


def _loaders(
    model: SequenceClassifier, tokenizer: PreTrainedTokenizerBase, data: TaskData, settings: Settings
) -> tuple[DataLoader[Any], DataLoader[Any] | None, DataLoader[Any]]:
    """Batches of the training examples in a new order every pass, of the selection slice and of the validation file."""
    batch_size = int(settings.batch_size or 1)
    if len(data.train) < batch_size:
        raise OptionError(
            f"{data.task.name}: {len(data.train)} training examples are less than one batch of {batch_size}, and an "
            "incomplete batch is dropped: pass a smaller --batch_size."
        )
    collate = partial(_collate, tokenizer=tokenizer)
    train, selection, valid = (
        _encoded(model, tokenizer, part, data.task.name, settings) for part in (data.train, data.selection, data.valid)
    )
    return (
        DataLoader(train, batch_size, shuffle=True, drop_last=True, collate_fn=collate),  # type: ignore[arg-type]
        DataLoader(selection, settings.eval_batch_size, collate_fn=collate) if selection else None,  # type: ignore[arg-type]
        DataLoader(valid, settings.eval_batch_size, collate_fn=collate),  # type: ignore[arg-type]
    )


def _encoded(
    model: SequenceClassifier,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    task: str,
    settings: Settings,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = list(encode(tokenizer, examples, settings.max_length))
    longest = max((len(row["input_ids"]) for row in rows), default=0)
    positions = model.positions()
    if positions is not None and longest > positions:
        raise OptionError(
            f"{task}: the longest example has {longest} tokens, the model only {positions} positions: pass --max_length"
            f" {positions}, which is not the official {settings.max_length} and will be said beside the score."
        )
    return [{**row, "label": example.label} for row, example in zip(rows, examples, strict=True)]


def _collate(rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> Batch:
    """Rows padded to the longest of them, on the tokenizer's side."""
    padded = tokenizer.pad(
        [{name: row[name] for name in ("input_ids", "attention_mask")} for row in rows], return_tensors="pt"
    )
    return padded["input_ids"], padded["attention_mask"], torch.tensor([row["label"] for row in rows])
