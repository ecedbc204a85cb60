"""Kafka's wire protocol by hand, for what no client would send, and for looking at answers byte by byte."""
import socket
import struct


def text(value):
    """A nullable string in the classic form."""
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def array(elements):
    return struct.pack(">i", len(elements)) + b"".join(elements)


class Raw:
    """One connection. Requests may be sent ahead; answers come in their order."""

    def __init__(self, port, seconds=10):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(seconds)
        self.correlation = 0

    def send(self, key, version, body=b"", tagged=b""):
        self.correlation += 1
        frame = struct.pack(">hhi", key, version, self.correlation) + text("raw") + tagged + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        return self.correlation

    def read(self, count):
        content = b""
        while len(content) < count:
            more = self.socket.recv(count - len(content))
            if not more:
                raise ConnectionError("the broker closed the connection")
            content += more
        return content

    def receive(self):
        """The next answer as correlation id and body."""
        frame = self.read(struct.unpack(">i", self.read(4))[0])
        return struct.unpack(">i", frame[:4])[0], frame[4:]

    def ask(self, key, version, body=b"", tagged=b""):
        sent = self.send(key, version, body, tagged)
        correlation, answer = self.receive()
        assert correlation == sent, (correlation, sent)
        return answer

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


def fetch(topic, offsets, wait=0, least=1, most=1 << 30, most_each=1 << 30):
    """The body of a Fetch version 4 from {partition: offset}."""
    partitions = array([struct.pack(">iqi", p, offset, most_each) for p, offset in offsets.items()])
    return struct.pack(">iiiib", -1, wait, least, most, 0) + array([text(topic) + partitions])


def fetched(answer):
    """{partition: (error, high watermark, record bytes)} of an answer to a Fetch version 4 of one topic."""
    at = 4
    topics, length = struct.unpack_from(">ih", answer, at)
    assert topics == 1
    at += 6 + length
    count, = struct.unpack_from(">i", answer, at)
    at += 4
    found = {}
    for _ in range(count):
        partition, error, high, _, aborted, size = struct.unpack_from(">ihqqii", answer, at)
        assert aborted == -1
        at += 30
        found[partition] = (error, high, answer[at:at + size])
        at += size
    assert at == len(answer)
    return found


def join(group, member="", session=6000, rebalance=6000, metadata=b"x"):
    """The body of a JoinGroup version 1."""
    protocols = array([text("range") + struct.pack(">i", len(metadata)) + metadata])
    return text(group) + struct.pack(">ii", session, rebalance) + text(member) + text("consumer") + protocols


def commit(group, topic, offsets, metadata=""):
    """The body of an OffsetCommit version 2 from outside a group."""
    partitions = array([struct.pack(">iq", p, offset) + text(metadata) for p, offset in offsets.items()])
    return text(group) + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) + array([text(topic) + partitions])
