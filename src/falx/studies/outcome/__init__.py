"""The group level of `signature`: does the ablative rate go with the outcome?"""
