"""A recipe: a named set of defaults and the run they lead to, from text to a model folder with its card.

`Recipe.run` is the whole library read from top to bottom: corpus, tokenizer, model, masking, plan, training,
evaluation, card.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .arguments import (
    CardArguments,
    CorpusArguments,
    EvaluationArguments,
    MaskingArguments,
    ModelArguments,
    TokenizerArguments,
)
from .environment import send_no_telemetry, share_the_machine, use_the_cores
from .errors import EXIT_PREEMPTED, EXIT_USER_ERROR, BabyLMError, OptionError, PeerLost, Preempted, TrainingError
from .parsing import HelpfulParser
from .terminal import no_bars_without_a_terminal, say_error

if TYPE_CHECKING:
    from .masking import Policy, Vocabulary

# They set `masking`.
_ALIASES = ("regular_mlm", "soft")
# What the title of a recipe is about: with another value of one of these it is the title of something else.
TITLED = ("masking", "mlm_prob", "mask_decay", "mask_schedule", "noise_schedule", "objective")


@dataclass
class Options:
    """The options of one run, parsed."""

    corpus: CorpusArguments
    tokenizer: TokenizerArguments
    model: ModelArguments
    masking: MaskingArguments
    evaluation: EvaluationArguments
    card: CardArguments
    training: Any  # BabyLMTrainingArguments; named late because its module imports torch
    policy: Callable[[Vocabulary], Policy] | None = None
    """Of a recipe that brings its own masking policy, in place of what `masking` names."""


@dataclass(frozen=True)
class Recipe:
    """A published system as one command.

    Attributes:
        name: of the recipe and, without `--output_dir`, of the folder under `runs/`.
        title: one line for `--help` and the card.
        paper: `title`, `authors`, `year`, `url`, `bibtex` of the publication.
        dataset: the corpus of the paper on the Hub, loaded when no text is given.
        defaults: option name -> value, where it differs from the option's own default.
        demo: the same for `--demo`, on top of `defaults`.
        gpu: the same where there is a GPU that computes in bfloat16, unless `--use_cpu` is given.
        policy: makes a masking policy of the recipe's own from the vocabulary's ids; `--masking` is not asked then.
    """

    name: str
    title: str
    paper: dict[str, str]
    dataset: str | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    demo: dict[str, Any] = field(default_factory=dict)
    gpu: dict[str, Any] = field(default_factory=dict)
    policy: Callable[[Vocabulary], Policy] | None = None

    def main(self, argv: list[str] | None = None) -> None:
        """Parse the command line and run; a mistake of the user's ends with one sentence and exit status 2."""
        share_the_machine()
        send_no_telemetry()
        use_the_cores()
        no_bars_without_a_terminal()
        try:
            self.run(self.parse(argv))
        except Preempted as stopped:
            if _first_here():
                say_error("stopped", stopped, "yellow")
            sys.exit(EXIT_PREEMPTED)
        except BabyLMError as error:
            _say_once_a_machine(error)
            sys.exit(EXIT_USER_ERROR)

    def parse(self, argv: list[str] | None = None) -> Options:
        """Options from the command line, on top of the recipe's defaults.

        Raises:
            OptionError: an unknown option, or a value that cannot be read.
        """
        argv = sys.argv[1:] if argv is None else list(argv)
        parser = recipe_parser(self.title)
        defaults = {"output_dir": f"runs/{self.name}", **self.defaults}
        if "--demo" in argv:
            defaults |= {"output_dir": f"runs/{self.name}_demo", **self.demo}
        if self.gpu and "--use_cpu" not in argv and _has_gpu():
            defaults |= self.gpu
        unknown = set(defaults) - {action.dest for action in parser._actions}
        if unknown:
            raise OptionError(f"recipe {self.name} sets options that do not exist: {sorted(unknown)}")
        parser.set_defaults(**defaults)
        try:
            *parsed, rest = parser.parse_args_into_dataclasses(
                argv, return_remaining_strings=True, look_for_args_file=False
            )
        except (
            ValueError,
            TypeError,
            OverflowError,
            ImportError,
        ) as error:  # the stock arguments refuse what the device or another option rules out
            raise OptionError(" ".join(str(error).split())) from error
        if rest:
            parser.unknown_option(rest[0])
        corpus, tokenizer, model, masking, evaluation, card, training = parsed
        return Options(corpus, tokenizer, model, masking, evaluation, card, training, self.policy)

    def changed(self, options: Options) -> dict[str, tuple[Any, Any]]:
        """Options of text, tokenizer, model, masks and trainer that a run has otherwise than its recipe.

        Returns:
            name -> the recipe's value and the run's.
        """
        changes = {}
        for group in (options.tokenizer, options.model, options.masking, options.corpus, options.training):
            whole = group in (options.tokenizer, options.model, options.masking)
            for found in fields(group):
                if found.name in self.gpu or found.name in _ALIASES or not (whole or found.name in self.defaults):
                    continue
                theirs, ours = self.defaults.get(found.name, found.default), getattr(group, found.name)
                ours = options.masking.policy_name() if found.name == "masking" else getattr(ours, "value", ours)
                if theirs != ours:
                    changes[found.name] = (theirs, ours)
        return changes

    def run(self, options: Options) -> Any:
        """Train as told; returns the trainer. Everything it makes lies in `--output_dir`."""
        from . import pipeline

        return pipeline.run(self, options)


def recipe_parser(description: str = "") -> Any:
    """The parser of every recipe: all option groups, no abbreviations, errors as `OptionError`."""
    from transformers import HfArgumentParser

    from .training.arguments import BabyLMTrainingArguments

    class Parser(HelpfulParser, HfArgumentParser):
        pass

    made: Any = Parser
    groups = [CorpusArguments, TokenizerArguments, ModelArguments, MaskingArguments, EvaluationArguments, CardArguments]
    usage = "%(prog)s (--demo | --train_file FILE ...) [OPTION ...]"
    epilog = "Exit status: 0 done, 2 a mistake, said in one sentence, 75 asked to stop, with a checkpoint saved."
    return made(
        [*groups, BabyLMTrainingArguments], description=description, usage=usage, epilog=epilog, allow_abbrev=False
    )


def _say_once_a_machine(error: BabyLMError) -> None:
    """What all processes find is said by the first of every machine; what one alone may have met, by that one."""
    process = os.environ.get("RANK", "0")
    if _first_here() or (isinstance(error, TrainingError) and not isinstance(error, PeerLost)):
        say_error("error" if process == "0" else f"error in process {process}", error)


def _first_here() -> bool:
    """Whether this process is the first of its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
