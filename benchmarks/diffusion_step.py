"""Tokens per second of one training step of the published masked-diffusion model (126.6 M parameters), ours against its
reference.

The reference's step is written here from its description: eager attention on `[T, B, D]` tensors with a table of
position vectors `[T, T, 2 D]` gathered in every layer, masked softmax of full scores, a `T x T` mask made for each row
in a loop, and cross-entropy at the masked positions. It runs on the weights of our model, so that both steps can be
seen to have the same loss (without dropout) before they are timed. A step is forward and backward of one micro-batch;
the update, once in eight micro-batches in the published runs, is left out.

    python benchmarks/diffusion_step.py --rows 4 --length 128
    python benchmarks/diffusion_step.py --dtype bfloat16
    python benchmarks/diffusion_step.py --tuned        # the reference with our allocator settings: the fair rival

Each variant is a process of its own, ours as `BabyLMTrainer` makes it and the reference as it is. They take turns (A B,
B A, ...), and the result is the median of the ratios of neighbours with its quartiles.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from contextlib import nullcontext

import torch
import torch.nn.functional as F

from babylm_hf.models.diffusion import BabyLMDiffusionConfig, BabyLMDiffusionForMaskedLM
from babylm_hf.models.diffusion.layers_babylm_diffusion import distance_buckets
from babylm_hf.models.dropout import use_fast_dropout
from babylm_hf.objectives import DiffusionObjective
from babylm_hf.training.allocator import keep_freed_memory


def make_batch(rows, length, rate, seed):
    """Rows with one `<s>` in front and a tail of padding, masked at random, in our collators' form."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(16, 16_384, (rows, length), generator=draw)
    ids[:, 0] = 1
    present = torch.ones_like(ids)
    present[:, -1] = 0
    ids[:, -1] = 3
    hidden = (torch.rand(ids.shape, generator=draw) < rate) & (ids >= 16)
    weights = torch.full(ids.shape, 2.0) * hidden
    return {
        "input_ids": torch.where(hidden, 4, ids),
        "attention_mask": present,
        "labels": torch.where(hidden, ids, -100),
        "loss_weights": weights,
        "maskable": (ids >= 16).sum(1),
        "mask_rate": torch.full((rows,), rate),
    }


def masks_of_rows(present):
    """bool `[B, 1, T, T]`, True where a position may not be looked at, one row after the other."""
    made = []
    for row in present:
        mask = torch.ones(len(row), len(row), dtype=torch.bool)
        mask[:, : int(row.sum())] = False
        made.append(mask)
    return torch.stack(made)[:, None]


def norm(states, eps=1e-5):
    return F.layer_norm(states, states.shape[-1:], eps=eps)


def reference_attention(module, states, positions, index, mask, training):
    length, batch, width = states.shape
    heads, size = module.heads, width // module.heads
    dropout = module.probs_dropout.p
    query, key = module.query_key(states).chunk(2, dim=2)
    value, gate = module.value_gate(states).chunk(2, dim=2)
    table = F.embedding(index, module.query_key(F.dropout(positions, dropout, training)))  # [T, T, 2 D]
    query_positions, key_positions = table.view(length, length, 2, heads, size).unbind(2)
    scale = 1.0 / math.sqrt(3 * size)
    query = query.reshape(length, batch * heads, size).transpose(0, 1)
    key = key.reshape(length, batch * heads, size).transpose(0, 1)
    value = value.reshape(length, batch * heads, size).transpose(0, 1)
    scores = torch.bmm(query, key.transpose(1, 2) * scale).view(batch, heads, length, length)
    query, key = (part.view(batch, heads, length, size) for part in (query, key))
    scores = scores + torch.einsum("bhqd,qkhd->bhqk", query, key_positions * scale)
    scores = scores + torch.einsum("bhkd,qkhd->bhqk", key * scale, query_positions)
    chances = scores.masked_fill(mask, -math.inf).softmax(-1).masked_fill(mask, 0.0)
    chances = F.dropout(chances, dropout, training)
    context = torch.bmm(chances.flatten(0, 1), value).transpose(0, 1).reshape(length, batch, width)
    return F.dropout(module.dense_out(norm(context * F.gelu(gate))), dropout, training)


def reference_loss(model, batch, index):
    """The summed weighted loss, from ids turned to `[T, B]`."""
    body, training = model.model, model.training
    dropout = model.config.hidden_dropout_prob
    mask = masks_of_rows(batch["attention_mask"])
    hidden = F.dropout(norm(body.embeddings.word_embeddings(batch["input_ids"].t())), dropout, training)
    positions = body.embeddings.relative_layer_norm(body.embeddings.relative_embeddings.weight)
    time_vector = body.time(batch["mask_rate"])
    for layer in body.layers:
        shift, scale, gate, ff_shift, ff_scale, ff_gate = layer.modulation(time_vector).unsqueeze(0).chunk(6, dim=2)
        states = norm(hidden) * (1 + scale) + shift
        hidden = hidden + gate * reference_attention(layer.attention, states, positions, index, mask, training)
        value, inner = layer.feed_forward.dense_in(norm(hidden) * (1 + ff_scale) + ff_shift).chunk(2, dim=2)
        states = layer.feed_forward.dense_out(norm(value * F.gelu(inner, approximate="tanh")))
        hidden = hidden + ff_gate * F.dropout(states, dropout, training)
    labels = batch["labels"].t().flatten()
    chosen = torch.nonzero(labels != -100).squeeze(1)
    states = norm(F.gelu(model.head.dense(norm(hidden.flatten(0, 1)[chosen]))))
    logits = F.linear(F.dropout(states, dropout, training), model.head.decoder.weight, model.head.decoder.bias)
    losses = F.cross_entropy(logits.float(), labels[chosen], reduction="none")
    return (losses * batch["loss_weights"].t().flatten()[chosen]).sum()


class Variant:
    """One of the two steps, in the process that makes it."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        config = BabyLMDiffusionConfig(num_hidden_layers=options.layers, suppress_mask=False)
        self.model = BabyLMDiffusionForMaskedLM(config)
        with torch.no_grad():
            for layer in self.model.model.layers:  # awake, as after training: a gate of zero would hide a difference
                layer.modulation.weight.normal_(std=0.02)
                layer.modulation.bias.normal_(std=0.1)
        self.batch = make_batch(options.rows, options.length, options.rate, seed=1)
        self.tokens = int(self.batch["attention_mask"].sum())
        self.half = options.dtype == "bfloat16"
        if name == "ours" or options.tuned:
            keep_freed_memory()
        if name == "ours":
            if not options.no_fast_dropout:
                use_fast_dropout(self.model)
            objective = DiffusionObjective(self.model)

            def summed() -> torch.Tensor:
                return objective(objective.prepare(self.batch)).total()

        else:
            buckets = distance_buckets(options.length, config.position_bucket_size, config.max_position_embeddings)
            steps = torch.arange(options.length)
            index = buckets[steps[:, None] - steps[None, :] + options.length - 1]

            def summed() -> torch.Tensor:
                return reference_loss(self.model, self.batch, index)

        self.summed = summed

    def loss(self) -> torch.Tensor:
        """The summed loss of the batch."""
        with torch.autocast("cpu", torch.bfloat16) if self.half else nullcontext():
            return self.summed()

    def plain_loss(self) -> float:
        """Without dropout."""
        self.model.eval()
        with torch.no_grad():
            loss = float(self.loss())
        self.model.train()
        return loss

    def seconds(self) -> float:
        """Time of one forward and backward; gradients go on being summed, as within a step of several micro-batches."""
        begun = time.perf_counter()
        (self.loss() / self.tokens).backward()
        taken = time.perf_counter() - begun
        self.model.zero_grad(set_to_none=False)
        return taken


def serve(pipe, name, options) -> None:
    """In the process of a variant: its loss without dropout, then the time of a step for each message."""
    variant = Variant(name, options)
    pipe.send((variant.plain_loss(), variant.tokens, sum(p.numel() for p in variant.model.parameters())))
    while pipe.recv():
        pipe.send(variant.seconds())


def quartiles(values):
    return [float(torch.tensor(values).quantile(q)) for q in (0.25, 0.5, 0.75)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.363)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--layers", type=int, default=12, help="fewer for a quick look")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of autocast")
    parser.add_argument(
        "--tuned", action="store_true", help="let the allocator keep freed memory for the reference too"
    )
    parser.add_argument("--no_fast_dropout", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name in ("ours", "reference"):
        pipes[name], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, name, options), daemon=True).start()
    facts = {name: pipe.recv() for name, pipe in pipes.items()}
    (one, tokens, parameters), (other, _, _) = facts["ours"], facts["reference"]
    print(f"summed loss without dropout: ours {one:.4f}, reference {other:.4f}")
    if abs(one - other) > (2e-2 if options.dtype == "bfloat16" else 1e-4) * abs(other):
        raise SystemExit("the two do not compute the same loss")
    times = {name: [] for name in pipes}
    for number in range(options.warmup + options.rounds):
        for name in sorted(pipes, reverse=bool(number % 2)):
            pipes[name].send(True)
            taken = pipes[name].recv()
            if number >= options.warmup:
                times[name].append(taken)
    for pipe in pipes.values():
        pipe.send(False)
    ratios = [slow / fast for slow, fast in zip(times["reference"], times["ours"], strict=True)]
    for name, found in times.items():
        print(f"{name:>9}: {1e3 * quartiles(found)[1]:.0f} ms a step, {tokens / quartiles(found)[1]:.1f} tokens/s")
    low, middle, high = quartiles(ratios)
    print(f"{parameters / 1e6:.1f} M parameters, {options.rows} x {options.length}, {options.dtype}: ", end="")
    print(f"{middle:.2f} times the reference [{low:.2f} .. {high:.2f}] in {options.rounds} rounds")


if __name__ == "__main__":
    main()
