"""LLaMA baseline B: 66 million parameters, next-token prediction, ten megabytes of text in equal parts of three kinds.

`llama_26m` with more of everything: width 512, 8 layers, 32,000 pieces (66,331,136 parameters), 128 rows of 512 tokens
a step and a peak rate of 2e-4. Size and text change together, so A against B does not tell one from the other. Ten
megabytes in packed rows are about 195 steps in 5 passes, less than the 200 of warm-up; see `llama_26m`.

Source: the headline figures of the model card of BabyLM-LLaMA-66M; see docs/llama_baselines.md. It reports a BLiMP
accuracy of 61.6 % on a sample of about 2,000 pairs.

    accelerate launch recipes/llama_66m.py --demo
    accelerate launch recipes/llama_66m.py --train_file wiki.txt speech.txt films.txt --validation_file v.txt
"""

from __future__ import annotations

from dataclasses import replace

from llama_26m import RECIPE as LLAMA_26M

RECIPE = replace(
    LLAMA_26M,
    name="llama_66m",
    title="Causal pretraining after LLaMA baseline B (66 million parameters on 10 MB of text)",
    paper={
        "title": "BabyLM-LLaMA-66M (model card)",
        "authors": "egemengulpinar",
        "year": "2024",
        "url": "https://huggingface.co/egemengulpinar",
        "bibtex": """@misc{babylm-llama-66m,
  title = {BabyLM-LLaMA-66M},
  author = {egemengulpinar},
  howpublished = {Hugging Face Hub, model card},
  url = {https://huggingface.co/egemengulpinar}
}""",
    },
    defaults={
        **LLAMA_26M.defaults,
        "mix_bytes": "10MB",
        # the model: 66,331,136 parameters with 32,000 pieces
        "model": "llama-66m",
        "vocab_size": 32_000,
        # the plan: 128 rows of 512 tokens, 16 at a time
        "batch_size": 128,
        "gradient_accumulation_steps": 8,
        "learning_rate": 2e-4,
    },
)

if __name__ == "__main__":
    RECIPE.main()
