"""Publishing: the record of a run, and the card, figures and tables that are rendered from it.

Importing this room imports neither torch nor transformers.
"""

from __future__ import annotations

from .card import ModelCardRenderer, write_card
from .export import export_artefacts
from .files import write_whole
from .publisher import HubPublisher
from .record import RunRecord

__all__ = ["HubPublisher", "ModelCardRenderer", "RunRecord", "export_artefacts", "write_card", "write_whole"]
