"""Find the configuration keys that could have caused an error of Slurm."""

from __future__ import annotations

import re

from sweep.config.cell import CellConfig

OF_A_NODE = ("resources.gpus", "resources.memory_gb", "cluster.gpu_type", "cluster.cpus_per_process")
CAUSES = (
    ("partition", ("cluster.partition",)),
    ("account", ("cluster.account", "cluster.partition", "cluster.qos")),
    (r"\bqos\b", ("cluster.qos",)),
    ("feature|constraint", ("cluster.constraint",)),
    ("node count|node configuration|nodes", (*OF_A_NODE, "cluster.processes_per_node", "cluster.constraint")),
    ("cpu count|more processors|tasks", ("cluster.cpus_per_process", "resources.gpus")),
    (r"memory", ("resources.memory_gb",)),
    (r"gres|gpu|tres", ("resources.gpus", "cluster.gpu_type", "cluster.gpu_option")),
    (r"time limit|WallDuration", ("resources.hours",)),
    (r"dependency|option|mail|license|reservation|begin", ()),
)


def keys_that_matter(complaint: str, config: CellConfig) -> str:
    """Return `; see KEY=VALUE, …` with the keys that `complaint` may be about and that are set; "" if there is none."""
    named = [keys for pattern, keys in CAUSES if re.search(pattern, complaint, flags=re.I)]
    if not named:
        return ""
    sections = {"cluster": config.cluster, "resources": config.resources}
    found = {}
    for key in (*(key for keys in named for key in keys), "cluster.sbatch"):  # its options override those of other keys
        section, _, name = key.partition(".")
        found[key] = getattr(sections[section], name)
    set_here = [f"{key}={value}" for key, value in found.items() if value not in (None, 0, {})]
    return f"; see {', '.join(set_here)}" if set_here else ""
