"""Settings as they are kept: the person's file, and over it what was wanted from afar, with a way back. Loaded for the
moment that they are read or changed (kept.py).

`settings.json` is the person's: cable, portal. `settings-remote.json` is one JSON object, replaced as a whole:
    revision, fields   the newest settings that came by MQTT
    trial              boots on them so far, while they have not proved that they connect; else absent
    before             {revision, fields} to go back to, while on trial
    refused, why       the newest revision that was refused, and the reason
"""

import json

from .errors import SettingsError

FILE = "settings.json"
REMOTE = "settings-remote.json"
# What a running Node can take; all else needs a restart, and proves itself first.
LIVE = ("interval", "oversample", "send", "state_every", "patience", "restart_after")
_CABLE = ("outbox_size",)  # the flash is formatted for it
_MERGED = ("broker", "send", "pins")  # objects of which a part may be given
_LIMIT = 2048
_TRIAL_BOOTS = 10
_NOTHING = {"revision": 0, "fields": {}}


class Store:
    """files: read, write, remove. settings: those that load() or offer() brought into force; error: why the
    newest remote settings were refused, or None; live: what offer() changed needs no restart."""

    def __init__(self, files):
        self._files = files
        self._remote = self._read_remote()
        self.settings = None
        self.live = True

    @property
    def error(self):
        return self._remote.get("why")

    @property
    def refused(self):
        return self._remote.get("refused", 0)

    @property
    def on_trial(self):
        return "trial" in self._remote

    # -- the person's file

    def fields(self):
        """The file's fields, secrets included; {} where there is none."""
        fields = _object(self._files.read(FILE))
        return {} if fields is None else fields

    def save(self, fields):
        """Keep a person's fields; they win over remote ones. SettingsError if they cannot be used."""
        made = _checked(fields)
        self.write(fields)
        return made

    def write(self, fields):
        """save(), of fields that were checked."""
        before = self.fields()
        self._remote = self._read_remote()
        remote = self._remote["fields"]
        changed = [name for name in remote if fields.get(name) != before.get(name)]
        if changed:
            kept = {name: remote[name] for name in remote if name not in changed}
            self._write(self._remote["revision"], kept)
        self._files.write(FILE, json.dumps(fields))

    def forget(self, name):
        """Take one field out of both."""
        fields = self.fields()
        if name in fields:
            del fields[name]
            self._files.write(FILE, json.dumps(fields))
        self._remote = self._read_remote()
        if name in self._remote["fields"]:
            kept = {one: value for one, value in self._remote["fields"].items() if one != name}
            self._write(self._remote["revision"], kept)

    # -- the remote ones

    def load(self):
        """The Settings in force; None on a blank device, which has no file. Counts a boot on trial. SettingsError if
        the person's file cannot be used."""
        own = self._own()
        if own is None:
            return None
        self._remote = self._read_remote()
        if self.on_trial:
            self._remote["trial"] += 1
            if self._remote["trial"] > _TRIAL_BOOTS:
                self.roll_back("not connected in %d starts" % _TRIAL_BOOTS)
            else:
                self._save()
        self.settings = self._in_force(own)
        return self.settings

    def offer(self, payload):
        """Take remote settings. The names that changed, [] if none did or they were refused (then see error),
        or None if they are not news."""
        try:
            wanted = self._parse(payload)
        except SettingsError as error:
            self._remote["why"] = str(error)
            return []
        try:
            now = self.settings or self._in_force(self._own())
        except SettingsError as error:
            self._remote["why"] = str(error)
            return []
        if wanted["revision"] <= max(now.revision, self.refused):
            return None
        try:
            made = self._merged(wanted)
            self._guard(made, wanted["fields"])
        except SettingsError as error:
            self._refuse(wanted["revision"], str(error))
            return []
        changed = self._changes(wanted["fields"])
        self.live = all([name in LIVE for name in changed])
        self._write(wanted["revision"], wanted["fields"], None if self.live else 0)
        self.settings = made
        return changed or ["revision"]

    def confirm(self):
        """The settings on trial do connect."""
        self._write(self._remote["revision"], self._remote["fields"])

    def roll_back(self, why):
        """Go back to what was before the trial; False if there is none. A restart then brings it into force."""
        if not self.on_trial:
            return False
        refused, before = self._remote["revision"], self._remote.get("before") or _NOTHING
        self._remote = {"revision": before["revision"], "fields": before["fields"]}
        self._refuse(refused, why)
        return True

    def _own(self):
        """The Settings of the person's file, or None where there is none."""
        text = self._files.read(FILE)
        if text is None:
            return None
        from .settings import load

        return load(text)

    def _in_force(self, own):
        if own is None:
            raise SettingsError("cannot read %s" % FILE)
        if self._remote["revision"] > own.revision:
            try:
                return self._merged(self._remote)
            except SettingsError as error:  # a newer firmware, or a file changed by hand
                self._remote["why"] = str(error)
        return own

    def _parse(self, payload):
        """{revision, fields} of a message."""
        if len(payload) > _LIMIT:
            raise SettingsError("settings of %d bytes" % len(payload))
        try:
            message = _object(str(payload, "utf-8"))
        except ValueError:
            message = None
        if message is None:
            raise SettingsError("remote settings are no JSON object")
        revision = message.pop("revision", None)
        if type(revision) is not int or not 0 < revision <= 1 << 31:
            raise SettingsError("remote settings need a revision above 0")
        return {"revision": revision, "fields": message}

    def _guard(self, made, fields):
        """What may not come from afar, though it is valid."""
        for name in _CABLE:
            if name in fields:
                raise SettingsError("%s is set by cable only" % name)
        if made.interval < min(1, _checked(self.fields()).interval):
            raise SettingsError("interval must be 1 s or more")

    def _changes(self, fields):
        """Names whose value will be another one; those that go back to the file's are among them."""
        now = self._remote["fields"] if self._remote["revision"] > _checked(self.fields()).revision else {}
        names = sorted(set(fields) | set(now))
        own = self.fields()
        return [name for name in names if _merge(own, fields).get(name) != _merge(own, now).get(name)]

    def _merged(self, remote):
        fields = _merge(self.fields(), remote["fields"])
        fields["revision"] = remote["revision"]
        return _checked(fields)

    def _refuse(self, revision, why):
        self._remote["refused"] = max(revision, self.refused)
        self._remote["why"] = "revision %d refused: %s" % (revision, why)
        self._save()

    def _write(self, revision, fields, trial=None):
        remote = {"revision": revision, "fields": fields}
        if trial is not None:
            old = self._remote.get("before") if self.on_trial else self._remote
            remote["trial"] = trial
            remote["before"] = {"revision": old["revision"], "fields": old["fields"]}
        elif self.refused > revision:
            remote["refused"], remote["why"] = self.refused, self.error
        self._remote = remote
        self._save()

    def _save(self):
        self._files.write(REMOTE, json.dumps(self._remote))

    def _read_remote(self):
        remote = _object(self._files.read(REMOTE))
        return remote if _is_remote(remote) else dict(_NOTHING)


def _checked(fields):
    from .settings import checked  # where something is written only, there is no need of it

    return checked(fields)


def _is_remote(value):
    """False for what a worn disk has made of it: it is read at each start, and must never end one."""
    if not _is_version(value) or not isinstance(value.get("why") or "", str):
        return False
    if type(value.get("trial", 0)) is not int or type(value.get("refused", 0)) is not int:
        return False
    return "trial" not in value or _is_version(value.get("before"))


def _is_version(value):
    return isinstance(value, dict) and type(value.get("revision")) is int and isinstance(value.get("fields"), dict)


def _merge(own, wanted):
    merged = dict(own)
    for name, value in wanted.items():
        if name in _MERGED and isinstance(value, dict) and isinstance(merged.get(name), dict):
            part = dict(merged[name])
            part.update(value)
            value = part
        merged[name] = value
    return merged


def _object(text):
    """The JSON object of a text, or None."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        return None
    return value if isinstance(value, dict) else None
