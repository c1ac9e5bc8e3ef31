"""The models, batches and made-up text that training steps are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A model and a batch: rows of `length` tokens, of which the share `rate` is masked (0 for a causal model)."""

    model: str
    vocabulary: int
    rows: int
    length: int
    rate: float


CASES = {
    "bert": Case("bert", 30_522, 64, 128, 0.15),
    "deberta": Case("deberta", 40_000, 64, 64, 0.4),
    "llama": Case("llama", 16_384, 8, 512, 0.0),
    "tiny": Case("bert1m", 4_096, 8, 32, 0.15),
}


def build_model(case: Case) -> Any:
    """The model of a case with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    if case.model == "llama":
        config: Any = transformers.LlamaConfig(
            vocab_size=case.vocabulary, hidden_size=384, intermediate_size=1152, num_hidden_layers=10,
            num_attention_heads=6, max_position_embeddings=512, tie_word_embeddings=True, pad_token_id=0,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config)
    if case.model == "deberta":
        config = transformers.DebertaV2Config(
            vocab_size=case.vocabulary, hidden_size=384, intermediate_size=1280, num_hidden_layers=12,
            num_attention_heads=12, relative_attention=True, position_buckets=256, pos_att_type="c2p|p2c",
            share_att_key=True, norm_rel_ebd="layer_norm", position_biased_input=False, max_position_embeddings=1024,
            type_vocab_size=0, layer_norm_eps=1e-7,
        )  # fmt: skip
        return transformers.DebertaV2ForMaskedLM(config)
    width, layers = (256, 4) if case.model == "bert" else (128, 2)
    config = transformers.BertConfig(
        vocab_size=case.vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64,
        intermediate_size=4 * width, max_position_embeddings=512 if case.model == "bert" else 128,
    )  # fmt: skip
    return transformers.BertForMaskedLM(config)


def prepare(case: Case, folder: Path) -> None:
    """Writes text and tokenizer, and fills the cache with the token stream."""
    import numpy as np
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    from babylm_hf.corpus import TokenStream

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [f"w{n}" for n in range(case.vocabulary - len(special))]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(special + words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", bos_token="[CLS]", eos_token="[SEP]",
    )  # fmt: skip
    tokenizer.save_pretrained(folder / "tokenizer")
    random = np.random.default_rng(0)
    chances = 1.0 / np.arange(3, len(words) + 3)
    drawn = random.choice(len(words), size=600 * case.rows * case.length // 4, p=chances / chances.sum())
    with open(folder / "text.txt", "w", encoding="utf-8") as out:
        for start in range(0, len(drawn), 12):
            out.write(" ".join(words[i] for i in drawn[start : start + 12]) + "\n")
    TokenStream.build([folder / "text.txt"], tokenizer, folder / "cache")


def open_stream(folder: Path) -> Any:
    """The token stream of `prepare` and its tokenizer."""
    from transformers import PreTrainedTokenizerFast

    from babylm_hf.corpus import TokenStream

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    return TokenStream.build([folder / "text.txt"], tokenizer, folder / "cache"), tokenizer
