"""The firmware's errors.

ThermographError
├── SettingsError   the settings cannot be used; the text names the field
├── FlashError      the flash did not keep what it was given
└── LinkError       the broker cannot be reached, fell silent, or broke the protocol
"""


class ThermographError(Exception):
    pass


class SettingsError(ThermographError):
    pass


class FlashError(ThermographError):
    pass


class LinkError(ThermographError):
    pass
