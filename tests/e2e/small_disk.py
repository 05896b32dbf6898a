"""A small file system of its own, and somebody who fills it and makes room again."""
import os
import shutil
import subprocess
import tempfile
import time

MIB = 1 << 20


class Disk:
    """A mounted file system of `mib` MiB, or None in .path with .why."""

    def __init__(self, mib=96):
        self.base = tempfile.mkdtemp(prefix="fanal-disk-")
        self.path, self.why = os.path.join(self.base, "mount"), ""
        os.mkdir(self.path)
        image = os.path.join(self.base, "image")
        if os.geteuid() != 0:
            self.path, self.why = None, "mounting needs root"
            return
        with open(image, "wb") as file:
            file.truncate(mib * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=False, capture_output=True)
        tries = [["mount", "-o", "loop", image, self.path], ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", self.path]]
        for line in tries:
            done = subprocess.run(line, check=False, capture_output=True, text=True)
            if done.returncode == 0:
                self.kind = "ext4" if "loop" in line else "tmpfs"
                os.chmod(self.path, 0o755)
                return
            self.why = done.stderr.strip()
        self.path = None

    def free(self):
        st = os.statvfs(self.path)
        return st.f_bavail * st.f_frsize

    def leave(self, bytes_left):
        """Somebody else's file takes all but that much; and Fanal, which asks every 100 ms, may know it."""
        self.take(bytes_left)
        time.sleep(0.2)

    def take(self, bytes_left):
        ballast = os.path.join(self.path, "ballast")
        size = os.path.getsize(ballast) if os.path.exists(ballast) else 0
        want = max(0, size + self.free() - bytes_left)
        with open(ballast, "ab") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, want) if want > size else file.truncate(want)
                return
            except OSError:
                pass
        try:
            with open(ballast, "ab", buffering=0) as file:  # to the last block
                while file.write(bytes(4096)):
                    pass
        except OSError:
            pass

    def done(self):
        if self.path:
            for _ in range(100):  # those who were killed a moment ago may still hold it
                if subprocess.run(["umount", self.path], check=False, capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
        shutil.rmtree(self.base, ignore_errors=True)


def sh(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)


class Image:
    """ext4 with its journal over a loop device, in `base`; cut() is what a power cut leaves."""

    def __init__(self, base, name="disk", mib=1024):
        self.mib = mib
        self.image, self.copy = os.path.join(base, name + ".img"), os.path.join(base, name + "-cut.img")
        self.mount, self.mount2 = os.path.join(base, name), os.path.join(base, name + "-cut")
        os.makedirs(self.mount)
        os.makedirs(self.mount2)

    def up(self):
        with open(self.image, "wb") as file:
            file.truncate(self.mib * MIB)
        made = sh("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        return made.returncode == 0 and self.again()

    def again(self):
        """Mounted, after down()."""
        return sh("mount", "-o", "loop", self.image, self.mount).returncode == 0

    def cut(self):
        """Copies what the block layer has now (reflink or sparse copy, within milliseconds of the call)."""
        sh("cp", "--sparse=always", self.image, self.copy)

    def remount(self):
        return sh("mount", "-o", "loop", self.copy, self.mount2).returncode == 0

    def down(self):
        """Unmounts; True where nothing of it is mounted any more. Those who were killed a moment ago may still hold it."""
        for m in (self.mount2, self.mount):
            for _ in range(100):
                if not os.path.ismount(m) or sh("umount", m).returncode == 0 and not os.path.ismount(m):
                    break
                time.sleep(0.1)
        return not os.path.ismount(self.mount) and not os.path.ismount(self.mount2)
