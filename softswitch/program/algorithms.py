"""The hash algorithms a program may name, and the parameters of those that are CRCs.

CRC parameters are those of the usual catalogues: polynomial without its leading bit, initial and final
values, and whether octets and result are reflected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class CrcParameters:
    """A CRC of ``width`` bits."""

    width: int
    polynomial: int
    initial: int
    final_xor: int
    reflect_in: bool
    reflect_out: bool


_CRC8 = {
    "crc8_custom": (0x07, 0x00, 0x00, False),
    "crc_8": (0x07, 0x00, 0x00, False),
    "crc_8_darc": (0x39, 0x00, 0x00, True),
    "crc_8_i_code": (0x1D, 0xFD, 0x00, False),
    "crc_8_itu": (0x07, 0x00, 0x55, False),
    "crc_8_maxim": (0x31, 0x00, 0x00, True),
    "crc_8_rohc": (0x07, 0xFF, 0x00, True),
    "crc_8_wcdma": (0x9B, 0x00, 0x00, True),
}
_CRC16 = {
    "crc16": (0x8005, 0x0000, 0x0000, True),
    "crc16_custom": (0x8005, 0x0000, 0x0000, True),
    "crcCCITT": (0x1021, 0xFFFF, 0x0000, False),
    "crc_16": (0x8005, 0x0000, 0x0000, True),
    "crc_16_buypass": (0x8005, 0x0000, 0x0000, False),
    "crc_16_dds_110": (0x8005, 0x800D, 0x0000, False),
    "crc_16_dect": (0x0589, 0x0000, 0x0001, False),
    "crc_16_dnp": (0x3D65, 0x0000, 0xFFFF, True),
    "crc_16_en_13757": (0x3D65, 0x0000, 0xFFFF, False),
    "crc_16_genibus": (0x1021, 0xFFFF, 0xFFFF, False),
    "crc_16_maxim": (0x8005, 0x0000, 0xFFFF, True),
    "crc_16_mcrf4xx": (0x1021, 0xFFFF, 0x0000, True),
    "crc_16_riello": (0x1021, 0xB2AA, 0x0000, True),
    "crc_16_t10_dif": (0x8BB7, 0x0000, 0x0000, False),
    "crc_16_teledisk": (0xA097, 0x0000, 0x0000, False),
    "crc_16_usb": (0x8005, 0xFFFF, 0xFFFF, True),
    "x_25": (0x1021, 0xFFFF, 0xFFFF, True),
    "xmodem": (0x1021, 0x0000, 0x0000, False),
    "modbus": (0x8005, 0xFFFF, 0x0000, True),
    "kermit": (0x1021, 0x0000, 0x0000, True),
    "crc_ccitt_false": (0x1021, 0xFFFF, 0x0000, False),
    "crc_aug_ccitt": (0x1021, 0x1D0F, 0x0000, False),
}
_CRC32 = {
    "crc32": (0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, True),
    "crc32_custom": (0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, True),
    "crc_32": (0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, True),
    "crc_32_bzip2": (0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, False),
    "crc_32c": (0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, True),
    "crc_32d": (0xA833982B, 0xFFFFFFFF, 0xFFFFFFFF, True),
    "crc_32_mpeg": (0x04C11DB7, 0xFFFFFFFF, 0x00000000, False),
    "posix": (0x04C11DB7, 0x00000000, 0xFFFFFFFF, False),
    "crc_32q": (0x814141AB, 0x00000000, 0x00000000, False),
    "jamcrc": (0x04C11DB7, 0xFFFFFFFF, 0x00000000, True),
    "xfer": (0x000000AF, 0x00000000, 0x00000000, False),
}
_CRC64 = {
    "crc64_custom": (0x000000000000001B, 0x0000000000000000, 0x0000000000000000, True),
    "crc_64": (0x000000000000001B, 0x0000000000000000, 0x0000000000000000, True),
    "crc_64_we": (0x42F0E1EBA9EA3693, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, False),
    "crc_64_jones": (0xAD93D23594C935A9, 0xFFFFFFFFFFFFFFFF, 0x0000000000000000, True),
}
CRCS = {
    name: CrcParameters(width, polynomial, initial, final_xor, reflect, reflect)
    for width, family in ((8, _CRC8), (16, _CRC16), (32, _CRC32), (64, _CRC64))
    for name, (polynomial, initial, final_xor, reflect) in family.items()
}

OTHERS = frozenset(
    (
        "bmv2_hash",
        "cksum16",
        "csum16",
        "hash_ex",
        "identity",
        "random",
        "round_robin",
        "round_robin_consistent",
        "toeplitz",
        "xor16",
        "xor32",
        "xxh64",
    )
)

_HEX = re.compile(r"0x[0-9a-fA-F]+")
_POLYNOMIAL = re.compile(r"0x1((?:[0-9a-fA-F]{2}){1,8})")


@cache
def crc_parameters(name: str) -> CrcParameters | None:
    """The CRC of that name, or None.

    Besides the catalogue this knows spelled-out ones: ``poly_0x1<hex>`` with any of ``_init_0x<hex>``,
    ``_xout_0x<hex>`` and ``_not_rev``; the number of digits of the polynomial gives the width.
    """
    return CRCS.get(name) or _spelled_out(name)


def _spelled_out(name: str) -> CrcParameters | None:
    words = iter(name.split("_"))
    width = polynomial = initial = final_xor = 0
    reflected = True
    for word in words:
        operand = next(words, "")
        if word == "poly" and (found := _POLYNOMIAL.fullmatch(operand)):
            width, polynomial = 4 * len(found[1]), int(found[1], 16)
        elif word == "init" and _HEX.fullmatch(operand):
            initial = int(operand, 16)
        elif word == "xout" and _HEX.fullmatch(operand):
            final_xor = int(operand, 16)
        elif (word, operand) == ("not", "rev"):
            reflected = False
        else:
            return None
    if width not in (8, 16, 32, 64):
        return None
    ones = (1 << width) - 1
    return CrcParameters(width, polynomial, initial & ones, final_xor & ones, reflected, reflected)


def is_known(name: str) -> bool:
    """Whether a calculation may use this algorithm."""
    return name in OTHERS or crc_parameters(name) is not None
