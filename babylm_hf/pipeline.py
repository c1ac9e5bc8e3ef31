"""The run of a recipe, step by step."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import set_seed
from transformers.utils import logging

from . import __version__
from .corpus import (
    DocumentRows,
    TokenStream,
    cached_mix,
    find_mix_sources,
    iter_documents,
    load_tokenizer,
    mix_facts,
    mix_of,
    require_causal_tokens,
    require_mask_token,
    text_digests,
    train_tokenizer,
)
from .corpus.files import find_sources
from .corpus.gptbert import boundary_ids, with_end_of_text
from .errors import CorpusError, OptionError, Preempted
from .evaluation import evaluate_pairs, load_pairs, milestone_tasks
from .evaluation.held_out import unigram_loss
from .evaluation.scoring_plan import Backend
from .masking import DataCollatorForCausalRows, MaskingCollator, RowCollator
from .masking.collator import EVALUATION_RATE
from .masking.factory import collator_of, rate_of
from .masking.groups import frequency_bands, word_classes
from .models import build_model
from .plan import parse_curriculum, parse_milestones
from .publishing.examples import texts_for
from .recipe import TITLED
from .training import BabyLMTrainer, FeedbackCallback, RecordCallback
from .training.checkpoints import resolve_resume
from .training.disk import require_writable
from .training.masking_state import MaskingStateCallback
from .training.publishing import check_before_training, publisher_from_arguments
from .training.together import once_a_machine

if TYPE_CHECKING:
    from .recipe import Options, Recipe


def run(recipe: Recipe, options: Options) -> BabyLMTrainer:
    """From text to a model folder with its card, as `options` say."""
    args = options.training
    logging.disable_progress_bar()  # of transformers: a bar for every saved model would bury ours
    check_early(options)
    text = find_rows(recipe, options)
    sources, tokenizer, train_rows = text.sources, text.tokenizer, text.train_rows
    set_seed(args.seed)
    trainer = BabyLMTrainer(
        model=new_model(options, tokenizer),
        args=args,
        data_collator=find_collator(options, tokenizer, train_rows),
        train_dataset=train_rows,
        eval_dataset=text.eval_rows,
        processing_class=tokenizer,
        milestone_tasks=pair_tasks(options, text.pairs_folder),
        callbacks=[record := RecordCallback()],
    )
    record.facts = card_facts(recipe, options, trainer)
    record.facts["data"] |= mix_facts(sources, train_rows.info.sources)
    show_masking(options, trainer, tokenizer)

    trainer.train()
    if trainer.preempted:
        trainer.close()
        raise Preempted(
            f"asked to stop at step {trainer.state.global_step:,}; the run goes on with --resume_from_checkpoint auto"
        )
    trainer.finish()
    trainer.close()
    return trainer


@dataclass(frozen=True)
class RunText:
    """The text of a run, found and tokenised.

    Attributes:
        sources: files and data sets to train on.
        tokenizer: named, or trained on them.
        train_rows: what the plan orders.
        eval_rows: held-out text, packed; None without any.
        pairs_folder: minimal pairs for milestones; None without any.
    """

    sources: list[Any]
    tokenizer: Any
    train_rows: TokenStream | DocumentRows
    eval_rows: TokenStream | None
    pairs_folder: str | None


def find_rows(recipe: Recipe, options: Options) -> RunText:
    """Text, tokenizer and rows as the options say; what had to be made is in the cache afterwards."""
    # One process tokenises and fills the cache, the others that see it then read it.
    with once_a_machine(options.training, "tokenising"):
        sources, held_out, pairs_folder = find_text(recipe, options)
        if not options.corpus.demo and (how := mix_of(options.corpus)):
            sources = [cached_mix(sources, how, options.corpus.cache_dir)]
        tokenizer = find_tokenizer(options, sources)
        if options.model.objective == "causal":
            require_causal_tokens(tokenizer)
        else:
            require_mask_token(tokenizer)
        train_rows: TokenStream | DocumentRows = token_stream(options, sources, tokenizer)
        eval_rows = token_stream(options, held_out, tokenizer) if held_out else None
    if options.corpus.packing == "line" and isinstance(train_rows, TokenStream):
        train_rows = DocumentRows(train_rows)  # held-out text stays packed, so that runs can be compared
    return RunText(sources, tokenizer, train_rows, eval_rows, pairs_folder)


def new_model(options: Options, tokenizer: Any) -> Any:
    """The model that the options name, with fresh weights."""
    model = build_model(options.model.model, tokenizer, objective=options.model.objective, **options.model.overrides())
    if options.corpus.end_of_text and hasattr(model.config, "special_token_ids"):
        learnt = boundary_ids(tokenizer)  # so they may be generated
        model.config.special_token_ids = [i for i in model.config.special_token_ids if i not in learnt]
    return model


def check_early(options: Options, begins: bool = True) -> None:
    """Everything that can be refused without reading the text, so that a slip costs seconds and touches nothing.

    Args:
        options: of the run.
        begins: a run is to follow: look at its folder too, and at the Hub if it publishes.
    """
    args, masking = options.training, options.masking
    if begins:
        resolve_resume(Path(args.output_dir), args.resume_from_checkpoint)
    if begins and args.should_save:
        require_writable(Path(args.output_dir))
    if begins and args.publishing and args.process_index == 0:
        check_before_training(publisher_from_arguments(args))
    parse_curriculum(args.max_seq_len, int(args.num_train_epochs), args.rows_per_step())
    parse_milestones(args.milestone_spec())
    rate_of(masking)
    check_objective(options)
    held_out = options.corpus.validation_file or options.corpus.dataset_validation_split or options.corpus.demo
    if getattr(args.eval_strategy, "value", args.eval_strategy) != "no" and not held_out:
        raise OptionError("--eval_strategy needs held-out text to evaluate on; pass --validation_file too")
    if mix_of(options.corpus) and options.corpus.train_file:
        find_mix_sources(options.corpus.train_file)
    elif options.corpus.train_file:
        find_sources(options.corpus.train_file)
    if options.corpus.validation_file:
        find_sources(options.corpus.validation_file)


def check_objective(options: Options) -> None:
    """Refuse options that say nothing to the objective chosen."""
    if options.model.objective == "causal":
        for option in fields(options.masking):
            if getattr(options.masking, option.name) != option.default:
                raise OptionError(f"--{option.name} is about masks, and a causal model has none; leave it out")
        if options.corpus.end_of_text:
            raise OptionError("--end_of_text is for masked models; texts of a causal one end where the next begins")
    elif options.corpus.separate_documents:
        raise OptionError("--separate_documents is for causal models (--objective causal); leave it out")
    if options.corpus.separate_documents and options.corpus.packing == "line":
        raise OptionError("--separate_documents does nothing with --packing line, whose rows hold one document each")


def find_collator(options: Options, tokenizer: Any, rows: Any) -> RowCollator:
    """What gives the rows their targets: next tokens, or masks as the options say."""
    if options.model.objective == "causal":
        return DataCollatorForCausalRows(tokenizer, separate_documents=options.corpus.separate_documents)
    return collator_of(
        options.masking,
        tokenizer,
        token_counts=rows.token_counts(),
        own=options.policy,
        **masking_context(options, tokenizer),
    )


def masking_context(options: Options, tokenizer: Any) -> dict[str, Any]:
    """What a masking collator needs to know of its run beside the masking options."""
    args = options.training
    stages = parse_curriculum(args.max_seq_len, int(args.num_train_epochs), args.rows_per_step())
    return {
        "seed": args.seed,
        "num_passes": int(args.num_train_epochs),
        "batch_tokens": args.rows_per_step() * stages[0].seq_length,
        "trained": list(boundary_ids(tokenizer)) if options.corpus.end_of_text else [],
    }


def find_text(recipe: Recipe, options: Options) -> tuple[list[Any], list[Any], str | None]:
    """Training sources, held-out sources and the folder of minimal pairs, by whichever way they were given."""
    corpus = options.corpus
    if corpus.demo:
        folder = toy_corpus(Path(corpus.cache_dir), corpus.demo_words)
        pairs = options.evaluation.eval_pairs or str(folder / "pairs")
        return [str(folder / "train.txt")], [str(folder / "validation.txt")], pairs
    if corpus.train_file:
        return corpus.train_file, corpus.validation_file or [], options.evaluation.eval_pairs
    name = corpus.dataset_name or recipe.dataset
    if name is None:
        raise OptionError("there is nothing to train on; pass --train_file FILE..., --dataset_name NAME or --demo")
    from .corpus import hub_sources

    train: list[Any] = hub_sources(name, corpus.dataset_config_name, corpus.dataset_split, corpus.text_field)
    held_out: list[Any] = list(corpus.validation_file or [])
    if corpus.dataset_validation_split:
        held_out = hub_sources(name, corpus.dataset_config_name, corpus.dataset_validation_split, corpus.text_field)
    return train, held_out, options.evaluation.eval_pairs


def toy_corpus(cache_dir: Path, words: int) -> Path:
    """The folder of toy text and pairs, written once."""
    from .corpus.toy import write_toy_corpus

    folder = cache_dir / f"toy-{__version__}-{words}-words"
    made_once(folder, lambda made: write_toy_corpus(made, words))
    return folder


def made_once(folder: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill `folder` unless it is there; a kill leaves nothing half made, and several may try at once."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        write(Path(made) / folder.name)
        with contextlib.suppress(OSError):  # somebody else was faster, with the same bytes
            os.replace(Path(made) / folder.name, folder)


def find_tokenizer(options: Options, sources: list[Any]) -> Any:
    """The tokenizer named, or one trained on the text and kept in the cache under everything that decides it."""
    chosen = options.tokenizer
    if chosen.tokenizer is not None:
        return load_tokenizer(chosen.tokenizer, lowercase=chosen.lower)
    if chosen.tokenizer_if_reachable is not None:
        try:
            return load_tokenizer(chosen.tokenizer_if_reachable, lowercase=chosen.lower)
        except CorpusError as error:
            print(f"{error}; a tokenizer is trained on the text instead", file=sys.stderr)
    corpus = options.corpus
    texts = text_digests(sources, corpus.document, corpus.text_field)
    objective = options.model.objective
    decides = {"format": 2, "texts": texts, "document": corpus.document, "objective": objective, **asdict(chosen)}
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(corpus.cache_dir) / f"tokenizer-{digest}"

    def train(made: Path) -> None:
        documents = iter_documents(sources, corpus.document, corpus.text_field)
        tokenizer = train_tokenizer(
            documents,
            chosen.tokenizer_algorithm,
            chosen.vocab_size,
            lowercase=chosen.lower,
            causal=objective == "causal",
            exact=chosen.exact_vocab_size,
        )
        tokenizer.save_pretrained(made)

    made_once(folder, train)
    return load_tokenizer(folder)


def token_stream(options: Options, sources: list[Any], tokenizer: Any) -> TokenStream:
    """The text as a memory-mapped stream of tokens, from the cache where it has been made before."""
    corpus = options.corpus
    if corpus.end_of_text:
        tokenizer = with_end_of_text(tokenizer)
    return TokenStream.build(
        sources, tokenizer, cache_dir=corpus.cache_dir, document=corpus.document, text_field=corpus.text_field
    )


def pair_tasks(options: Options, folder: str | None) -> dict[str, Any]:
    """What is measured at milestones: the minimal pairs of `--eval_pairs` and the tasks of `--eval_tasks`."""
    backend: Backend = "causal" if options.model.objective == "causal" else "mlm"
    wanted = options.evaluation
    if wanted.eval_data is not None and not wanted.eval_tasks:
        raise OptionError("--eval_data is the data of --eval_tasks: name the tasks, such as --eval_tasks blimp")
    tasks: dict[str, Any] = milestone_tasks(wanted.eval_tasks or [], wanted.eval_data, backend)
    if folder is None:
        return tasks
    name = "toy_pairs" if options.corpus.demo else "minimal_pairs"
    full = load_pairs(folder)
    quick = load_pairs(folder, options.evaluation.max_pairs)

    def measure(model: Any, tokenizer: Any, milestone: str | None) -> dict[str, Any]:
        if milestone is not None:
            return dict(evaluate_pairs(model, tokenizer, quick, backend=backend).to_dict())
        found = evaluate_pairs(model, tokenizer, full, backend=backend)
        return {**found.to_dict(), "outcomes": found.outcomes()}

    return {name: measure, **tasks}


def show_masking(options: Options, trainer: BabyLMTrainer, tokenizer: Any) -> None:
    """Have the masks kept in the record: the policy's state, and mean weights by frequency and kind of word."""
    args, counts = trainer.args, trainer.rows.token_counts()
    if not isinstance(trainer.data_collator, MaskingCollator):
        return
    if options.policy is None:  # one of the recipe's own cannot be made again from the options
        trainer.add_callback(MaskingStateCallback(options.masking, counts, **masking_context(options, tokenizer)))
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, FeedbackCallback):
            callback.groups = {
                "bands": frequency_bands(counts, tokenizer.all_special_ids),
                "classes": word_classes(tokenizer),
            }
            callback.token_counts = ordinary_counts(counts, tokenizer)
            if options.masking.log_mlm_probs:
                callback.weights_folder = Path(args.output_dir) / "record" / "mask_weights"


def ordinary_counts(counts: Any, tokenizer: Any) -> Any:
    """The counts of a corpus without special tokens, which are never targets."""
    ordinary = counts.copy()
    ordinary[list(tokenizer.all_special_ids)] = 0
    return ordinary


def card_facts(recipe: Recipe, options: Options, trainer: BabyLMTrainer) -> dict[str, Any]:
    """What the record is told beyond what the trainer knows: who, which method, which text, and the unigram's loss."""
    rows = trainer.rows
    changes = recipe.changed(options)
    family, language = trainer.objective.name, options.corpus.language
    examples = texts_for(family, language, options.card.examples)
    facts: dict[str, Any] = {
        "recipe": recipe.name,
        "recipe_changes": changes,
        "name": options.card.model_name or Path(trainer.args.output_dir).name,
        "method": {
            "name": recipe.name,
            "title": None if any(name in changes for name in TITLED) else recipe.title,
            "parameters": {**trainer.data_collator.describe(), "packing": options.corpus.packing},
            "paper": recipe.paper,
        },
        "card": {
            "licence": options.card.licence,
            "language": language,
            "author": options.card.author,
            "examples": examples,
        },
        "data": {**rows.info.describe(), "licence": options.corpus.corpus_licence},
    }
    if trainer.eval_dataset is not None:
        length = trainer.eval_length(trainer.eval_dataset)
        loss = unigram_loss(
            rows.token_counts(),
            trainer.eval_dataset,
            trainer.data_collator,
            seq_length=length,
            max_tokens=options.training.max_eval_tokens,
            prepare=trainer.objective.prepare,
        )
        facts["baselines"] = {"unigram_loss": loss}
        facts["held_out"] = {**trainer.eval_dataset.info.describe(), "seq_length": length}
        if trainer.data_collator.masks:
            facts["held_out"]["mask_rate"] = EVALUATION_RATE
    return facts
