"""No test touches the network, the user's caches or the user's tokens."""

from __future__ import annotations

import os
import tempfile

_HOME = tempfile.mkdtemp(prefix="babylm_hf_tests_")
os.environ.update(
    HF_HOME=_HOME,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    BABYLM_HF_CACHE=os.path.join(_HOME, "babylm_hf"),
    TOKENIZERS_PARALLELISM="false",
    OMP_WAIT_POLICY="PASSIVE",  # see babylm_hf.environment
)
os.environ.pop("HF_TOKEN", None)
