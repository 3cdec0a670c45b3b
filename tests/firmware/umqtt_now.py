"""umqtt.simple in the form of micropython-lib's 1.8, made from 1.3.4 by the differences between the two.

They were read in micropython-lib's history; what matters to a subclass is below, and each must be found in 1.3.4.
"""

import pathlib

_IMPORTS = "import usocket as socket\nimport ustruct as struct\nfrom ubinascii import hexlify\n"
_SOCKET = "        self.sock = socket.socket()\n"
_USSL = """        if self.ssl:
            import ussl
            self.sock = ussl.wrap_socket(self.sock, **self.ssl_params)
"""
_SSL = """        if self.ssl is True:
            import ssl
            self.sock = ssl.wrap_socket(self.sock, **self.ssl_params)
        elif self.ssl:
            self.sock = self.ssl.wrap_socket(self.sock, server_hostname=self.server)
"""
_USER = "        if self.user is not None:\n            "
_NO_QOS_2 = "        elif op & 6 == 4:\n            assert 0\n"
DIFFERENCES = [
    # Since MicroPython 1.20 the modules have their names without u.
    (_IMPORTS, _IMPORTS.replace(" usocket as", "").replace(" ustruct as", "").replace("ubinascii", "binascii")),
    # ssl is an SSLContext; the old way stays for ssl=True.
    ("ssl=False, ssl_params={}):", "ssl=None, ssl_params={}):"),
    (_USSL, _SSL),
    # connect takes a timeout, which the first setblocking(True) of wait_msg then undoes.
    (
        "clean_session=True):\n" + _SOCKET,
        "clean_session=True, timeout=None):\n" + _SOCKET + "        self.sock.settimeout(timeout)\n",
    ),
    # An empty user is no user.
    (_USER + "sz +=", "        if self.user:\n            sz +="),
    (_USER + "self._send_str", "        if self.user:\n            self._send_str"),
    # wait_msg returns what it has handled, messages included.
    (_NO_QOS_2, _NO_QOS_2 + "        return op\n"),
]


def make(source, target):
    """Write target/umqtt/simple.py from source/umqtt/simple.py; target as text."""
    text = (pathlib.Path(source) / "umqtt" / "simple.py").read_text()
    if "usocket" in text:  # else it is the current form already
        for old, new in DIFFERENCES:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
    folder = pathlib.Path(target) / "umqtt"
    folder.mkdir()
    (folder / "simple.py").write_text(text)
    return str(target)
