"""What a run costs in electricity and carbon dioxide, by codecarbon: `--track_carbon DEU`.

codecarbon asks the machine of the main process for its power (processors, memory, accelerators; where it cannot be
read it is estimated) and knows how much carbon dioxide a kilowatt hour stands for in a country. Its offline tracker is
used, which calls nobody.
"""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from ..errors import OptionError
from .callbacks import BabyLMCallback


def check_country(country: str) -> None:
    """Raise OptionError if codecarbon is missing or does not know a country."""
    try:
        from codecarbon.input import DataSource
    except ImportError:
        raise OptionError(
            "--track_carbon needs the package codecarbon; install it with `pip install 'babylm_hf[carbon]'`, "
            "or leave the option out"
        ) from None
    known = DataSource().get_global_energy_mix_data()
    if country not in known:
        raise OptionError(
            f"--track_carbon {country}: codecarbon does not know the electricity of that country; "
            "give its three letters of ISO 3166, such as DEU or USA"
        )


class Meter:
    """Where codecarbon puts what it has measured so far, in place of its files.

    Attributes:
        total: the last `EmissionsData`.
    """

    total: Any = None

    def out(self, total: Any, delta: Any) -> None:
        """At every flush, and at the end."""
        self.total = total

    def live_out(self, total: Any, delta: Any) -> None:
        """Nobody watches."""

    def task_out(self, data: Any, experiment_name: str) -> None:
        """There is one task."""

    def exit(self) -> None:
        """Nothing is open."""


class CarbonCallback(BabyLMCallback):
    """Measures from the first step of a session to its last; tells at every checkpoint, so that a kill loses little.

    Args:
        country: whose electricity it is, ISO 3166 with three letters.

    Raises:
        OptionError: codecarbon is missing or does not know the country.
    """

    def __init__(self, country: str) -> None:
        check_country(country)
        self.country = country
        self.meter = Meter()
        self.tracker: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin to measure, on the machine of the main process."""
        if not state.is_world_process_zero:
            return
        from codecarbon import OfflineEmissionsTracker

        logging.getLogger("codecarbon").setLevel(logging.ERROR)
        self.tracker = OfflineEmissionsTracker(
            country_iso_code=self.country,
            output_handlers=[self.meter],
            save_to_file=False,
            save_to_api=False,
            electricitymaps_api_token=None,  # also where the user's own settings have one: it would be asked for
            allow_multiple_runs=True,
            log_level="error",
        )
        self.tracker.start()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """So far."""
        if self.tracker is not None:
            self.tracker.flush()
            self._tell()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """In all."""
        if self.tracker is not None:
            self.tracker.stop()
            self.tracker = None
            self._tell()

    def _tell(self) -> None:
        total = self.meter.total
        if total is not None:  # codecarbon keeps its failures to itself
            self.trainer.notify(
                "carbon",
                energy_kwh=total.energy_consumed,
                emissions_kg=total.emissions,
                country=total.country_iso_code,
                country_name=total.country_name,
                cpu_kwh=total.cpu_energy,
                gpu_kwh=total.gpu_energy,
                ram_kwh=total.ram_energy,
                codecarbon=total.codecarbon_version,
            )
