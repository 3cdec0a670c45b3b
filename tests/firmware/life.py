"""A Node whose clock is moved on whenever nothing is left to do: hours pass in a second. Sockets, TLS, the broker and
all who answer are real, and whoever waits for an answer waits in true time. On MicroPython."""

import json
import os
import time

_SKIP = 50000  # ms at once: a watchdog waits for 60 s


class Ears:
    """The console: what was sampled, freed and done, and the lines that are no everyday ones."""

    def __init__(self):
        self.sampled = self.freed = self.settings = self.commands = 0

    def say(self, text):
        words = text.split()
        word = words[1]
        if word == "sample":
            self.sampled = int(words[-1])
        elif word == "freed":
            self.freed = int(words[3].rstrip(","))
        elif word == "settings" and words[2][:-1].isdigit():
            self.settings = int(words[2][:-1])
        elif word == "command":
            self.commands += 1
        elif word != "memory:":  # said each hour
            print(text)


class Stuck(BaseException):
    """What was waited for does not come. No Exception: the firmware would take it for a crash of its own."""


class Dark:
    """Of the LED's changes nothing is kept."""

    def append(self, change):
        pass


class Life:
    """made: the chip; ears: what hears the console; folder: where the world around it reads and writes; every: readings
    that the send policy wants in a message; look(): called after each step of the loop and each message."""

    def __init__(self, made, ears, folder, look=None):
        self.made = made
        self.ears = ears
        self.every = 1
        self.node = None
        self._folder = folder
        self._look = look
        self._owed = 0
        self._asked = []  # (file number, inode) of sockets that somebody may still answer
        self._udp = self._pause = self._link = None

    def live(self, one, lived):
        """main.start(one), but that lived() is the loop. Whatever lived() raises is the firmware's."""
        import main
        from thermograph.boards.sockets import Sockets
        from thermograph.contact import Contact
        from umqtt.simple import MQTTClient

        def run(node):
            self.node = node
            lived()

        def udp(network, ip, port):
            made = self._udp(network, ip, port)
            self._asked.append((made.fileno(), inode(made.fileno())))
            self.tell()
            return made

        def pause(network, ms, waited_for=None):
            """Nobody answers: the wait for Wi-Fi is one for virtual time."""
            if waited_for is None:
                self.made.pass_ms(ms)
            else:
                self._pause(network, ms, waited_for)

        def set_callback(link, on_message):
            """The Link, and its messages: private names are not what they are in the sources."""
            self._link = link
            link.cb = on_message if self._look is None else looked_at(on_message)

        def looked_at(on_message):
            def heard(topic, payload):
                on_message(topic, payload)
                self._look()

            return heard

        one.say = one.guard.say = self.ears.say
        one.idle = 0
        self._udp, Sockets.udp = Sockets.udp, udp
        self._pause, Sockets.pause = Sockets.pause, pause
        Contact.run = run
        MQTTClient.set_callback = set_callback
        main.start(one)

    def tell(self):
        """To the time server: how much time was skipped, in ms."""
        path = self._folder + "/skipped"
        with open(path + ".new", "w") as file:
            file.write(str(self.made.passed // 1000))
        os.rename(path + ".new", path)

    def busy(self):
        """Whether somebody is asked and has not answered."""
        while self._asked:
            number, mark = self._asked[-1]
            if inode(number) == mark:
                return True
            self._asked.pop()
        packets = self._link.sock
        if packets is None:
            return False
        if self.ears.sampled - self.ears.freed >= self.every:
            self._owed = self.ears.sampled  # all that waits goes, and comes back acknowledged
        return packets.said > packets.heard or self.ears.freed < self._owed

    def turn(self):
        """A step of the loop; then time is skipped to what is due next."""
        node = self.node
        node.step()
        if self._look is not None:
            self._look()
        for _ in range(12):
            spare = node.tick()
            if self.busy():
                time.sleep(0.001)
                return
            if spare > 1:
                self.made.skip(min(spare, _SKIP))

    def until(self, condition, ms=60000):
        """ms: of true time. Stuck where it does not come true."""
        end = time.ticks_add(time.ticks_ms(), ms)
        while not condition():
            self.turn()
            if time.ticks_diff(end, time.ticks_ms()) < 0:  # an assert is not compiled
                told = (self.made.ms(), self.ears.sampled, self.ears.freed, self._owed, self._asked, self.busy())
                raise Stuck("at %d ms; %d sampled, %d freed, %d owed; asked %s; busy %s" % told)

    def settle(self):
        """Until all that was sampled is acknowledged: first in skipped time, then in true time, when no more comes."""
        sampled = self.ears.sampled
        self.until(lambda: self.ears.freed >= sampled)
        end = time.ticks_add(time.ticks_ms(), 20000)
        while self.ears.freed < self.ears.sampled:
            self.node.step()
            if time.ticks_diff(end, time.ticks_ms()) < 0:
                raise Stuck("%d sampled, %d freed" % (self.ears.sampled, self.ears.freed))

    def ask(self, what):
        """Have the world do it, and wait until it is done."""
        print(json.dumps({"ask": what}))
        while True:
            try:
                os.remove(self._folder + "/done")
                return
            except OSError:
                time.sleep(0.002)


def inode(number):
    """Of an open socket, or None: a closed one keeps its number."""
    try:
        return os.stat("/proc/self/fd/%d" % number)[1]
    except OSError:
        return None
