"""The commands of `babylm-hf`, one file each.

Every file has `add(commands)`, which adds its parser, and the functions that do the work. It imports nothing heavy at
its top: `--help` builds all parsers and answers at once.
"""
