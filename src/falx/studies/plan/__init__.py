"""The study `plan`: one patient's outputs become a laser plan and its page."""
