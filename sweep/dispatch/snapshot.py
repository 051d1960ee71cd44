"""A copy of the code for the jobs, so that editing it while they wait changes nothing for them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sweep.run.provenance import ROOT, SNAPSHOT_COMMIT, code_files, code_hash, git_commit


def snapshot_code(output_dir: Path) -> Path:
    """Return `output_dir/code/HASH`, which holds the packages a job imports; made once for each version of the code."""
    target = output_dir / "code" / code_hash()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix="partial-"))
    try:
        for file in code_files():
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, partial / file)
        (partial / SNAPSHOT_COMMIT).write_text(git_commit() or "")
        partial.chmod(target.parent.stat().st_mode & 0o777)  # jobs of others in this output directory read it too
        try:
            partial.rename(target)
        except OSError:
            if not target.exists():  # else another launch was first with the same code
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
