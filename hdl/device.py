"""Which core a build has."""

from __future__ import annotations

from golden.config import DeviceConfig
from hdl.compact.core import CompactCore
from hdl.core import Core
from hdl.options import CoreOptions


def device(config: DeviceConfig, options: CoreOptions) -> Core | CompactCore:
    """The core that the options ask for, fast or compact.

    Raises
    ------
    SvpgError: a device that it cannot be.
    """
    return (CompactCore if options.compact else Core)(config, options)
