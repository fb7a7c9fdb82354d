"""Files that crash, hang or print when a worker process loads them, by their names.

`install` writes a `sitecustomize.py`, which Python imports at its start wherever its folder is on
PYTHONPATH, and which changes `Predictor` in worker processes.
"""

from pathlib import Path

_SOURCE = """
import os, sys, time
if "bench.measure.worker" in sys.orig_argv:
    import runtime.model.predictor as home
    load = home.Predictor.__init__
    def init(self, path, **settings):
        name, folder = os.path.basename(path), os.path.dirname(__file__)
        if name.startswith("crash"):
            os.write(2, b"a last word\\n")
            os.abort()
        if name.startswith("print"):
            os.write(1, b"not an answer\\n")
        marks = os.path.join(folder, name + ".loads")
        with open(marks, "a") as stream:
            stream.write(f"{os.getpid()}\\n")
        with open(marks) as stream:
            loads = len(stream.readlines())
        if name.startswith("hang") or (name.startswith("late") and loads > 4):
            open(os.path.join(folder, "hanging"), "w").close()
            time.sleep(3600)
        load(self, path, **settings)
    home.Predictor.__init__ = init
"""


def install(folder: Path) -> Path:
    """Write the module; return the folder, which is to be on PYTHONPATH.

    A file named crash... aborts, print... writes to standard output, hang... hangs and late...
    hangs from its fifth load on; `hanging` appears when one hangs, and FILE.loads holds the number
    of each process that loaded one.
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SOURCE)
    return folder
