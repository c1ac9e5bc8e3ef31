"""The examples in the help of every command: lines to copy. The documentation shows the same ones."""

from __future__ import annotations

FIRST = (
    "babylm-hf doctor                                    # is this machine ready?",
    "accelerate launch recipes/hard_decay.py --demo      # train, no data needed",
    "babylm-hf inspect run runs/hard_decay_demo          # what came out",
    'babylm-hf inspect predict runs/hard_decay_demo "the dogs sleep ."',
)
"""Under `babylm-hf --help`."""

EXAMPLES = {
    "doctor": ("babylm-hf doctor", "babylm-hf doctor --online --json"),
    "new-recipe": (
        "babylm-hf new-recipe mine",
        "babylm-hf new-recipe mine --like accuracy_morph --folder recipes",
    ),
    "corpus stats": ("babylm-hf corpus stats wiki.txt speech.txt --overlap",),
    "corpus mix": (
        "babylm-hf corpus mix wiki.txt speech.txt --out mix.txt --bytes 2MB",
        "babylm-hf corpus mix wiki.txt books=a.txt,b.txt --out mix.txt --method shares --shares 0.7,0.3",
    ),
    "tokenizer train": ("babylm-hf tokenizer train a.txt b.txt --vocab_size 8000 --out tokenizers/mine",),
    "tokenizer convert": ("babylm-hf tokenizer convert spm.model --out tokenizers/converted",),
    "inspect plan": (
        "babylm-hf inspect plan hard_decay --demo --measure 5",
        "babylm-hf inspect plan hard_decay --train_file a.txt --png plan.png",
    ),
    "inspect run": ("babylm-hf inspect run runs/mine",),
    "inspect predict": ("babylm-hf inspect predict runs/mine 'the dogs that the girl sees are happy .' --png a.png",),
    "masks": (
        "babylm-hf masks runs/mine 'the dogs that the girl sees are happy .'",
        "babylm-hf masks runs/mine --figures figures",
    ),
    "evaluate": (
        "babylm-hf evaluate runs/mine --data evaluation_data",
        "babylm-hf evaluate runs/mine --milestones --fast --data evaluation_data --official-results results",
        "babylm-hf evaluate runs/mine --tasks mine=my_pairs/ --json",
    ),
    "finetune": ("babylm-hf finetune runs/mine --tasks rte wsc --data evaluation_data --seeds 42 43",),
    "submission": ("babylm-hf submission runs/mine --results results --backend mlm --data evaluation_data",),
    "generate": (
        "babylm-hf generate runs/mine --prompt 'the dog' --num 3 --seed 0",
        "babylm-hf generate runs/mine --infill 'the [MASK] sleeps .' --show_steps",
    ),
    "likelihood": ("babylm-hf likelihood runs/mine --text dev.txt --max_texts 500",),
    "sweep": (
        "babylm-hf sweep hard_decay --seeds 0 1 2 --train_file a.txt",
        "babylm-hf sweep hard_decay --seeds 0 1 --variant hard= --variant soft='--masking soft' --demo",
    ),
    "compare": ("babylm-hf compare runs/hard/seed-* runs/soft/seed-* --html comparison.html",),
    "card": ("babylm-hf card runs/mine",),
    "publish": (
        "babylm-hf publish runs/mine --repo-id me/mine --dry_run",
        "babylm-hf publish runs/mine --repo-id me/mine --tag v1",
    ),
    "completion": (
        "babylm-hf completion bash > ~/.local/share/bash-completion/completions/babylm-hf",
        "babylm-hf completion zsh > ~/.zfunc/_babylm-hf",
    ),
}
"""Words of a command -> lines to copy."""
