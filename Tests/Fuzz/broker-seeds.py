"""Seeds for the broker's fuzz targets: a sound input of each kind, so that runs begin behind the checksums and not before them.

    broker-seeds.py frame|recovery FOLDER
"""
import os
import struct
import sys


def crc32c(content):
    value = 0xffffffff
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7f | 0x80]), value >> 7
    return out + bytes([value])


def batch(base, values, producer=-1, sequence=-1, attributes=0):
    records = b""
    for number, value in enumerate(values):
        record = b"\x00" + varint(number) + varint(number) + varint(1) + b"k" + varint(len(value)) + value + varint(1) + varint(1) + b"h" + varint(-1)
        records += varint(len(record)) + record
    sealed = struct.pack(">hiqqqhii", attributes, len(values) - 1, 1000, 1000 + len(values), producer, 0 if producer >= 0 else -1, sequence,
                         len(values)) + records
    return struct.pack(">qiibI", base, len(sealed) + 9, 0, 2, crc32c(sealed)) + sealed


def text(value):
    return struct.pack(">h", len(value)) + value


def array(elements):
    return struct.pack(">i", len(elements)) + b"".join(elements)


def header(key, version):
    return struct.pack(">hhi", key, version, 7) + text(b"fuzz")


def frames():
    records = batch(0, [b"one", b"two"], 5, 0)
    for version in (3, 7):
        yield header(0, version) + struct.pack(">hhi", -1, -1, 1000) + array([text(b"t") + array([
            struct.pack(">ii", partition, len(records)) + records for partition in range(2)])])
    yield header(1, 11) + struct.pack(">iiiibii", -1, 500, 1, 1 << 20, 0, 0, -1) + array([text(b"t") + array([
        struct.pack(">iiqqi", 0, -1, 5, 0, 1 << 20)])]) + array([]) + text(b"")
    yield header(2, 5) + struct.pack(">ib", -1, 0) + array([text(b"t") + array([struct.pack(">iiq", 0, -1, -2)])])
    yield header(3, 4) + array([text(b"t")]) + b"\x01"
    yield header(3, 12) + b"\x00\x02" + bytes(16) + b"\x02t\x00\x01\x00\x00"
    yield header(8, 7) + text(b"g") + struct.pack(">i", 1) + text(b"m") + struct.pack(">h", -1) + array([text(b"t") + array([
        struct.pack(">iqi", 0, 5, -1) + text(b"x")])])
    yield header(9, 7) + b"\x00\x02g\x02\x02t\x02\x00\x00\x00\x00\x00\x00\x00"
    yield header(10, 2) + text(b"g") + b"\x00"
    yield header(11, 5) + text(b"g") + struct.pack(">ii", 6000, 6000) + text(b"") + text(b"i") + text(b"consumer") + array([
        text(b"range") + struct.pack(">i", 1) + b"x"])
    yield header(12, 3) + text(b"g") + struct.pack(">i", 1) + text(b"m") + text(b"i")
    yield header(13, 3) + text(b"g") + array([text(b"m") + text(b"i")])
    yield header(14, 3) + text(b"g") + struct.pack(">i", 1) + text(b"m") + text(b"i") + array([text(b"m") + struct.pack(">i", 1) + b"a"])
    yield header(15, 4) + array([text(b"g")]) + b"\x00"
    yield header(16, 2)
    yield header(17, 1) + text(b"PLAIN")
    yield header(18, 3) + b"\x00\x04raw\x041.0\x00"
    yield header(19, 4) + array([text(b"t") + struct.pack(">ih", -1, -1) + array([struct.pack(">i", 0) + array([struct.pack(">i", 1)])]) + array([
        text(b"retention.ms") + text(b"5")])]) + struct.pack(">ib", 1000, 0)
    yield header(20, 3) + array([text(b"t")]) + struct.pack(">i", 1000)
    yield header(22, 4) + b"\x00\x00" + struct.pack(">iqh", 1000, -1, -1) + b"\x00"
    for key in (29, 30, 31):
        yield header(key, 1) + array([b"\x02" + text(b"t") + b"\x03" + text(b"u") + text(b"*") + b"\x03\x03"])
    yield header(32, 3) + array([b"\x02" + text(b"t") + array([text(b"retention.ms")])]) + b"\x01\x00"
    yield header(33, 1) + array([b"\x02" + text(b"t") + array([text(b"retention.ms") + text(b"5")])]) + b"\x00"
    yield header(37, 1) + array([text(b"t") + struct.pack(">i", 5) + struct.pack(">i", -1)]) + struct.pack(">ib", 1000, 0)
    yield header(42, 1) + array([text(b"g")])
    yield header(44, 0) + array([b"\x02" + text(b"t") + array([text(b"retention.ms") + b"\x00" + text(b"5")])]) + b"\x00"


def checked(magic, content):
    return magic + content + struct.pack(">I", crc32c(magic + content))


def recoveries():
    segment = batch(0, [b"one", b"two"], 5, 0) + batch(2, [b"three"], 5, 2) + batch(3, [b"four"], attributes=4)
    for kind in (b"\x00", b"\x01"):
        yield kind + segment
        yield kind + segment + bytes(700)
        yield kind + segment + b"torn" * 20
        yield kind + segment + bytes(100) + segment[:80] + bytes(50)
        yield kind + segment[:len(segment) - 9]

    def entry(content):
        return struct.pack(">II", len(content), crc32c(content)) + content
    topic = bytes(range(16))
    journal = b"SLUICEJ1" + entry(b"\x01" + topic) + entry(b"\x02" + topic + text(b"t") + struct.pack(">i", 3)) + entry(
        b"\x03" + topic + text(b"retention.ms") + text(b"5")) + entry(b"\x06" + struct.pack(">q", 1000)) + entry(
            b"\x07" + text(b"g") + topic + struct.pack(">iqi", 1, 7, -1) + text(b"m") + struct.pack(">q", 8))
    yield b"\x02" + journal
    yield b"\x03" + struct.pack(">qqqqI", 0, 4, 300, 1002, 1) + struct.pack(">IIq", 0, 0, -1 << 63)
    yield b"\x04" + struct.pack(">IqIiqI", 1, 5, 0, 3, 2, 1) + struct.pack(">iiqq", 0, 2, 0, 2)
    slots = b""
    for sequence in (4, 5):
        slot = struct.pack(">qqqI", sequence, 0, 10 * sequence, 0)
        slots += slot + struct.pack(">I", crc32c(slot))
    yield b"\x05" + slots


def main():
    target, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for number, content in enumerate({"frame": frames, "recovery": recoveries}[target]()):
        with open("%s/%02d" % (folder, number), "wb") as file:
            file.write(content)


main()
