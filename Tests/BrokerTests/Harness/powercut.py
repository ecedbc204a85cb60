"""What a power cut leaves of a folder: what the interposer saw become durable, and anything at all of the rest."""
import os
import random


class Disk:
    """Follows the interposer's record, and does to the files what a power cut may."""

    def __init__(self, data, record):
        self.data, self.record = data, record
        self.position = 0
        # Of each file the size that is durable, and what was written since by its id: [offset, count, whether the write is over].
        self.sizes, self.dirty, self.names = {}, {}, set()
        self.writes, self.syncs = {}, {}

    def follow(self):
        with open(self.record) as record:
            record.seek(self.position)
            lines = record.read().splitlines()
            self.position = record.tell()
        for line in lines:
            word = line.split("\t")
            getattr(self, "see_" + word[0])(*word[1:])

    def see_dirty(self, id, path, offset, count):
        write = [int(offset), int(count), False]
        self.writes[id] = write
        self.dirty.setdefault(path, {})[id] = write

    def see_written(self, id):
        self.writes.pop(id)[2] = True

    def see_begin(self, id, path, size):
        self.syncs[id] = (path, int(size), [key for key, write in self.dirty.get(path, {}).items() if write[2]])

    def see_synced(self, id):
        path, size, covered = self.syncs.pop(id)
        self.sizes[path] = max(size, self.sizes.get(path, 0))
        for key in covered:
            self.dirty.get(path, {}).pop(key, None)

    def see_name(self, path):
        self.names.add(path)

    def see_rename(self, old, new):
        for known in (self.sizes, self.dirty):
            known.pop(new, None)
            if old in known:
                known[new] = known.pop(old)

    def see_removed(self, path):
        self.sizes.pop(path, None)
        self.dirty.pop(path, None)
        self.names.discard(path)

    def cut(self, seed):
        """Returns what was done, a line each. What is left then is what the disk holds."""
        self.follow()
        chance = random.Random(seed)
        done = []
        for folder, _, files in os.walk(self.data, topdown=False):
            for file in sorted(files):
                path = os.path.join(folder, file)
                if file == "lock":
                    continue
                if path not in self.names and chance.random() < 0.5:
                    os.remove(path)
                    done.append("gone " + path)
                    continue
                done += self.cut_file(chance, path)
            if folder != self.data and folder not in self.names and not os.listdir(folder):
                os.rmdir(folder)
        self.sizes, self.dirty, self.names, self.writes, self.syncs = {}, {}, set(), {}, {}
        for folder, folders, files in os.walk(self.data):
            self.names |= {os.path.join(folder, name) for name in folders + files}
            for name in files:
                self.sizes[os.path.join(folder, name)] = os.path.getsize(os.path.join(folder, name))
        return done

    def cut_file(self, chance, path):
        size, kept = os.path.getsize(path), min(os.path.getsize(path), self.sizes.get(path, 0))
        # Written over blocks that were there: each write may be on the disk, or what was there before: zeros.
        inside = sorted((o, min(c, kept - o)) for o, c, _ in self.dirty.get(path, {}).values() if o < kept)
        done = []
        if inside:
            kind = chance.choice(["lost", "lost", "tail", "holes", "noise", "kept"])
            first = chance.randrange(len(inside))
            for number, (offset, count) in enumerate(inside):
                if kind == "lost" or (kind == "tail" and number >= first) or (kind == "holes" and chance.random() < 0.5):
                    write(path, offset, bytes(count))
                elif kind == "noise" and number >= first:
                    write(path, offset, chance.randbytes(count))
            done.append("%s of %d writes from %d %s" % (kind, len(inside), inside[0][0], path))
        if size > kept:
            done.append("%s %d..%d %s" % (self.damage_end(chance, path, kept, size), kept, size, path))
        return done

    @staticmethod
    def damage_end(chance, path, kept, size):
        kind = chance.choice(["cut", "edge", "noise", "zeros", "hole", "kept"])
        if kind == "cut":
            os.truncate(path, chance.randint(kept, size))
        elif kind == "edge":
            os.truncate(path, kept)
        elif kind in ("noise", "zeros"):
            start = chance.randint(kept, size - 1)
            count = chance.randint(1, size - start)
            write(path, start, chance.randbytes(count) if kind == "noise" else bytes(count))
        elif kind == "hole":
            # The size reached the disk, the first pages did not: what follows is whole.
            write(path, kept, bytes(min(size - kept, 4096)))
        return kind


def write(path, at, content):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(content)
