"""The list of faults: each with how it comes about, what the user then reads, and whether the run ends by it.

docs/cluster.md has the same list for people, under the same names. More faults have their tests where their subject is:
of options in `recipes/test_bad_input.py`, of publishing in `hub/test_faults.py`, of processes in `distributed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from faults import disk, files, numbers, processes, runs


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        name: as in docs/cluster.md.
        make: lets it happen, given a `Stage`; looks itself at what has to be so afterwards.
        said: what the user reads, a regular expression; "" if nothing has to be said.
        ends: whether it ends the run, or command, that meets it.
    """

    name: str
    make: Callable[[Any], None]
    said: str
    ends: bool = True


PASSED_OVER = "checkpoint-4 is damaged and passed over: "

FAULTS = [
    # files of checkpoints and models
    Fault("checkpoint: weights cut short", files.weights_cut, PASSED_OVER + r"model.safetensors has .* and not", False),
    Fault("checkpoint: a bit flipped", files.bit_flipped, PASSED_OVER + "optimizer.pt is not what was written", False),
    Fault("checkpoint: a sidecar missing", files.no_sidecar, PASSED_OVER + "babylm_state.safetensors is miss", False),
    Fault("checkpoint: `trainer_state.json` missing", files.no_state, PASSED_OVER + "trainer_state.json is m", False),
    Fault("checkpoint: list of checksums missing", files.no_list, PASSED_OVER + ".*not written to its end", False),
    Fault("checkpoint: list of checksums damaged", files.list_damaged, PASSED_OVER + ".*cannot be read", False),
    Fault("checkpoint: a list that leads out of the folder", files.list_leads_out, "names '../../x'.*not in", False),
    Fault("checkpoint: the one that was named is damaged", files.named_damaged, "damaged: .*resume from another"),
    Fault("checkpoint: none is whole", files.none_whole, "holds milestones but no complete checkpoint"),
    Fault("checkpoint: a pickle that would run code", files.evil_pickle, "something else than numbers, and nothing of"),
    Fault("checkpoint: from another machine", files.other_machine, "on another machine or by another user", False),
    Fault("checkpoint: of a run of another size", files.other_world_size, "", False),
    Fault("milestone half written by a killed run", files.half_milestone, "", False),
    Fault("model: weights cut short", files.model_cut, "chck_300: the model and its tokenizer cannot be loaded"),
    Fault("model: tokenizer files missing", files.no_tokenizer, "its tokenizer has no vocabulary; bring back"),
    Fault("record: an empty line", files.empty_line, "", False),
    Fault("record: the last line torn", files.torn_line, "", False),
    Fault("record: a line in the middle damaged", files.damaged_line, r"events.jsonl, line 2 is damaged; delete that"),
    Fault("record: `run.json` damaged", files.damaged_manifest, r"run.json cannot be read .*restore it from a copy"),
    Fault("record: a milestone that leads out of the run", files.milestone_leads_out, "which is not a folder of"),
    Fault("corpus: changed since the run began", files.corpus_changed, "differs in .*plan corpus_fingerprint"),
    Fault("corpus: a gzip file cut short", files.gzip_cut, "is not a whole gzip file .*fetch it again"),
    Fault("cache: a file cut short", files.cache_cut, r"tokens.bin is damaged .*build the stream again"),
    # the disk
    Fault("disk: too small for the run", disk.too_small, r"the run needs about .* are free; make room"),
    Fault("disk: full during a checkpoint", disk.full_in_checkpoint, "the disk is full, .*nothing .* is lost. Make"),
    Fault("disk: full during a milestone", disk.full_in_milestone, "the disk is full, .*Make room and go on"),
    Fault("disk: full at a line of the record", disk.full_in_record, "the disk is full, .*Make room and go on"),
    Fault("disk: an error of the device", disk.broken, r"cannot be written \(Input/output error\)"),
    Fault("output folder: read-only", disk.read_only, "cannot be written; choose another"),
    Fault("output folder: became read-only", disk.became_read_only, r"cannot be written \(Read-only file system\)"),
    Fault("output folder: is a file", disk.is_a_file, "is a file; give a folder"),
    Fault("output folder: holds another run", runs.holds_a_run, "already holds a run; continue it with"),
    Fault("output folder: another process writes to it", processes.locked, r"by another run \(process \d+ on"),
    # processes and signals
    Fault(
        "a worker that prepares rows is killed",
        processes.worker_killed,
        "pid .* was killed.*lower --datal",
    ),
    Fault("another process of the run is lost", processes.peer_lost, "another process of the run has ended"),
    Fault("memory: not enough for a micro-batch", processes.no_memory, "not enough memory .*--gradient_accum"),
    Fault("SIGTERM in the middle of a save", processes.signal_in_save, "SIGTERM: the run ends after this step", False),
    Fault("a second SIGINT", processes.second_signal, "SIGINT: .*a second one ends it now", False),
    Fault("clock: goes backwards", processes.clock_backwards, "", False),
    # numbers
    Fault("a loss that is not finite", numbers.loss_not_finite, r"step 3: rows .* have a loss that is not finite"),
    Fault("a gradient that is not finite", numbers.gradient_not_finite, "losses are finite, but the gradients are not"),
    Fault("either, with `--nonfinite skip`", numbers.skipped, "step 3: .*the step is left out", False),
    Fault("the loss climbs", numbers.climbs, "above its lowest; the run seems to diverge", False),
    # a resume that is another run
    Fault("resume: other data", runs.other_data, "differs in .*plan corpus_fingerprint"),
    Fault("resume: other seed", runs.other_seed, r"differs in .*seed \(was 0, is 1\)"),
    Fault("resume: other plan", runs.other_plan, "differs in .*plan stages"),
    Fault("resume: other optimizer", runs.other_optimizer, r"differs in .*learning_rate \(was '0.001', is '0.5'\)"),
    Fault("resume: other masking", runs.other_masking, "differs in .*masking rate"),
    Fault("resume: other model", runs.other_model, "differs in .*parameters"),
    Fault("resume: other heads", runs.other_heads, r"differs in model num_attention_heads \(was 2, is 4\)"),
]
