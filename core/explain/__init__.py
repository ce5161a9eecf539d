"""Why a pixel got its class: what the model read, and from where.

explaining.py  a photo and a pixel -> an explanation: arrays, and figures as JSON types
tracing.py     one pass forwards and one backwards, which all parts of an explanation read
maps.py        where evidence for a class lies, the check of that map, how far the receptive field reaches
taps.py        where on a photo the taps of each atrous rate fall
branches.py    what each branch of ASPP contributes to a logit
kinds.py       the names of the parts, without torch
evidence.py    an explanation as pictures, each with what it shows and what it does not
"""
