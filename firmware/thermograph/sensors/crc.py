"""The checksums of chips. Bit by bit: a table would cost more memory than the microseconds are worth."""


def crc8(data):
    """Dallas CRC-8: x^8 + x^5 + x^4 + 1, bits reflected, from 0 (Maxim application note 27)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def sensirion(data):
    """Sensirion CRC-8: x^8 + x^5 + x^4 + 1, from 0xFF (SHT3x datasheet, 4.12; of 0xBEEF it is 0x92)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 & 0xFF ^ (0x31 if crc & 0x80 else 0)
    return crc
