"""What each step does, in a sentence with places for its settings.

``{voxel_mm}`` is the value of an option, ``{variance?equal=…;groups=…;*=…}`` words for its value
(``%`` is the value), ``{in.degs?no=…;some=…;all=…}`` words for whether an input was there. What
stands in ``<<…>>`` is left out where one of its options was named before or does not belong to the
step, in ``<<method=none,mg2: …>>`` for other values as well, and in ``<<in.degs=some,all: …>>``
where the input was not there. ``{stages}`` names the steps of
this kind, ``[@welch1951]`` a reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from falx.core.grid import TEMPLATE_SPACE

__all__ = ["IMAGES", "NOT_TOLD", "OF_COMMANDS", "OF_STEPS"]

NOT_TOLD = frozenset(
    {"signature_report_stage", "run_report_stage", "numbers_stage", "pairs_stage"}
)
"""Steps that only gather and draw what others computed; one sentence names them together."""

IMAGES: Mapping[str, str] = {
    "pet": "FDG-PET", "flair": "FLAIR", "gm": "grey-matter density", "postop": "post-operative "
    "T1w",
    "bold": "the mean image of the resting run", "grey": "grey-matter volume",
    "reho": "regional homogeneity (ReHo)", "alff": "ALFF", "falff": "fALFF",
    "degree": "degree centrality", "vmhc": "mirror connectivity (VMHC)",
    "seed": "connectivity of the seed",
}  # fmt: skip
"""Last or first part of a step's name to what it is about."""

PEOPLE = (
    "<<Groups come from the column {group_column}; the model held "
    "{columns?=no covariates of the table;*=the covariates %}.>> <<{blocks?=;*=People of one "
    "entry in the column % were permuted "
    "together.}>> <<{site?=;*=Sites came from the column %.}>> <<{reho.measures?=;*=Maps of the "
    "resting run had the measured covariates "
    "%.}>> <<{harmonise?none=;combat=The mean "
    "and spread of each site were taken from the maps [@johnson2007].;covbat=Mean, spread and "
    "covariance of each site were taken from the maps [@chen2022].}>> "
)
CLUSTERS = (
    "<<{variance?groups=Every group had a variance of its own, and P values come from flipped "
    "signs;equal=One variance was taken for all groups, and P values come from permuted people} "
    "[@winkler2014].>> <<The number of permutations was {n_permutations}.>> "
    "<<Clusters were formed at a voxel P of {voxel_p} and tested at a familywise error of "
    "{cluster_p}, by extent and mass, and by random fields [@worsley1996] beside it, whose error "
    "is not kept at lenient thresholds [@eklund2016]; maps of P are of threshold-free cluster "
    "enhancement [@smith2009].>> <<{listed_by?extent=Tables list the clusters "
    "whose extent passes by permutation.;mass=Tables list the clusters whose mass passes by "
    "permutation.;fsl=Tables list the clusters that pass by random fields, as in "
    "FSL.;spm=Tables list the clusters that pass by random fields, as in SPM.}>> "
    "<<{atlas?=Regions are named by the labels that Falx ships.;*=Regions are named by the atlas "
    "%.}>> "
)

COMMON_GENES = (
    "<<Regions of the {side?left=left side;right=right side;both=two sides} took part.>> "
    "<<P values are from {n_maps} null maps that keep a map's smoothness ({null?moran=Moran "
    "spectral randomisation [@wagner2015];variogram=variogram matching [@burt2020];*=%})"
    "{restore?True= and the mean of each class of regions;False=, as published, left as rough as "
    "they come}.>> "
    "<<list_rule=fdr: {list_rule?fdr=Gene lists hold the genes} whose false-discovery rate "
    "[@benjamini1995] over these null maps is below {list_q}.>> "
    "<<list_rule=length: {list_rule?length=Gene lists hold} the {n_list} genes of largest "
    "bootstrap Z of either sign, from {n_draws} draws{require_fdr?True=, of those that pass the "
    "bootstrap's and the spatial false-discovery rate;False=, a ranking without an error rate}.>> "
    "<<{gene_sets?=;*=Gene sets came from %.}>> <<{network?=;*=Interactions came from %.}>> "
)

OF_STEPS: Mapping[str, str] = {
    "anatomy_stage": (
        "T1-weighted images were segmented into grey matter, white matter and cerebrospinal fluid "
        "by an implementation of unified segmentation [@ashburner2005] with a bias field of "
        f"{{bias_fwhm_mm}}, and mapped to {TEMPLATE_SPACE}. {{in.structures_in?no=Hippocampus, "
        "amygdala and other structures were labelled by the same model;some=Labels of structures "
        "were those of the dataset where it had some, and of the same model elsewhere;all=Labels "
        "of structures were those of the dataset}."
    ),
    "coregister_stage": (
        "Rigid matrices that maximise normalised mutual information [@studholme1999] align "
        "{stages} "
        "to each person's T1w; images are not resliced."
    ),
    "correct_stage": (
        "{method?none=The PET was not corrected for partial volume;mg2=The PET was corrected for "
        "partial volume with two compartments [@meltzer1990];mg3=The PET was corrected for "
        "partial "
        "volume with three compartments [@mullergartner1992];gtm=The PET was corrected for "
        "partial "
        "volume by regional activities [@thomas2011]}; regional activities were fitted by a "
        "geometric transfer matrix [@rousset1998], with a point spread of {psf_fwhm_mm}."
    ),
    "asymmetry_stage": (
        "The asymmetry about the midsagittal plane of the symmetric template, (a − b) / ((a + "
        "b) / 2) of a voxel and its mirror image, was computed for {stages} at {voxel_mm}, after "
        "smoothing by {smoothing_fwhm_mm}; the PET was on the {scale?proportional=proportional "
        "scale;z=z scale;z5=z + 5 scale}."
    ),
    "published_stage": "Beside it, the PET was scaled as published [@mo2025].",
    "healthy_stage": (
        "Asymmetry of healthy people came from {in.norms?no=the norms that Falx ships;some=the "
        "norms of the site or those that Falx ships;all=the norms of the site}."
    ),
    "signature_stage": (
        "The signature holds {signature.method?calibrated=the foci that pass a familywise test "
        "against draws of the scan's own noise and of healthy asymmetry;threshold=every voxel "
        "beyond the threshold}<<signature.method=threshold: ; the threshold of the asymmetry "
        "index was {signature.threshold} ({signature.threshold_scale?proportional=proportional "
        "scale;z=z scale;z5=z + 5 scale})>><<signature.method=calibrated: ; the accepted "
        "familywise rate of false foci was {level}, with {draws} draws and {maps} null maps>>; "
        "the least share of grey matter was {gm_floor}<<signature.method=calibrated: ; "
        "{ipsilateral_only?True=where a side was declared, foci lie on it;False=foci may lie on "
        "either side}>><<signature.method=threshold: ; {ipsilateral_only?True=voxels lie on the "
        "side of the focus, declared or else suggested by the asymmetry;False=voxels may lie on "
        "either side}>>."
    ),
    "ablation_stage": (
        "The mask of the ablation was brought to the pre-operative T1w; the ablative rate is the "
        "ablated volume of the signature within hippocampus and amygdala over its whole volume "
        "there, after Mo and colleagues [@mo2025]."
    ),
    "rate_curve_stage": (
        "Intervals of the ablative rate come from {rate_draws} draws of the signature and of the "
        "ablation's place and edge (standard deviations {shift_sd_mm} and {edge_sd_mm})."
    ),
    "outcome_stage": (
        "Outcome was modelled by logistic regression, penalised where it is separated "
        "[@heinze2002], areas under the curve compared by DeLong's test [@delong1988], and the "
        "family of planned tests corrected by Holm's method [@holm1979]; who was followed for "
        "less than {least_follow_up_months} was left out; resampling took {resamples} bootstrap "
        "samples and {permutations} permutations."
    ),
    "overlays_stage": "Signatures and ablations were averaged over patients in template space.",
    "grey_volume_stage": (
        "Grey matter{in.cat12?no=;some=, that of CAT12 [@gaser2024] where the dataset had "
        "it,;all=, that of CAT12 [@gaser2024],} was "
        "{modulate?True=modulated by the Jacobian of the map to the template, as volume;"
        "False=not modulated, as concentration}, brought to voxels of {grey.voxel_mm} and "
        "smoothed by {grey.smoothing_fwhm_mm}."
    ),
    "motion_stage": (
        "Resting runs lost their first {dropped_volumes} volumes and were "
        "{in.prepared?no=realigned;"
        "some=realigned, or taken as fMRIPrep [@esteban2019] had prepared them;all=taken as "
        "fMRIPrep [@esteban2019] had prepared them}<<in.prepared=no,some: ; where slice times "
        "were known, slices of runs that were realigned here were {slice_timing?True=shifted to "
        "the middle of the repetition time;False=not shifted}>>. Spikes are volumes of a "
        "framewise displacement above {fd_threshold_mm} [@power2012]; runs beyond "
        "{translation_limit_mm}, {rotation_limit_deg} or {spike_limit_percent} of spikes "
        "were excluded."
    ),
    "reho_stage": (
        "Series were cleaned of 24 motion terms [@friston1996], white matter and cerebrospinal "
        "fluid and a trend, and filtered to {low_hz} to {high_hz}, {order?joint=in one "
        "projection;sequential=one after the other}; regional homogeneity is Kendall's W "
        "[@zang2004] over {neighbours} voxels at {reho.voxel_mm}, smoothed by "
        "{reho.smoothing_fwhm_mm} {standardise_first?True=after it was standardised;False=before "
        "it was standardised}."
    ),
    "measure_stage": (
        "From the same series came amplitudes of slow fluctuations [@zang2007] and their share of "
        "the spectrum [@zou2008], degree centrality "
        "above a correlation of {least_r} [@zuo2012], mirror connectivity [@zuo2010] and "
        "connectivity of a seed at {seed_mm}, radius {seed_radius_mm}."
    ),
    "group_map_stage": (
        "Group maps of t compared {stages}. " + PEOPLE + "<<{grey.head_size?ancova=Intracranial "
        "volume was a covariate of grey-matter volume;proportional=Grey-matter volume was divided "
        "by intracranial volume;residual=Grey-matter volume was taken as its residual on "
        "intracranial volume;none=Intracranial volume was not in the model}.>> " + CLUSTERS
    ),
    "subgroup_map_stage": (
        "Patients of one kind of epilepsy were compared apart: {stages}. <<Kinds come from the "
        "column {subgroup_column}.>> " + PEOPLE + CLUSTERS
    ),
    "role_anova_stage": (
        "Any difference of all groups was tested by F for {stages}<<{variance?groups=, with a "
        "variance for every group [@welch1951];equal=, with one variance}>>. " + PEOPLE + CLUSTERS
    ),
    "role_regression_stage": (
        "Slopes on the column {predictor} were mapped for {stages}. " + PEOPLE + CLUSTERS
    ),
    "role_further_stage": (
        "Every pair of groups in which one without a role takes part was compared in {stages}. "
        "<<{others?=;*=Groups without a role were %.}>> " + PEOPLE + CLUSTERS
    ),
    "together_stage": (
        "For every pair of groups maps of grey matter and of ReHo were taken together: where both "
        "differ [@nichols2005], and which of their clusters correlate."
    ),
    "quality_stage": (
        "Images and quality of all people were set side by side, for exclusion by hand."
    ),
    "role_deviation_stage": (
        "Every patient was compared with the controls [@crawford1998] in {stages}"
        "<<{deviation?adjusted=, allowing for the covariates;plain=, without covariates}>>. "
        + PEOPLE
    ),
    "demographics_stage": "Groups were compared in age, sex and what else was measured of them.",
    "group_report_stage": (
        "{bonferroni?contrasts=Beside each P of a contrast stands one with Bonferroni's "
        "correction for the contrasts of its modality;all=Beside each P of a contrast stands one "
        "with Bonferroni's correction for all maps;none=P values of contrasts are not corrected "
        "for their number}. <<{expression?=;*=Gene expression came from %.}>> <<{ahba?=;*=Gene "
        "expression came from the download %.}>>"
    ),
    "map_figure_stage": "Pictures of {stages} show t beyond the voxel threshold.",
    "expression_stage": (
        "Regional gene expression was made from the Allen Human Brain Atlas [@hawrylycz2012] "
        "{mode?abagen=as abagen does [@markello2021];bmhlab=after Arnatkevičiūtė and colleagues "
        "[@arnatkeviciute2019]}."
    ),
    "blood_stage": (
        "Blood counts of {contrast} (column {factor}) were compared by DESeq2's model [@love2014] "
        "as PyDESeq2 fits it [@muzellec2023]; genes of an adjusted P below .05 stand beside "
        "those of an absolute log2 fold change of at least 1 and a raw P below .05."
    ),
    "genes_stage": (
        "Regional means of {stages} were related to gene expression by partial least squares "
        "[@dejong1993] and gene by gene. " + COMMON_GENES + "Gene sets were tested by "
        "over-representation among the tested genes and against null maps [@fulcher2021]."
    ),
    "role_together_stage": (
        "Contrasts were taken together for {stages}: null maps drawn together, terms over "
        "contrasts, and the correlation with ENIGMA-Epilepsy's effect sizes [@whelan2018]. "
        + COMMON_GENES
    ),
    "control_stage": "Every control's asymmetry and its noise were kept with age and sex.",
    "ready_control_stage": (
        "Every control's ready map was smoothed by {smoothing_fwhm_mm} and its asymmetry computed "
        "at {voxel_mm}."
    ),
    "norms_stage": (
        "Norms are mean and standard deviation of the controls' asymmetry, with slopes of age "
        "and sex."
    ),
    "relate_map": (
        "The map was related to gene expression by partial least squares [@dejong1993] and gene "
        "by "
        "gene. " + COMMON_GENES + "Gene sets were tested by over-representation among the tested "
        "genes and against null maps [@fulcher2021]; modules of interactions, where a network was "
        "given, by MCODE [@bader2003] against lists of the null maps."
    ),
    "compare_lists_of": (
        "Gene lists were tested by over-representation among the tested genes, lists combined by "
        "Cauchy's rule [@liuxie2020]; modules of interactions, where a network was given, by "
        "MCODE "
        "[@bader2003] against lists of like degrees."
    ),
    "compare_maps": (
        "Maps ({measure}) of {stages} were compared. " + PEOPLE + CLUSTERS
    ),
}  # fmt: skip
"""Function of a step to its sentence."""

OF_STEPS = {**OF_STEPS, "compare_blood": OF_STEPS["blood_stage"]}

OF_COMMANDS: Mapping[str, str] = {
    "planned": "A laser track was searched for by falx plan.",
    "scored": "A laser track that was given was scored by falx plan.",
    "plannedFocus": "A laser track to a focus that is chosen by its number was searched for by "
    "falx plan.",
    "scoredFocus": "A laser track to such a focus that was given was scored by falx plan.",
    "proposed": "The ablation was proposed from the post-operative T1w by falx ablation.",
    "vessels": "Vessels were proposed by falx vessels.",
    "dicom": "Results were written as DICOM.",
}
"""Record of a command to its sentence."""
