"""What every protocol machine is made of: outputs, timers, nonces and a table of EIDs. No protocol in it."""

from controller.mapping.machine.checks import (
    ConfigError,
    StoreError,
    check_iid,
    check_path_mtu,
    check_profile_keys,
    check_unique,
    fail,
)
from controller.mapping.machine.eid_table import EidTable
from controller.mapping.machine.nonces import COUNTER_LIMIT, NonceSource, NonceUse
from controller.mapping.machine.outputs import Event, Send, dropped
from controller.mapping.machine.pace import Pace
from controller.mapping.machine.packing import Packing, record_size
from controller.mapping.machine.timers import TimerQueue

__all__ = [
    "COUNTER_LIMIT",
    "ConfigError",
    "EidTable",
    "Event",
    "NonceSource",
    "NonceUse",
    "Pace",
    "Packing",
    "Send",
    "StoreError",
    "TimerQueue",
    "check_iid",
    "check_path_mtu",
    "check_profile_keys",
    "check_unique",
    "dropped",
    "fail",
    "record_size",
]
