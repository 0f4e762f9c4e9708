"""Falx: what differs across the midline of the brain in epilepsy, and what follows from it.

>>> import falx
>>> head = falx.segment("t1w.nii.gz")                      # doctest: +SKIP
>>> pet = falx.correct_pet("pet.nii.gz", head)             # doctest: +SKIP
>>> found = falx.signature(falx.asymmetry(pet), side="left")  # doctest: +SKIP

The names below are imported when they are first used; ``examples/`` shows each at work.
"""

from importlib import import_module

__version__ = "0.2.0"

_HOMES = {
    "FalxError": "core.errors",
    "Image": "images.nifti",
    "ablative_rate": "api.ablation",
    "asymmetry": "api.metabolic",
    "coregister": "api.head",
    "correct_pet": "api.metabolic",
    "enrich": "api.genes",
    "group_map": "api.groups",
    "phantom_genes": "api.demo",
    "phantom_groups": "api.demo",
    "phantom_patient": "api.demo",
    "phantom_rest": "api.demo",
    "plan": "api.plan",
    "pls": "api.genes",
    "published_cohort": "api.demo",
    "read": "api.images",
    "reho": "api.functional",
    "roc": "api.outcome",
    "save": "api.images",
    "segment": "api.head",
    "signature": "api.ablation",
    "surface_reho": "api.functional",
}
"""Public name to the module that holds it."""

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the stub beside this file names them


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'falx' has no attribute {name!r}")
    found = getattr(import_module(f"falx.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
