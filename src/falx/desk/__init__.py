"""The desk: one local page from a folder of DICOM to a plan, on one's own machine."""
