"""Files of weights: saved and verified, opened whichever program wrote them, exported.

checkpoint_file.py  saves, verifies and opens checkpoints; the modules below open those of other programs
archive.py          reads a file of weights without running anything in it
pickle_outline.py   what a pickle names and holds, read from its opcodes
closed_files.py     why a file stays closed: another kind, or pickled objects, and the line that saves their weights
foreign.py          finds weights under any wrapping and prefix
recognition.py      which architecture weights belong to, and which program named them
fitting.py          whether weights fill a model: each one there, in its shape
stated.py           what a person states about a file that does not say it: size, stride, classes
export.py           state dict, safetensors, ONNX or torch.export, reopened and compared
"""
