"""The firmware's errors.

ThermographError
├── SettingsError   the settings cannot be used; the text names the field
├── FlashError      the flash did not keep what it was given
└── LinkError       the broker cannot be reached, fell silent, or broke the protocol; its text begins with the step
"""


class ThermographError(Exception):
    pass


class SettingsError(ThermographError):
    pass


class FlashError(ThermographError):
    pass


class LinkError(ThermographError):
    """step: where it failed, one of "wifi", "dns", "tcp", "tls", "mqtt"."""

    def __init__(self, text, step="mqtt"):
        super().__init__("%s: %s" % (step, text))
        self.step = step
