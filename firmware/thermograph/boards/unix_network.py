"""The network of a PC: name servers and names as its files say."""

from ..names import is_address
from .sockets import Sockets


class Network(Sockets):
    """name_servers: texts "IP" or "IP:PORT"; empty: those of /etc/resolv.conf. joined(): whether there is a network."""

    trouble = "the network is switched off"

    def __init__(self, clock, entropy, name_servers=(), folder="/etc", joined=lambda: True):
        self._folder = folder
        self.up = joined
        super().__init__(clock, entropy, lambda: list(name_servers) or self._system_servers())

    def known(self, host):
        for words in self._lines("hosts"):
            if host in [word.lower() for word in words[1:]] and is_address(words[0]):
                return words[0]

    def _system_servers(self):
        found = [words[1] for words in self._lines("resolv.conf") if words[0] == "nameserver" and len(words) > 1]
        return [ip for ip in found if is_address(ip)]

    def _lines(self, name):
        """The words of each line that has some."""
        try:
            with open(self._folder + "/" + name) as file:
                lines = [line.split("#")[0].split() for line in file]
        except (OSError, UnicodeError):
            return []
        return [words for words in lines if words]
