"""The files of this project that the checkers look at: what git tracks or would track, or the whole tree where there is no git."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOT_OURS = ("build", ".git", "__pycache__", ".pytest_cache", ".ci")


def project_files():
    try:
        listing = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, check=True).stdout.decode()
        names = [name for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in NOT_OURS]
            names += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(name for name in names if os.path.isfile(os.path.join(ROOT, name)))


def cpp_files(*folders):
    return [name for name in project_files() if name.endswith((".h", ".cpp")) and name.startswith(tuple(f"{f}/" for f in folders))]


def read_text(name):
    """The text of a file, or None where it is not text."""
    with open(os.path.join(ROOT, name), "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    return data.decode("utf-8", "replace")
