from falx.api.ablation import ablative_rate as ablative_rate
from falx.api.ablation import signature as signature
from falx.api.demo import phantom_genes as phantom_genes
from falx.api.demo import phantom_groups as phantom_groups
from falx.api.demo import phantom_patient as phantom_patient
from falx.api.demo import phantom_rest as phantom_rest
from falx.api.demo import published_cohort as published_cohort
from falx.api.functional import reho as reho
from falx.api.functional import surface_reho as surface_reho
from falx.api.genes import enrich as enrich
from falx.api.genes import pls as pls
from falx.api.groups import group_map as group_map
from falx.api.head import coregister as coregister
from falx.api.head import segment as segment
from falx.api.images import read as read
from falx.api.images import save as save
from falx.api.metabolic import asymmetry as asymmetry
from falx.api.metabolic import correct_pet as correct_pet
from falx.api.outcome import roc as roc
from falx.api.plan import plan as plan
from falx.core.errors import FalxError as FalxError
from falx.images.nifti import Image as Image

__version__: str
