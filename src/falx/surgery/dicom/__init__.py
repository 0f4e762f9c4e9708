"""To and from the hospital's formats; needs the extra ``dicom``."""
